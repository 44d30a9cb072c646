"""Segments as one: the merging kernel against its twin, and the view of rows counted through.

The kernel runs three ways, as in `tests/index/kernels/test_exact.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.datasets.vectors.npz import to_scipy
from lsr.errors import QueryError
from lsr.index.collection.merge_policy import MergePolicy
from lsr.index.collection.multi_searcher import merged
from lsr.index.collection.multi_segment import MultiSegment
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.update import add_documents, delete_documents
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR
from lsr.types import Document
from tests.naive import exact as naive
from tests.support.changing_collection import opened

pytestmark = pytest.mark.kernel


@st.composite
def rankings(draw: st.DrawFn) -> tuple[list[list[list[tuple[int, float]]]], list[int], list[int]]:
    """For each part and query its hits in order, the sizes of parts, and an order of all rows."""
    sizes = draw(st.lists(st.integers(0, 6), min_size=1, max_size=5))
    n_rows = sum(sizes)
    tie_order = draw(st.permutations(range(n_rows)))
    n_queries = draw(st.integers(0, 3))
    parts, first = [], 0
    for size in sizes:
        lines = []
        for _ in range(n_queries):
            rows = draw(st.lists(st.integers(0, size - 1), unique=True)) if size else []
            hits = [(row, draw(st.sampled_from([-1.0, 0.0, 0.5, 2.0]))) for row in rows]
            start = first
            hits.sort(key=lambda hit: (-hit[1], tie_order[start + hit[0]]))
            lines.append(hits)
        parts.append(lines)
        first += size
    return parts, sizes, list(tie_order)


@settings(max_examples=120, deadline=None)
@given(case=rankings(), k=st.integers(1, 9))
def test_merged_is_one_sort(
    case: tuple[list[list[list[tuple[int, float]]]], list[int], list[int]], k: int
) -> None:
    parts, sizes, tie_order = case
    first_rows = np.cumsum([0, *sizes])[:-1]
    found = []
    for lines in parts:
        width = max([1, *map(len, lines)])
        rows = np.full((len(lines), width), -1, np.int32)
        scores = np.zeros((len(lines), width), np.float32)
        for q, hits in enumerate(lines):
            for place, (row, score) in enumerate(hits):
                rows[q, place], scores[q, place] = row, score
        found.append(Ranking(rows, scores))
    order = np.array(tie_order, np.int32)
    order.flags.writeable = False
    result = merged(found, first_rows, order, k)
    assert result.rows.dtype == np.int32
    assert result.scores.dtype == np.float32
    expected = naive.merge_rankings(parts, first_rows.tolist(), tie_order, k)
    told = [
        [(row, score) for row, score in zip(rows, scores, strict=True) if row >= 0]
        for rows, scores in zip(result.rows.tolist(), result.scores.tolist(), strict=True)
    ]
    assert told == expected
    assert not result.scores[result.rows < 0].any()


@pytest.fixture
def joined(built: Path) -> Path:
    """Two segments, and deleted rows in the first."""
    policy = MergePolicy(segments_per_tier=9, max_deleted=1.0)
    new = [Document("pike", "A pike of another lake"), Document("none", "")]
    add_documents(built, new, policy=policy)
    delete_documents(built, ["otter", "zebra-2"])
    return built


def view(collection: CollectionReader) -> MultiSegment:
    assert isinstance(collection.segment, MultiSegment)
    return collection.segment


def test_rows_are_counted_through(joined: Path) -> None:
    with opened(joined) as collection:
        segment = view(collection)
        assert (segment.n_rows, segment.n_documents) == (9, 6)
        assert collection.live_rows().tolist() == [0, 2, 4, 6, 7, 8]
        rows = np.array([8, 0, 7, 7, 3], np.int32)
        assert segment.doc_ids(rows) == ["none", "heron", "pike", "pike", "pike"]
        assert segment.doc_ids(rows[:0]) == []
        documents = collection.store.documents(rows.tolist())
        assert [document.doc_id for document in documents] == segment.doc_ids(rows)
        assert documents[2].text == "A pike of another lake"
        assert segment.has_terms.tolist() == [i not in (4, 8) for i in range(9)]
        assert segment.n_terms == collection.encoder.n_terms
        parts = [part.segment for part in segment.readers]
        assert segment.lists_nbytes == sum(part.lists_nbytes for part in parts)
        assert segment.n_postings == sum(part.n_postings for part in parts)
        assert (segment.dimension, segment.vectors_nbytes) == (0, 0)
        assert segment.dense_vectors(rows).shape == (5, 0)
        by_id = [
            segment.doc_ids(np.array([row], np.int32))[0] for row in np.argsort(segment.tie_order)
        ]
        assert by_id == sorted(by_id)


def test_frequencies_are_of_living_documents(joined: Path) -> None:
    with opened(joined) as collection:
        terms = np.arange(collection.encoder.n_terms + 2, dtype=np.int32)
        living = collection.live_rows().tolist()
        vectors = collection.store.sparse_vectors(living, collection.encoder.n_terms)
        counts = np.bincount(vectors.terms, minlength=len(terms))
        assert view(collection).document_frequency(terms).tolist() == counts.tolist()
        assert view(collection).document_frequency(terms[:0]).tolist() == []


def test_scores_and_weights_of_chosen_rows(joined: Path) -> None:
    """As the stored vectors say, deleted rows included: who asks for a row knows why."""
    with opened(joined) as collection:
        rows = np.array([8, 3, 0, 7, 1, 0], np.int32)
        queries = collection.encoder.encode_queries(["fish pike pike lake", ""])
        vectors = collection.store.sparse_vectors(rows.tolist(), collection.encoder.n_terms)
        expected = naive.score_rows(queries, vectors, range(len(rows)))
        for query, scores in enumerate(expected):
            found = collection.sparse.score(queries.row(query), rows)
            assert found.tolist() == [float(score) for score in scores]
        asked = queries.row(0)
        weights = collection.sparse.document_weights(asked, rows)
        dense = to_scipy(vectors).toarray()
        assert np.array_equal(weights, dense[:, asked.terms])
        assert (
            np.diff(collection.sparse.vectors(rows, asked).indptr).tolist()
            == np.diff(vectors.indptr).tolist()
        )
        assert collection.sparse.vectors(rows[:0], asked).n_rows == 0


def test_batches_threads_and_filters(joined: Path) -> None:
    with opened(joined) as collection:
        searcher = collection._snapshot.searcher
        queries = collection.encoder.encode_queries(["fish", "", "pike", "lakes grass"])
        whole = searcher.search_batch(queries, 5)
        for k in (1, 2, 20):
            found = searcher.search_batch(queries, k, n_threads=2)
            assert found.rows.shape == (4, k)
            assert np.array_equal(found.rows[:, :5], whole.rows[:, :k])
        none = searcher.search_batch(queries, 5, np.zeros(9, bool))
        assert (none.rows == -1).all()
        allowed = np.ones(9, bool)
        allowed[whole.rows[0, 0]] = False
        assert searcher.search_batch(queries, 4, allowed).rows[0].tolist() == (
            whole.rows[0, 1:].tolist()
        )
        assert searcher.search_batch(CSR.empty(0, 0), 3).rows.shape == (0, 3)
        for k, mask, message in (
            (0, None, "k is 0; ask for at least 1"),
            (1, np.ones(6, bool), "the filter has shape .6,.; one flag for each of 9 documents"),
        ):
            with pytest.raises(QueryError, match=message):
                searcher.search_batch(queries, k, mask)
