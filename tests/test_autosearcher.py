"""Choosing between exact and approximate search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lsr.errors import QueryError
from lsr.index.autosearcher import AutoSearcher
from lsr.index.blockbuilder import build_blocks
from lsr.index.config import BuildConfig, GlobalPruning, SearchParams
from lsr.index.costs import Costs, typical_costs
from lsr.index.segment import Segment
from lsr.sparse import CSR

N, N_TERMS = 1_000, 200
LOOSE = SearchParams(k=5, query_cut=2, heap_factor=1.5)
EXACT_IS_FREE = Costs(0.0, 0.0, 1.0, 1.0)
APPROXIMATE_IS_FREE = Costs(1.0, 1.0, 0.0, 0.0)
BY_POSTINGS = Costs(0.0, 1_000.0, 200.0, 0.0)
"""Exact search pays below 200 postings."""


def made(n: int, mean: int, seed: int) -> CSR:
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        terms = np.unique((rng.random(mean) ** 3 * N_TERMS).astype(int))
        rows.append({int(term): float(rng.lognormal()) for term in terms})
    return CSR.from_rows(rows, N_TERMS)


@pytest.fixture(scope="module")
def segment() -> Segment:
    return Segment.build([f"{row:04d}" for row in range(N)], made(N, 12, 0))


@pytest.fixture(scope="module")
def searcher(segment: Segment) -> AutoSearcher:
    config = BuildConfig(GlobalPruning(20, 2.0), values="f32")
    return AutoSearcher(segment, build_blocks(made(N, 12, 0), config), LOOSE)


@pytest.fixture(scope="module")
def queries() -> CSR:
    return made(60, 4, 1)


def test_it_takes_the_cheaper_mode(searcher: AutoSearcher, queries: CSR) -> None:
    exact = searcher.search_many(queries, replace(LOOSE, mode="exact"))
    approximate = searcher.search_many(queries, replace(LOOSE, mode="approximate"))
    assert not np.array_equal(exact.rows, approximate.rows)
    for costs, expected in ((EXACT_IS_FREE, exact), (APPROXIMATE_IS_FREE, approximate)):
        searcher.costs = costs
        assert np.array_equal(searcher.search_many(queries, LOOSE).rows, expected.rows)


def test_queries_of_a_batch_are_chosen_for_one_by_one(searcher: AutoSearcher, queries: CSR) -> None:
    searcher.costs = BY_POSTINGS
    postings, _ = searcher.work(queries, LOOSE)
    chosen = searcher.choose(queries, LOOSE)
    assert np.array_equal(chosen, postings > 200)
    assert 0 < chosen.sum() < len(chosen)
    exact = searcher.search_many(queries, replace(LOOSE, mode="exact"))
    approximate = searcher.search_many(queries, replace(LOOSE, mode="approximate"))
    found = searcher.search_many(queries, LOOSE)
    assert np.array_equal(found.rows, np.where(chosen[:, None], approximate.rows, exact.rows))
    single = [searcher.search(queries.row(q), LOOSE).rows for q in range(queries.n_rows)]
    assert np.array_equal(found.rows, np.concatenate(single))


def test_work_is_counted(searcher: AutoSearcher, segment: Segment, queries: CSR) -> None:
    postings, blocks = searcher.work(queries, LOOSE)
    lengths = np.diff(segment.list_indptr)
    assert searcher.blocks is not None
    index = searcher.blocks.index
    groups, group_blocks = index.part("list_groups"), index.part("group_blocks")
    for q in range(queries.n_rows):
        query = queries.row(q)
        assert postings[q] == lengths[query.terms].sum()
        heaviest = query.terms[np.argsort(-query.weights, kind="stable")[:2]]
        assert (
            blocks[q] == (group_blocks[groups[heaviest + 1]] - group_blocks[groups[heaviest]]).sum()
        )


def test_few_documents_that_pass_are_searched_exactly(searcher: AutoSearcher, queries: CSR) -> None:
    searcher.costs = APPROXIMATE_IS_FREE
    for share in (0.0, 0.01, 0.04):
        mask = np.random.default_rng(2).random(N) < share
        params = replace(LOOSE, filter=mask)
        exact = searcher.search_many(queries, replace(params, mode="exact"))
        found = searcher.search_many(queries, params)
        assert np.array_equal(found.rows, exact.rows)
        assert np.array_equal(found.scores, exact.scores)
        assert mask[found.rows[found.rows >= 0]].all()


def test_a_filter_lets_more_in(searcher: AutoSearcher, queries: CSR) -> None:
    searcher.costs = APPROXIMATE_IS_FREE
    mask = np.random.default_rng(2).random(N) < 0.2
    params = replace(LOOSE, filter=mask)
    exact = searcher.search_many(queries, replace(params, mode="exact"))
    hits = [
        int((searcher.search_many(queries, each).rows == exact.rows).sum())
        for each in (replace(params, mode="approximate"), params)
    ]
    assert hits[0] < hits[1]


def test_many_more_hits_are_searched_for_exactly(searcher: AutoSearcher, queries: CSR) -> None:
    searcher.costs = APPROXIMATE_IS_FREE
    exact = searcher.exact.search_batch(queries, 51)
    assert np.array_equal(searcher.search_batch(queries, 51).rows, exact.rows)
    assert not np.array_equal(searcher.search_batch(queries, 50).rows, exact.rows[:, :50])


def test_a_lower_heap_factor_costs_more() -> None:
    cheap, dear = (typical_costs(1_000_000, 10, factor) for factor in (1.0, 0.5))
    assert cheap.approximate_query_us < dear.approximate_query_us
    assert cheap.exact_query_us == dear.exact_query_us


def test_without_blocks_every_mode_is_exact(segment: Segment, queries: CSR) -> None:
    searcher = AutoSearcher(segment, None)
    exact = searcher.exact.search_batch(queries, 5)
    for mode in ("auto", "approximate", "exact"):
        assert np.array_equal(
            searcher.search_many(queries, SearchParams(5, mode=mode)).rows, exact.rows
        )
    searcher.warm_up()


def test_bad_arguments(searcher: AutoSearcher, segment: Segment, queries: CSR) -> None:
    with pytest.raises(QueryError, match="k is 0"):
        searcher.search_batch(queries, 0)
    with pytest.raises(QueryError, match="0 threads"):
        searcher.search_many(queries, LOOSE, 0)
    with pytest.raises(QueryError, match=r"shape \(7,\)"):
        searcher.search_many(queries, replace(LOOSE, filter=np.ones(7, bool)))
    assert searcher.blocks is not None
    with pytest.raises(ValueError, match="1000 rows"):
        AutoSearcher(segment, build_blocks(made(3, 5, 0)))
