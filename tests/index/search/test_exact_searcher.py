"""`ExactSearcher` is the naive twin, bit for bit, however the work is cut up."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lsr.errors import QueryError
from lsr.index.kernels.top_k import SPARE_KEYS
from lsr.index.search.exact_searcher import ExactSearcher
from lsr.index.storage.segment import Segment
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR, SparseVector
from tests.naive import exact as naive
from tests.support.strategies import doc_id_lists, masks, matrices

pytestmark = pytest.mark.kernel

quick = settings(max_examples=100, deadline=None)
overflows = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")


def pairs(ranking: Ranking) -> list[list[tuple[int, float]]]:
    """Hits of each query; checks that padding is at the end, and is -1 and 0."""
    result = []
    for rows, scores in zip(ranking.rows.tolist(), ranking.scores.tolist(), strict=True):
        n = sum(row >= 0 for row in rows)
        assert rows[n:] == [-1] * (len(rows) - n)
        assert scores[n:] == [0.0] * (len(rows) - n)
        result.append(list(zip(rows[:n], scores[:n], strict=True)))
    return result


def same(a: Ranking, b: Ranking) -> bool:
    return np.array_equal(a.rows, b.rows) and np.array_equal(a.scores, b.scores)


@overflows
@settings(quick, phases=[Phase.explicit, Phase.reuse, Phase.generate])  # shrinking takes minutes
@given(st.data())
def test_searcher_is_the_twin(data: st.DataObject) -> None:
    documents = data.draw(matrices(), label="documents")
    n = documents.n_rows
    doc_ids = data.draw(doc_id_lists(n), label="ids")
    queries = data.draw(matrices(n_terms=documents.n_terms, max_rows=5), label="queries")
    queries = CSR.concatenate([queries, queries])
    allowed = data.draw(masks(n), label="mask")
    k = data.draw(st.sampled_from([1, 2, 3, max(n, 1), n + 5]), label="k")
    segment = Segment.build(doc_ids, documents)
    expected = [
        [(row, float(score)) for row, score in hits]
        for hits in naive.scan_batch(queries, documents, doc_ids, k, allowed)
    ]
    first = ExactSearcher(segment).search_batch(queries, k, allowed)
    assert first.rows.dtype == np.int32
    assert first.scores.dtype == np.float32
    assert first.rows.shape == first.scores.shape == (queries.n_rows, k)
    assert pairs(first) == expected
    for window in (1, 2, 7, max(n, 1), n + 1):
        searcher = ExactSearcher(segment, window=window)
        assert same(searcher.search_batch(queries, k, allowed), first), window
        assert same(searcher.search_batch(queries, k, allowed, n_threads=3), first), window
    for i in range(queries.n_rows):
        single = ExactSearcher(segment).search_batch(queries.row(i).as_matrix(), k, allowed)
        assert same(single, Ranking(first.rows[i : i + 1], first.scores[i : i + 1]))


def random_matrix(rng: np.random.Generator, n_rows: int, n_terms: int, n_each: int) -> CSR:
    rows = []
    for _ in range(n_rows):
        terms = rng.choice(n_terms, rng.integers(0, n_each + 1), replace=False)
        rows.append(
            {int(t): float(w) for t, w in zip(terms, rng.random(len(terms)) + 0.01, strict=True)}
        )
    return CSR.from_rows(rows, n_terms)


@pytest.mark.parametrize("k", [1, 10, 40, 700, 1_000])
def test_many_documents(k: int) -> None:
    """Enough documents for groups, cut-offs and several windows to matter."""
    rng = np.random.default_rng(7)
    documents = random_matrix(rng, 700, 30, 8)
    queries = random_matrix(rng, 6, 30, 5)
    doc_ids = [f"{i:x}" for i in rng.permutation(700)]
    allowed = rng.random(700) < 0.5
    segment = Segment.build(doc_ids, documents)
    for mask in (None, allowed):
        expected = [
            [(row, float(score)) for row, score in hits]
            for hits in naive.scan_batch(queries, documents, doc_ids, k, mask)
        ]
        for window in (17, 100, 256, 700, 65_536):
            searcher = ExactSearcher(segment, window=window)
            assert pairs(searcher.search_batch(queries, k, mask)) == expected, window


@pytest.mark.parametrize("window", [500, 65_536])
@pytest.mark.parametrize("k", [5, 300, 3_000, 4_000])
def test_equal_scores_by_doc_id(window: int, k: int) -> None:
    """More documents with one score than the buffer for keys holds (2 k + 512 for k = 5)."""
    n = 3_000
    assert n > 2 * 5 + SPARE_KEYS
    doc_ids = [f"d{i:05}" for i in np.random.default_rng(3).permutation(n)]
    segment = Segment.build(doc_ids, CSR.from_rows([{0: 1.5}] * n))
    (hits,) = pairs(ExactSearcher(segment, window=window).search_batch(CSR.from_rows([{0: 2}]), k))
    assert [doc_ids[row] for row, _ in hits] == sorted(doc_ids)[:k]
    assert {score for _, score in hits} == {3.0}


@pytest.mark.parametrize("window", [64, 500, 65_536])
@pytest.mark.parametrize("rising", [True, False])
def test_scores_that_rise_or_fall_with_the_row(window: int, rising: bool) -> None:
    """Rising scores make every document a hit for a while: the key buffer overflows often."""
    n = 2_000
    weights = [float(i + 1 if rising else n - i) for i in range(n)]
    doc_ids = [f"{i:04}" for i in range(n)]
    segment = Segment.build(doc_ids, CSR.from_rows([{0: weight} for weight in weights]))
    searcher = ExactSearcher(segment, window=window)
    (hits,) = pairs(searcher.search_batch(CSR.from_rows([{0: 1.0}]), 7))
    assert [score for _, score in hits] == [float(n - i) for i in range(7)]


@overflows
@pytest.mark.parametrize("weight", [2.0**-149, 1e-40, 1e-37, 1e-20, 1e30])
def test_extreme_weights(weight: float) -> None:
    """Scores too small or too large to divide by stay in order, also infinite ones."""
    other = weight / 2 if weight > 1e-44 else weight
    documents = CSR.from_rows([{0: weight}, {0: other}, {0: weight}, {}] * 20)
    doc_ids = [f"{i:02}" for i in range(80)]
    segment = Segment.build(doc_ids, documents)
    for query_weight in (1.0, 1e30, 1e-30):
        queries = CSR.from_rows([{0: query_weight}])
        for k in (1, 3, 30, 90):
            expected = naive.scan_batch(queries, documents, doc_ids, k)
            found = pairs(ExactSearcher(segment).search_batch(queries, k))
            assert found == [[(row, float(score)) for row, score in hits] for hits in expected]


def test_id_order_is_by_code_point() -> None:
    doc_ids = ["b", "a\x00", "a", "é", "z", "B", "😀", "\uffff", "aa"]
    segment = Segment.build(doc_ids, CSR.from_rows([{0: 1.0}] * len(doc_ids)))
    (hits,) = pairs(ExactSearcher(segment).search_batch(CSR.from_rows([{0: 1.0}]), 20))
    assert [doc_ids[row] for row, _ in hits] == sorted(doc_ids)
    assert segment.doc_ids(np.array([row for row, _ in hits], np.int32)) == sorted(doc_ids)


@overflows
@quick
@given(st.data())
def test_scores_of_chosen_rows_are_those_of_a_search(data: st.DataObject) -> None:
    documents = data.draw(matrices(), label="documents")
    n = documents.n_rows
    searcher = ExactSearcher(Segment.build([f"{i}" for i in range(n)], documents))
    query = data.draw(matrices(n_rows=1, n_terms=documents.n_terms + 2), label="query").row(0)
    rows = np.array(data.draw(st.permutations(range(n))), np.int32)
    scores = searcher.score(query, rows)
    assert scores.dtype == np.float32
    assert scores.shape == (n,)
    (hits,) = pairs(searcher.search_batch(query.as_matrix(), max(n, 1)))
    assert dict(hits) == {
        row: score for row, score in zip(rows.tolist(), scores.tolist(), strict=True) if score > 0
    }
    assert searcher.score(query, rows[:0]).tolist() == []


@quick
@given(st.data())
def test_document_weights_are_the_documents(data: st.DataObject) -> None:
    documents = data.draw(matrices(), label="documents")
    n, width = documents.n_rows, documents.n_terms
    searcher = ExactSearcher(Segment.build([f"{i}" for i in range(n)], documents))
    rows = np.array(data.draw(st.permutations(range(n))), np.int32)
    terms = np.array(data.draw(st.lists(st.integers(0, width + 2), max_size=6)), np.int32)
    weights = searcher.document_weights(terms, rows)
    assert weights.dtype == np.float32
    assert weights.shape == (n, len(terms))
    expected = naive.rows_of(documents)
    for i, row in enumerate(rows.tolist()):
        assert weights[i].tolist() == [float(expected[row].get(t, 0)) for t in terms.tolist()]


def test_scoring_leaves_read_only_and_strided_arguments_alone() -> None:
    searcher = ExactSearcher(small())
    terms, rows = np.arange(4, dtype=np.int32)[::2], np.array([2, 0, 2, 1], np.int32)[::-1]
    terms.flags.writeable = rows.flags.writeable = False
    query = SparseVector(terms, np.array([1, 5], np.float32))
    assert searcher.score(query, rows).tolist() == [0.0, 2.0, 1.0, 2.0]
    assert searcher.document_weights(terms, rows).tolist() == [[0, 0], [2, 0], [1, 0], [2, 0]]


def small() -> Segment:
    return Segment.build(["a", "b", "c"], CSR.from_rows([{0: 1.0}, {}, {0: 2.0, 1: 1.0}], 2))


def test_unknown_terms_are_ignored() -> None:
    searcher = ExactSearcher(small())
    known = searcher.search_batch(CSR.from_rows([{0: 1.0}, {}, {1: 1.0}]), 3)
    wide = searcher.search_batch(CSR.from_rows([{0: 1.0, 7: 9.0}, {9: 1.0}, {1: 1.0, 2: 1.0}]), 3)
    assert same(known, wide)
    assert pairs(known) == [[(2, 2.0), (0, 1.0)], [], [(2, 1.0)]]
    lone = SparseVector(np.array([0, 2**31 - 2], np.int32), np.array([1, 1], np.float32))
    assert pairs(searcher.search_batch(lone.as_matrix(), 3)) == [[(2, 2.0), (0, 1.0)]]


def test_nothing_to_find() -> None:
    searcher = ExactSearcher(small())
    assert pairs(searcher.search_batch(CSR.empty(2, 2), 4)) == [[], []]
    assert searcher.search_batch(CSR.empty(0, 2), 4).rows.shape == (0, 4)
    assert pairs(searcher.search_batch(SparseVector.from_mapping({}).as_matrix(), 1)) == [[]]


def test_no_documents() -> None:
    for n_terms in (0, 3):
        searcher = ExactSearcher(Segment.build([], CSR.empty(0, n_terms)))
        queries = CSR.from_rows([{0: 1.0}, {}])
        assert pairs(searcher.search_batch(queries, 2)) == [[], []]
        assert pairs(searcher.search_batch(queries, 2, np.zeros(0, np.bool_))) == [[], []]


def test_documents_without_terms() -> None:
    searcher = ExactSearcher(Segment.build(["a", "b"], CSR.empty(2, 0)))
    assert pairs(searcher.search_batch(CSR.from_rows([{0: 1.0}]), 2)) == [[]]


@pytest.mark.parametrize("k", [0, -1])
def test_bad_k(k: int) -> None:
    with pytest.raises(QueryError, match=f"k is {k}"):
        ExactSearcher(small()).search_batch(CSR.empty(1, 2), k)
    with pytest.raises(QueryError, match=f"k is {k}"):
        ExactSearcher(small()).search_batch(CSR.from_rows([{0: 1.0}]), k)


@pytest.mark.parametrize("shape", [(0,), (2,), (4,), (3, 1), (1, 3)])
def test_bad_mask(shape: tuple[int, ...]) -> None:
    with pytest.raises(QueryError, match="3 documents"):
        ExactSearcher(small()).search_batch(CSR.empty(1, 2), 1, np.ones(shape, np.bool_))


def test_bad_threads_and_window() -> None:
    with pytest.raises(QueryError, match="0 threads"):
        ExactSearcher(small()).search_batch(CSR.empty(1, 2), 1, n_threads=0)
    with pytest.raises(ValueError, match="window of 0"):
        ExactSearcher(small(), window=0)


def test_the_callers_mask_stays_writeable() -> None:
    mask = np.ones(3, np.bool_)
    ExactSearcher(small()).search_batch(CSR.from_rows([{0: 1.0}]), 1, mask)
    mask[0] = False
    assert mask.flags.writeable


@pytest.mark.parametrize("n_queries", [1, 2, 3, 10])
def test_threads_keep_the_order_of_queries(n_queries: int) -> None:
    rng = np.random.default_rng(5)
    segment = Segment.build([f"{i}" for i in range(50)], random_matrix(rng, 50, 10, 5))
    queries = random_matrix(rng, n_queries, 10, 4)
    searcher = ExactSearcher(segment)
    alone = searcher.search_batch(queries, 9)
    for n_threads in (2, 3, 16):
        assert same(searcher.search_batch(queries, 9, n_threads=n_threads), alone)


def test_no_jit_is_honoured() -> None:
    """The three ways of CI are really three: the kernel is a plain function when asked for."""
    from lsr.index.kernels.exact import scan_batch

    assert hasattr(scan_batch, "signatures") is not bool(numba.config.DISABLE_JIT)
