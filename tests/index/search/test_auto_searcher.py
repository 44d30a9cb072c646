"""`AutoSearcher`: a block index asked for `k` hits, by parameters of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lsr.errors import QueryError
from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.config import BuildConfig, GlobalPruning, SearchParams
from lsr.index.indexer.block_builder import build_blocks
from lsr.index.search.auto_searcher import AutoSearcher
from lsr.index.search.costs import Costs
from lsr.index.search.exact_searcher import ExactSearcher
from lsr.index.storage.doc_ids import DocIds
from lsr.index.storage.segment import Segment
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR
from tests.support.block_indexes import skewed_collection

pytestmark = pytest.mark.kernel

N, N_TERMS = 1_000, 200
LOOSE = SearchParams(k=5, query_cut=2, heap_factor=1.5)
APPROXIMATE_IS_FREE = Costs(1.0, 1.0, 0.0, 0.0)
IDS = [f"{row * 7 % N:04d}" for row in range(N)]
TIE_ORDER = DocIds.build(IDS).tie_order


@pytest.fixture(scope="module")
def documents() -> CSR:
    return skewed_collection(N, 12, 0, N_TERMS)


@pytest.fixture(scope="module")
def queries() -> CSR:
    return skewed_collection(60, 4, 1, N_TERMS)


@pytest.fixture(scope="module")
def exact(documents: CSR) -> ExactSearcher:
    """Exact search as collections without blocks have it, over the same documents."""
    return ExactSearcher(Segment.build(IDS, documents))


@pytest.fixture(scope="module")
def blocks(documents: CSR) -> BlockIndex:
    return build_blocks(documents, BuildConfig(GlobalPruning(20, 2.0), values="f32"))


def alike(found: Ranking, expected: Ranking) -> bool:
    """To the bit."""
    return np.array_equal(found.rows, expected.rows) and np.array_equal(
        found.scores.view(np.int32), expected.scores.view(np.int32)
    )


def test_many_more_hits_are_searched_for_exactly(
    blocks: BlockIndex, exact: ExactSearcher, queries: CSR
) -> None:
    searcher = AutoSearcher(blocks, TIE_ORDER, LOOSE, APPROXIMATE_IS_FREE)
    expected = exact.search_batch(queries, 51)
    assert alike(searcher.search_batch(queries, 51), expected)
    assert not np.array_equal(searcher.search_batch(queries, 50).rows, expected.rows[:, :50])


def test_it_searches_by_its_parameters(blocks: BlockIndex, queries: CSR) -> None:
    searcher = AutoSearcher(blocks, TIE_ORDER, LOOSE, APPROXIMATE_IS_FREE)
    for share in (None, 0.02, 0.5):
        mask = None if share is None else np.random.default_rng(4).random(N) < share
        params = replace(LOOSE, k=7, filter=mask)
        expected = searcher.blocks.search_batch(queries, params)
        assert alike(searcher.search_batch(queries, 7, mask), expected)
        assert alike(searcher.search_batch(queries, 7, mask, n_threads=3), expected)


def test_it_is_exact_unless_told_how_to_search(
    blocks: BlockIndex, exact: ExactSearcher, queries: CSR
) -> None:
    searcher = AutoSearcher(blocks, TIE_ORDER)
    searcher.warm_up()
    for k in (1, 10, 300):
        assert alike(searcher.search_batch(queries, k), exact.search_batch(queries, k))
    rows, terms = np.array([5, 999, 0, 5], np.int32), np.array([0, 3, N_TERMS + 4], np.int32)
    assert np.array_equal(searcher.score(queries.row(0), rows), exact.score(queries.row(0), rows))
    found = searcher.document_weights(terms, rows)
    assert np.array_equal(found, exact.document_weights(terms, rows))


def test_bad_arguments(blocks: BlockIndex, queries: CSR) -> None:
    searcher = AutoSearcher(blocks, TIE_ORDER, LOOSE)
    with pytest.raises(QueryError, match="k is 0; ask for at least 1"):
        searcher.search_batch(queries, 0)
    with pytest.raises(QueryError, match="0 threads"):
        searcher.search_batch(queries, 1, n_threads=0)
    with pytest.raises(QueryError, match=r"shape \(7,\)"):
        searcher.search_batch(queries, 1, np.ones(7, bool))
    with pytest.raises(ValueError, match="3 rows and 1000 in blocks"):
        AutoSearcher(blocks, np.arange(3, dtype=np.int32))
