"""Search by passages equals the plain definition, and plain search where there is one each."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.errors import QueryError
from lsr.index.search.all_scores import all_scores
from lsr.index.search.exact_searcher import ExactSearcher
from lsr.index.search.passages import PassageSearcher, best_places, joined
from lsr.index.storage.segment import Segment
from lsr.passages.passage_rows import PassageRows, at_first_passages
from lsr.retrieval.dense_index import DenseIndex, PassageDenseIndex
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR, SparseVector
from tests.naive import passage_scores as naive
from tests.support.strategies import doc_id_lists, masks, matrices

pytestmark = pytest.mark.kernel

N_TERMS = 8


def hits(found: Ranking) -> list[list[tuple[int, float]]]:
    return [
        [(row, score) for row, score in zip(rows, scores, strict=True) if row >= 0]
        for rows, scores in zip(found.rows.tolist(), found.scores.tolist(), strict=True)
    ]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_is_the_plain_definition(data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=8))
    doc_ids = data.draw(doc_id_lists(len(counts)))
    vectors = data.draw(matrices(n_rows=sum(counts), n_terms=N_TERMS, few=True))
    queries = data.draw(matrices(n_terms=N_TERMS + 1, max_rows=3, few=True))
    whole_from = data.draw(st.integers(0, N_TERMS + 1))
    allowed = data.draw(masks(len(counts)))
    k = data.draw(st.integers(1, 9))
    # whole terms lie at first passages alone, as encoders put them
    first = set(np.cumsum([0, *counts[:-1]]).tolist())
    rows = [
        {
            t: w
            for t, w in zip(r.terms.tolist(), r.weights.tolist(), strict=True)
            if t < whole_from or place in first
        }
        for place, r in enumerate(vectors.row(i) for i in range(vectors.n_rows))
    ]
    vectors = CSR.from_rows(rows, N_TERMS)
    segment = Segment.build(
        doc_ids, vectors, None, PassageRows(np.cumsum([0, *counts]), whole_from)
    )
    searcher = PassageSearcher(segment)
    found = searcher.search_batch(queries, k, allowed)
    flags = None if allowed is None else allowed.tolist()
    expected = naive.scan_passages(queries, vectors, counts, whole_from, doc_ids, k, flags)
    assert hits(found) == expected
    every = np.arange(len(counts), dtype=np.int32)
    for i in range(queries.n_rows):
        scores = searcher.score(queries.row(i), every)
        wanted = naive.scan_passages(
            queries.row(i).as_matrix(), vectors, counts, whole_from, doc_ids, len(counts)
        )[0]
        assert {row: scores[row] for row in every.tolist() if scores[row] > 0} == dict(wanted)
        assert np.array_equal(all_scores([segment], queries.row(i)), scores)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_one_passage_each_is_exact_search(data: st.DataObject) -> None:
    """To the bit, with weights of any size, wherever whole terms begin."""
    vectors = data.draw(matrices(n_terms=N_TERMS))
    queries = data.draw(matrices(n_terms=N_TERMS, max_rows=3))
    doc_ids = [str(i) for i in range(vectors.n_rows)]
    starts = np.arange(vectors.n_rows + 1)
    plain = Segment.build(doc_ids, vectors)
    passaged = Segment.build(
        doc_ids, vectors, None, PassageRows(starts, data.draw(st.integers(0, N_TERMS)))
    )
    with np.errstate(over="ignore", under="ignore"):
        found = PassageSearcher(passaged).search_batch(queries, 5)
        expected = ExactSearcher(plain).search_batch(queries, 5)
    assert np.array_equal(found.rows, expected.rows)
    assert np.array_equal(found.scores, expected.scores)


def test_many_documents_and_threads() -> None:
    """More hits than are kept at a time, equal scores, several threads."""
    n = 3_000
    counts = np.tile([1, 3, 2], n // 3)
    rng = np.random.default_rng(1)
    vectors = CSR.from_rows(
        [{int(t): float(rng.integers(1, 4)) for t in rng.integers(0, 6, 3)} for _ in range(2 * n)],
        6,
    )
    doc_ids = [f"{(7 * i) % n:05}" for i in range(n)]
    segment = Segment.build(doc_ids, vectors, None, PassageRows(np.cumsum([0, *counts]), 6))
    queries = CSR.from_rows([{0: 1.0, 2: 2.0}, {}, {5: 1.0}, {1: 1.0, 3: 1.0, 4: 0.5}], 6)
    searcher = PassageSearcher(segment)
    one, two = (searcher.search_batch(queries, 700, n_threads=t) for t in (1, 3))
    assert np.array_equal(one.rows, two.rows)
    assert hits(one) == naive.scan_passages(queries, vectors, counts.tolist(), 6, doc_ids, 700)


def test_bad_requests_are_refused() -> None:
    segment = Segment.build(["a"], CSR.empty(2, 1), None, PassageRows(np.array([0, 2]), 0))
    searcher = PassageSearcher(segment)
    with pytest.raises(QueryError, match="ask for at least 1"):
        searcher.search_batch(CSR.empty(1, 1), 0)
    with pytest.raises(QueryError, match="one flag for each of 1"):
        searcher.search_batch(CSR.empty(1, 1), 1, np.ones(2, bool))
    assert searcher.score(SparseVector.from_mapping({}), np.zeros(0, np.int32)).shape == (0,)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_dense_search_is_by_the_best_passage(data: st.DataObject) -> None:
    pytest.importorskip("faiss")
    counts = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=9))
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    vectors = rng.normal(size=(sum(counts), 4)).astype(np.float32)
    vectors[rng.random(len(vectors)) < 0.3] = 0
    queries = rng.normal(size=(3, 4)).astype(np.float32)
    allowed = data.draw(masks(len(counts)))
    k = data.draw(st.integers(1, 5))
    starts = np.cumsum([0, *counts])
    doc_ids = [str(i) for i in range(len(counts))]
    segment = Segment.build(doc_ids, CSR.empty(len(vectors), 0), vectors, PassageRows(starts, 0))
    assert segment.passages is not None
    index = PassageDenseIndex(DenseIndex(segment.vectors, segment.passage_order), segment.passages)
    has = [bool(vectors[a:b].any()) for a, b in pairwise(starts.tolist())]
    assert index.has_vector.tolist() == has
    found = Ranking(*index.search(queries, k, allowed))
    for query, mine in zip(queries, hits(found), strict=True):
        best = index.score(query, np.arange(len(counts), dtype=np.int32))
        by_hand = [
            max((float(v @ query) for v in vectors[a:b] if v.any()), default=-np.inf)
            for a, b in pairwise(starts.tolist())
        ]
        rows = [r for r in range(len(counts)) if has[r] and (allowed is None or allowed[r])]
        rows.sort(key=lambda r: -by_hand[r])
        assert [row for row, _ in mine] == rows[:k]
        assert [score for _, score in mine] == [best[row] for row in rows[:k]]


def test_places_and_vectors_of_best_passages() -> None:
    scores = np.array([1, 3, 3, 2, 5], np.float32)
    assert best_places(scores, np.array([0, 3, 4, 5])).tolist() == [1, 3, 4]
    passage = SparseVector.from_mapping({0: 1.0, 2: 2.0})
    first = SparseVector.from_mapping({1: 5.0, 3: 1.0, 4: 2.0})
    assert joined(passage, first, 3).terms.tolist() == [0, 2, 3, 4]
    whole = CSR.from_rows([{0: 1.0}, {}, {1: 2.0}])
    spread = at_first_passages(whole, [2, 1, 3])
    assert [spread.row(i).terms.tolist() for i in range(6)] == [[0], [], [], [1], [], []]
    assert at_first_passages(CSR.empty(0, 3), []).n_rows == 0


def test_passages_of_rows() -> None:
    rows = PassageRows(np.array([0, 2, 3, 6]), 4)
    assert rows.row_of.tolist() == [0, 0, 1, 2, 2, 2]
    passages, edges = rows.of(np.array([2, 0, 2], np.int32))
    assert passages.tolist() == [3, 4, 5, 0, 1, 3, 4, 5]
    assert edges.tolist() == [0, 3, 5, 8]
    assert rows.of(np.zeros(0, np.int32))[1].tolist() == [0]
    # rows sorted by doc_id: 2, 0, 1
    assert rows.order(np.array([1, 2, 0], np.int32)).tolist() == [3, 4, 5, 0, 1, 2]
    for damaged in ([], [1, 2], [0, 2, 2], [0, 3, 2]):
        with pytest.raises(ValueError, match="without passages"):
            PassageRows(np.array(damaged, np.int64), 0)
