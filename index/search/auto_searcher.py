"""Search of one segment in the strategy that is asked for, or else the one that costs less."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lsr.errors import QueryError
from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.config import MANY, SearchParams
from lsr.index.kernels.query_cost import costs_less, count_work
from lsr.index.search.block_searcher import BlockSearcher
from lsr.index.search.costs import ROW_NS, Costs, typical_costs
from lsr.index.search.exact_searcher import plain
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR, SparseVector

__all__ = ["AutoSearcher"]

LEAST_SHARE = 0.05
"""Where a filter passes a smaller share, the automatic strategy searches exactly."""

MORE_HITS = 10
"""Parameters say little about the recall of so many times the hits they were made for."""

WIDER, LOOSER = 0.3, 0.06
"""For each time a filter halves the documents, the query cut grows and the heap factor falls by so
much. Measured: recall then stays within 0.003 of what it is without a filter."""


class AutoSearcher:
    """Exact and approximate search over a block index.

    Args:
        blocks: what is searched.
        tie_order: int32, shape (n_documents,): place of each row among equal scores.
        params: what `search_batch` uses; by default exact search.
        costs: measured by `calibrate`; typical ones by default.

    Raises:
        ValueError: there is not one place for each document.
    """

    def __init__(
        self,
        blocks: BlockIndex,
        tie_order: NDArray[np.int32],
        params: SearchParams | None = None,
        costs: Costs | None = None,
    ) -> None:
        if blocks.n_documents != len(tie_order):
            raise ValueError(f"{len(tie_order)} rows and {blocks.n_documents} in blocks")
        self.blocks = BlockSearcher(blocks, tie_order)
        self.params = params or SearchParams(strategy="exact")
        self._n_documents = blocks.n_documents
        self._indptrs: dict[int, NDArray[np.int64]] = {}  # of single queries, by their length
        self._lengths = blocks.array("scan_lengths")
        self._measured = None if costs is None else costs.as_array()
        self._typical: dict[tuple[int, float], NDArray[np.float64]] = {}

    def search(self, query: SparseVector, params: SearchParams) -> Ranking:
        """The best documents of one query; see `search_many`."""
        n = len(query.terms)
        indptr = self._indptrs.get(n)
        if indptr is None:
            indptr = self._indptrs.setdefault(n, np.array((0, n), np.int64))
        return self._search(indptr, plain(query.terms), plain(query.weights), params, 1)

    def search_many(self, queries: CSR, params: SearchParams, n_threads: int = 1) -> Ranking:
        """The best documents of each query, in the order of `queries`.

        Args:
            queries: terms that the segment does not have are ignored.
            n_threads: queries are split evenly; kernels hold no lock.

        Raises:
            QueryError: a number is out of range, or the filter has another length.
        """
        arrays = (plain(queries.indptr), plain(queries.terms), plain(queries.weights))
        return self._search(*arrays, params, n_threads)

    def search_batch(
        self,
        queries: CSR,
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        *,
        n_threads: int = 1,
    ) -> Ranking:
        """As `ExactSearcher.search_batch`, in the strategy of `params`.

        For many more hits than `params` were made for, the strategy is exact.
        """
        if k < 1:
            raise QueryError(f"k is {k}; ask for at least 1")
        strategy = self.params.strategy if k <= MORE_HITS * self.params.k else "exact"
        params = replace(self.params, k=k, filter=allowed, strategy=strategy)
        return self.search_many(queries, params, n_threads)

    def score(self, query: SparseVector, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """As `ExactSearcher.score`."""
        return self.blocks.score(query, rows)

    def document_weights(
        self, terms: NDArray[np.int32], rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """As `ExactSearcher.document_weights`."""
        return self.blocks.document_weights(terms, rows)

    def warm_up(self) -> None:
        """Compile, or load from Numba's cache, what the first query needs."""
        nothing = CSR.empty(1, 0)
        for strategy in ("auto", "approximate", "exact"):
            self.search_many(nothing, replace(self.params, k=1, strategy=strategy, filter=None))
        arrays = (nothing.indptr, nothing.terms, nothing.weights)
        self.blocks.search_rows(*arrays, np.zeros(0, np.int32), 1)  # with a filter
        self.score(nothing.row(0), np.zeros(0, np.int32))

    def choose(self, queries: CSR, params: SearchParams) -> NDArray[np.bool_]:
        """Which queries the automatic strategy would search approximately, shape (n_queries,)."""
        costs = self._costs(params)
        pairs = zip(*self.work(queries, params), strict=True)
        return np.array([costs_less(postings, blocks, costs) for postings, blocks in pairs], bool)

    def work(
        self, queries: CSR, params: SearchParams
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Postings of each query's lists, and blocks of those that are visited."""
        n = queries.n_rows
        postings, blocks = np.empty(n, np.int64), np.empty(n, np.int64)
        arrays = (plain(queries.indptr), plain(queries.terms), plain(queries.weights))
        index = self.blocks.index
        count_work(*arrays, 0, n, index.blob, index.layout, params.query_cut, postings, blocks)
        return postings, blocks

    def _costs(self, params: SearchParams) -> NDArray[np.float64]:
        """Measured ones, or typical ones for the parameters."""
        if self._measured is not None:
            return self._measured
        kind = (params.k, params.heap_factor)
        costs = self._typical.get(kind)
        if costs is None:
            costs = typical_costs(self._n_documents, *kind).as_array()
            self._typical[kind] = costs
        return costs

    def _search(
        self,
        indptr: NDArray[np.int64],
        terms: NDArray[np.int32],
        weights: NDArray[np.float32],
        params: SearchParams,
        n_threads: int,
    ) -> Ranking:
        if n_threads < 1:
            raise QueryError(f"{n_threads} threads; at least 1 is needed")
        costs = self._costs(params)
        if params.filter is not None:
            if params.filter.shape != (self._n_documents,):
                raise QueryError(
                    f"the filter has shape {params.filter.shape}; one flag for each of "
                    f"{self._n_documents} documents is needed"
                )
            if params.strategy != "approximate":
                n_allowed = int(np.count_nonzero(params.filter))
                share = n_allowed / max(self._n_documents, 1)
                if params.strategy == "exact" or share < LEAST_SHARE:
                    return self._exactly(indptr, terms, weights, params, n_threads, n_allowed)
                params = _widened(params, share)
        return self.blocks.search_csr(indptr, terms, weights, params, n_threads, costs)

    def _exactly(
        self,
        indptr: NDArray[np.int64],
        terms: NDArray[np.int32],
        weights: NDArray[np.float32],
        params: SearchParams,
        n_threads: int,
        n_allowed: int,
    ) -> Ranking:
        """Exact search with a filter; of the rows that pass one by one, where they are few."""
        costs = self._costs(params)
        known = terms[terms < len(self._lengths)]
        n_postings = int(self._lengths[known].sum()) / max(len(indptr) - 1, 1)
        if n_allowed * ROW_NS < costs[0] * 1e3 + costs[1] * n_postings:
            assert params.filter is not None
            rows = np.flatnonzero(params.filter).astype(np.int32)
            return self.blocks.search_rows(indptr, terms, weights, rows, params.k, n_threads)
        params = replace(params, strategy="exact")
        return self.blocks.search_csr(indptr, terms, weights, params, n_threads)


def _widened(params: SearchParams, share: float) -> SearchParams:
    """Parameters that find as much when only a share of the documents may be found.

    Hits then lie deeper, where fewer of their terms are among the heaviest.
    """
    halvings = math.log2(1 / share)
    return replace(
        params,
        query_cut=min(math.ceil(params.query_cut * (1 + WIDER * halvings)), MANY),
        heap_factor=max(params.heap_factor - LOOSER * halvings, 0.1 * params.heap_factor),
    )
