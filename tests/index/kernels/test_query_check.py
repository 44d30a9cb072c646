"""Queries that no kernel may see: refused by every way in, before anything is read or written."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from lsr.errors import QueryError
from lsr.index.blocks.config import SearchParams, Strategy
from lsr.index.kernels.dispatch import search_mixed
from lsr.index.kernels.query_check import terms_beyond, wrong_query
from lsr.index.search import block_searcher
from lsr.index.search.block_searcher import BlockSearcher
from lsr.index.search.costs import Costs
from lsr.index.sparse_index import SparseIndex
from lsr.sparse import CSR, SparseVector
from tests.support.block_indexes import both_ways, compiled

pytestmark = pytest.mark.kernel

NAN, INF = float("nan"), float("inf")
WRONG: dict[str, tuple[list[int], list[float]]] = {
    "not a number": ([1, 3], [1.0, NAN]),
    "negative weight": ([1, 3], [-1.0, 2.0]),
    "infinite weight": ([1], [INF]),
    "a weight too few": ([1, 3], [1.0]),
    "a weight too many": ([1], [1.0, 2.0]),
    "a term twice": ([3, 3], [1.0, 2.0]),
    "not in order": ([3, 1], [1.0, 2.0]),
    "beyond the index and not in order": ([2_000_000_000, 1], [1.0, 2.0]),
    "negative term": ([-1, 3], [1.0, 2.0]),
}
STRATEGIES: tuple[Strategy, ...] = ("exact", "approximate", "auto")


def vector(terms: list[int], weights: list[float]) -> SparseVector:
    return SparseVector(np.array(terms, np.int32), np.array(weights, np.float32))


@pytest.fixture(scope="module")
def index() -> SparseIndex:
    rows = [{0: 1.0, 3: 2.0}, {1: 1.0}, {3: 0.5}, {}]
    return SparseIndex.build(CSR.from_rows(rows, 5))


@compiled
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("filtered", [False, True])
def test_a_query_is_refused(
    index: SparseIndex, wrong: str, strategy: Strategy, filtered: bool
) -> None:
    only = np.array([True, True, False, True]) if filtered else None
    params = SearchParams(k=2, strategy=strategy, filter=only)
    with pytest.raises(QueryError, match="query 0 cannot be searched for: its terms must"):
        index.search(vector(*WRONG[wrong]), params)
    found = index.search(vector([0, 3], [1.0, 1.0]), params)
    assert found.rows.tolist() == [[0, -1 if filtered else 2]], "working memory was left dirty"


@compiled
@pytest.mark.parametrize("wrong", WRONG)
def test_scores_of_a_query_are_refused(index: SparseIndex, wrong: str) -> None:
    query = vector(*WRONG[wrong])
    rows = np.array([0, 2], np.int32)
    with pytest.raises(QueryError, match="query 0"):
        index.searcher.score(query, rows)
    with pytest.raises(QueryError, match="query 0"):
        index.searcher.search_rows(query.as_matrix(), rows, 1)


def arrays(*queries: tuple[list[int], list[float]]) -> tuple[NDArray[Any], ...]:
    terms, weights = ([each for query in queries for each in query[part]] for part in (0, 1))
    indptr = np.cumsum([0, *(len(query[0]) for query in queries)])
    return indptr, np.array(terms, np.int32), np.array(weights, np.float32)


@both_ways
def test_the_first_wrong_query_is_named(way: Any) -> None:
    fine: tuple[list[int], list[float]] = ([0, 4, 9], [0.0, 1.0, 3e38])
    assert way(wrong_query)(*arrays(), 0, 0) == -1
    assert way(wrong_query)(*arrays(fine, ([], []), fine), 0, 3) == -1
    for name, wrong in WRONG.items():
        queries = arrays(fine, ([], []), wrong, fine, wrong)
        expected = 0 if "a weight too" in name else 2
        assert way(wrong_query)(*queries, 0, 5) == expected, name
    queries = arrays(fine, WRONG["a term twice"], fine)
    assert way(wrong_query)(*queries, 0, 1) == -1
    assert way(wrong_query)(*queries, 2, 3) == -1
    indptr, terms, weights = arrays(fine, fine)
    assert way(wrong_query)(indptr + 1, terms, weights, 0, 2) == 0


@both_ways
def test_terms_beyond_the_index_are_counted(way: Any) -> None:
    queries = arrays(([0, 4, 9], [1.0] * 3), ([], []), ([5, 6], [1.0] * 2))
    for n_terms, first, last, expected in ((5, 0, 3, 3), (5, 1, 3, 2), (6, 0, 3, 2), (10, 0, 3, 0)):
        assert way(terms_beyond)(*queries[:2], first, last, n_terms) == expected
    assert way(terms_beyond)(*queries[:2], 0, 3, 0) == 5


@compiled
def test_ignored_terms_are_counted(index: SparseIndex) -> None:
    before = index.counters()["query_terms_ignored"]
    query = vector([3, 5, 1_000_000], [1.0, 1.0, 1.0])
    for strategy in STRATEGIES:
        assert index.search(query, SearchParams(k=1, strategy=strategy)).rows.tolist() == [[0]]
    assert index.counters()["query_terms_ignored"] == before + 6


def test_approximate_search_is_counted(index: SparseIndex) -> None:
    before = index.counters()
    index.search(vector([3], [1.0]), SearchParams(k=1, strategy="approximate"))
    after = index.counters()
    for name in ("blocks_estimated", "blocks_visited", "documents_scored"):
        assert after[name] > before[name]


@compiled
def test_search_is_compiled_once(index: SparseIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays that differ only in being writable would take seconds of a first query."""
    kinds = set()

    def watch(*given: Any) -> int:
        kinds.add(tuple(map(numba.typeof, given)))
        return int(search_mixed(*given))

    monkeypatch.setattr(block_searcher, "search_mixed", watch)
    query = vector([3], [1.0])
    index.warm_up()
    for only in (None, np.ones(4, bool), index.mask(["0"])):
        for strategy in STRATEGIES:
            index.search(query, SearchParams(k=1, strategy=strategy, filter=only))
    index.search_batch(CSR.from_rows([{3: 1.0}]), SearchParams(k=1))
    costs = Costs(1.0, 1.0, 1.0, 1.0)
    calibrated = BlockSearcher(index.blocks, index.ids.tie_order, costs)
    calibrated.search_batch(query.as_matrix(), SearchParams(k=1))
    assert len(kinds) == 1
