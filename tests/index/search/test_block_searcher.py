"""Choosing between exact and approximate search, and exact search to the bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lsr.errors import QueryError
from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.config import BuildConfig, GlobalPruning, SearchParams
from lsr.index.indexer.block_builder import build_blocks
from lsr.index.kernels import dispatch
from lsr.index.kernels.block_scores import search_rows
from lsr.index.kernels.block_search import search_blocks
from lsr.index.kernels.dispatch import PRIMED_HITS, PRIMED_POSTINGS, search_mixed
from lsr.index.kernels.query_cost import costs_less, count_work
from lsr.index.kernels.scan_search import scan_lists
from lsr.index.search import block_searcher as module
from lsr.index.search.block_searcher import BlockSearcher
from lsr.index.search.costs import Costs, typical_costs
from lsr.index.search.exact_searcher import ExactSearcher
from lsr.index.storage.doc_ids import DocIds
from lsr.index.storage.segment import Segment
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR
from tests.support.block_indexes import both_ways, compiled, interpreted, skewed_collection

pytestmark = pytest.mark.kernel

N, N_TERMS = 1_000, 200
LOOSE = SearchParams(k=5, query_cut=2, heap_factor=1.5)
EXACT_IS_FREE = Costs(0.0, 0.0, 1.0, 1.0)
APPROXIMATE_IS_FREE = Costs(1.0, 1.0, 0.0, 0.0)
BY_POSTINGS = Costs(0.0, 1_000.0, 200.0, 0.0)
"""Exact search pays below 200 postings."""


def made(n: int, mean: int, seed: int) -> CSR:
    return skewed_collection(n, mean, seed, N_TERMS)


IDS = [f"{row * 7 % N:04d}" for row in range(N)]


@pytest.fixture(scope="module")
def documents() -> CSR:
    return made(N, 12, 0)


@pytest.fixture(scope="module")
def plain_exact(documents: CSR) -> ExactSearcher:
    """Exact search as collections without blocks have it, over the same documents."""
    return ExactSearcher(Segment.build(IDS, documents))


@pytest.fixture(scope="module")
def blocks(documents: CSR) -> BlockIndex:
    return build_blocks(documents, BuildConfig(GlobalPruning(20, 2.0), values="f32"))


@pytest.fixture
def searcher(blocks: BlockIndex) -> BlockSearcher:
    return BlockSearcher(blocks, DocIds.build(IDS).tie_order)


def costing(costs: Costs, searcher: BlockSearcher) -> BlockSearcher:
    """The same searcher, with other costs."""
    return BlockSearcher(searcher.index, DocIds.build(IDS).tie_order, costs)


@pytest.fixture(scope="module")
def queries() -> CSR:
    return made(60, 4, 1)


def test_it_takes_the_cheaper_mode(searcher: BlockSearcher, queries: CSR) -> None:
    exact = searcher.search_batch(queries, replace(LOOSE, strategy="exact"))
    approximate = searcher.search_batch(queries, replace(LOOSE, strategy="approximate"))
    assert not np.array_equal(exact.rows, approximate.rows)
    for costs, expected in ((EXACT_IS_FREE, exact), (APPROXIMATE_IS_FREE, approximate)):
        searcher = costing(costs, searcher)
        assert np.array_equal(searcher.search_batch(queries, LOOSE).rows, expected.rows)


def test_queries_of_a_batch_are_chosen_for_one_by_one(
    searcher: BlockSearcher, queries: CSR
) -> None:
    searcher = costing(BY_POSTINGS, searcher)
    postings, _ = searcher.work(queries, LOOSE)
    chosen = searcher.choose(queries, LOOSE)
    assert np.array_equal(chosen, postings > 200)
    assert 0 < chosen.sum() < len(chosen)
    exact = searcher.search_batch(queries, replace(LOOSE, strategy="exact"))
    approximate = searcher.search_batch(queries, replace(LOOSE, strategy="approximate"))
    found = searcher.search_batch(queries, LOOSE)
    assert np.array_equal(found.rows, np.where(chosen[:, None], approximate.rows, exact.rows))
    single = [
        searcher.search_batch(queries.row(q).as_matrix(), LOOSE).rows for q in range(queries.n_rows)
    ]
    assert np.array_equal(found.rows, np.concatenate(single))


def test_work_is_counted(searcher: BlockSearcher, documents: CSR, queries: CSR) -> None:
    postings, blocks = searcher.work(queries, LOOSE)
    lengths = np.bincount(documents.terms, minlength=N_TERMS)
    index = searcher.index
    groups, group_blocks = index.array("list_groups"), index.array("group_blocks")
    for q in range(queries.n_rows):
        query = queries.row(q)
        assert postings[q] == lengths[query.terms].sum()
        heaviest = query.terms[np.argsort(-query.weights, kind="stable")[:2]]
        assert (
            blocks[q] == (group_blocks[groups[heaviest + 1]] - group_blocks[groups[heaviest]]).sum()
        )


def test_few_documents_that_pass_are_searched_exactly(
    searcher: BlockSearcher, queries: CSR
) -> None:
    searcher = costing(APPROXIMATE_IS_FREE, searcher)
    for share in (0.0, 0.01, 0.04):
        mask = np.random.default_rng(2).random(N) < share
        params = replace(LOOSE, filter=mask)
        exact = searcher.search_batch(queries, replace(params, strategy="exact"))
        found = searcher.search_batch(queries, params)
        assert np.array_equal(found.rows, exact.rows)
        assert np.array_equal(found.scores, exact.scores)
        assert mask[found.rows[found.rows >= 0]].all()


def test_a_filter_lets_more_in(searcher: BlockSearcher, queries: CSR) -> None:
    searcher = costing(APPROXIMATE_IS_FREE, searcher)
    mask = np.random.default_rng(2).random(N) < 0.2
    params = replace(LOOSE, filter=mask)
    exact = searcher.search_batch(queries, replace(params, strategy="exact"))
    hits = [
        int((searcher.search_batch(queries, each).rows == exact.rows).sum())
        for each in (replace(params, strategy="approximate"), params)
    ]
    assert hits[0] < hits[1]


def test_more_lists_than_can_be_asked_for(searcher: BlockSearcher, queries: CSR) -> None:
    """What a filter adds stays within what parameters allow."""
    searcher = costing(APPROXIMATE_IS_FREE, searcher)
    mask = np.random.default_rng(2).random(N) < 0.2
    params = SearchParams(k=5, query_cut=2**31 - 1, heap_factor=0.0, filter=mask)
    found = searcher.search_batch(queries, params)
    exact = searcher.search_batch(queries, replace(params, strategy="exact"))
    assert (found.scores <= exact.scores).all()


def test_a_lower_heap_factor_costs_more() -> None:
    cheap, dear = (typical_costs(1_000_000, 10, factor) for factor in (1.0, 0.5))
    assert cheap.approximate_query_us < dear.approximate_query_us
    assert cheap.exact_query_us == dear.exact_query_us


def alike(found: Ranking, expected: Ranking) -> bool:
    """To the bit."""
    return np.array_equal(found.rows, expected.rows) and np.array_equal(
        found.scores.view(np.int32), expected.scores.view(np.int32)
    )


class Watched:
    """The kernels that a search calls, noted; `mixed` as Python runs it, with another bound."""

    def __init__(self, patch: pytest.MonkeyPatch, primed: float = PRIMED_POSTINGS) -> None:
        self.calls: list[str] = []
        self.floors: list[list[float]] = []
        patch.setattr(dispatch, "PRIMED_POSTINGS", primed)
        patch.setattr(module, "search_mixed", interpreted(search_mixed))
        patch.setattr(module, "search_rows", self._noted(search_rows))
        for kernel in (search_blocks, scan_lists):
            patch.setattr(dispatch, kernel.__name__, self._noted(kernel))

    def _noted(self, kernel: Any) -> Any:
        def noted(*arguments: Any) -> None:
            self.calls.append(kernel.__name__)
            if kernel is scan_lists:
                first, last, floors = arguments[3], arguments[4], arguments[12]
                self.floors.append(floors[first:last].tolist())
            kernel(*arguments)

        return noted


@pytest.mark.parametrize("share", [None, 0.0, 0.3, 0.9])
@pytest.mark.parametrize("primed", [False, True])
@pytest.mark.parametrize("k", [1, 5, 60])
def test_exact_mode_is_exact_search(
    k: int,
    primed: bool,
    share: float | None,
    searcher: BlockSearcher,
    plain_exact: ExactSearcher,
    queries: CSR,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To the bit, ties too, whether or not approximate search goes before it."""
    mask = None if share is None else np.random.default_rng(4).random(N) < share
    params = SearchParams(k=k, strategy="exact", filter=mask)
    expected = plain_exact.search_batch(queries, k, mask)
    monkeypatch.setattr(module, "ROW_NS", 1e9 if share else 0.0)
    assert alike(searcher.search_batch(queries, params), expected)
    watched = Watched(monkeypatch, -1 if primed else PRIMED_POSTINGS)
    for n_threads in (1, 3):
        assert alike(searcher.search_batch(queries, params, n_threads=n_threads), expected)
    singles = [
        searcher.search_batch(queries.row(q).as_matrix(), params) for q in range(queries.n_rows)
    ]
    assert np.array_equal(np.concatenate([each.rows for each in singles]), expected.rows)
    if share == 0.0:
        assert set(watched.calls) == {"search_rows"}
    else:
        assert set(watched.calls) == ({"search_blocks", "scan_lists"} if primed else {"scan_lists"})
        if k < 60 or not primed:  # fewer may be found
            assert any(map(any, watched.floors)) == primed


@pytest.mark.parametrize("k", [5, PRIMED_HITS, PRIMED_HITS + 1])
def test_long_lists_are_primed_unless_so_many_hits_are_asked_for(
    k: int,
    searcher: BlockSearcher,
    plain_exact: ExactSearcher,
    queries: CSR,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each query for itself; what goes before says what the k-th best scores at least."""
    postings, _ = searcher.work(queries, LOOSE)
    bound = int(np.sort(postings)[30])
    watched = Watched(monkeypatch, bound)
    found = searcher.search_batch(queries, SearchParams(k=k, strategy="exact"))
    assert alike(found, plain_exact.search_batch(queries, k))
    primed = (postings > bound) & (k <= PRIMED_HITS)
    assert watched.calls == ["search_blocks"] * int(primed.sum()) + ["scan_lists"]
    floors = np.array(watched.floors[0], np.float32)
    assert not floors[~primed].any()
    assert (floors <= found.scores[:, -1]).all()
    if k == 5:
        assert (floors[primed] > 0).all()
        assert 0 < int(primed.sum()) < queries.n_rows


def test_each_query_of_a_batch_is_searched_in_its_mode(
    searcher: BlockSearcher, queries: CSR, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other in the order of the batch; neighbours of one strategy together."""
    searcher = costing(BY_POSTINGS, searcher)
    chosen = searcher.choose(queries, LOOSE)
    expected = searcher.search_batch(queries, LOOSE)
    watched = Watched(monkeypatch)
    for n_threads in (1, 2):
        watched.calls.clear()
        assert alike(searcher.search_batch(queries, LOOSE, n_threads=n_threads), expected)
    runs = 1 + int((chosen[1:] != chosen[:-1]).sum())
    watched.calls.clear()
    searcher.search_batch(queries, LOOSE)
    assert len(watched.calls) == runs
    assert watched.calls[0] == ("search_blocks" if chosen[0] else "scan_lists")
    assert 2 < runs < queries.n_rows


def test_where_few_documents_pass_they_are_scored_one_by_one(
    searcher: BlockSearcher,
    plain_exact: ExactSearcher,
    queries: CSR,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where that costs less than the lists."""
    searcher = costing(Costs(1.0, 2.0, 0.0, 0.0), searcher)
    postings, _ = searcher.work(queries, LOOSE)
    exact_ns = 1e3 + 2 * float(postings.mean())
    watched = Watched(monkeypatch)
    mask = np.zeros(N, bool)
    mask[::50] = True
    params = SearchParams(k=5, strategy="exact", filter=mask)
    expected = plain_exact.search_batch(queries, 5, mask)
    for factor, called in ((0.99, "search_rows"), (1.01, "scan_lists")):
        monkeypatch.setattr(module, "ROW_NS", exact_ns / 20 * factor)
        watched.calls.clear()
        assert alike(searcher.search_batch(queries, params), expected)
        assert watched.calls == [called]


def test_scores_and_weights_are_those_of_exact_search(
    searcher: BlockSearcher, plain_exact: ExactSearcher, documents: CSR, queries: CSR
) -> None:
    rows = np.array([5, 5, 999, 0, 17], np.int32)
    terms = np.array([0, 3, 199, N_TERMS + 4], np.int32)
    found = searcher.document_weights(terms, rows)
    assert np.array_equal(found, plain_exact.document_weights(terms, rows))
    assert found.any()
    for q in range(queries.n_rows):
        query = queries.row(q)
        assert np.array_equal(searcher.score(query, rows), plain_exact.score(query, rows))
    nothing = np.zeros(0, np.int32)
    assert searcher.score(queries.row(0), nothing).shape == (0,)
    assert searcher.document_weights(nothing, rows).shape == (5, 0)


def test_warming_up_searches_in_every_mode(
    searcher: BlockSearcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch)
    searcher.warm_up()
    assert set(watched.calls) == {"search_blocks", "scan_lists", "search_rows"}


@compiled
def test_choosing_as_python_runs_it(
    searcher: BlockSearcher, queries: CSR, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terms beyond the vocabulary have no lists, and are none of the heaviest."""
    rows = [dict(zip(*map(np.ndarray.tolist, queries.row(q)), strict=True)) for q in range(9)]
    known = CSR.from_rows(rows, N_TERMS)
    queries = CSR.from_rows([row | {N_TERMS: 50.0, N_TERMS + 9: 40.0} for row in rows])
    work = searcher.work(queries, LOOSE)
    assert all(map(np.array_equal, work, searcher.work(known, LOOSE)))
    assert work[0].all()
    assert work[1].any()
    monkeypatch.setattr(module, "count_work", interpreted(count_work))
    assert all(map(np.array_equal, work, searcher.work(queries, LOOSE)))


@both_ways
def test_what_costs_less(way: Any) -> None:
    costs = Costs(3.0, 2.0, 5.0, 4.0).as_array()
    assert costs.tolist() == [3, 2, 5, 4]
    for n_postings, n_blocks, expected in (
        *((1_001, 0, True), (1_000, 0, False)),
        *((1_001, 1, False), (1_003, 1, True)),
    ):
        assert way(costs_less)(n_postings, n_blocks, costs) is expected


def test_bad_arguments(searcher: BlockSearcher, blocks: BlockIndex, queries: CSR) -> None:
    with pytest.raises(QueryError, match="0 threads"):
        searcher.search_batch(queries, LOOSE, n_threads=0)
    with pytest.raises(QueryError, match=r"shape \(7,\)"):
        searcher.search_batch(queries, replace(LOOSE, filter=np.ones(7, bool)))
    with pytest.raises(ValueError, match="3 rows and 1000 in blocks"):
        BlockSearcher(blocks, np.arange(3, dtype=np.int32))
    with pytest.raises(ValueError, match="1000 rows and 3 in blocks"):
        BlockSearcher(build_blocks(made(3, 5, 0)), np.arange(N, dtype=np.int32))
