"""Search of one segment in the mode that is asked for, or else the one that costs less."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lsr.errors import QueryError
from lsr.index.blockindex import BlockIndex
from lsr.index.blocksearcher import BlockSearcher
from lsr.index.config import SearchParams
from lsr.index.costs import ROW_NS, Costs, choose_approximate, count_work, typical_costs
from lsr.index.searcher import ExactSearcher, plain
from lsr.index.segment import Segment, frozen
from lsr.retriever import Ranking
from lsr.sparse import CSR, SparseVector

__all__ = ["AutoSearcher"]

LEAST_SHARE = 0.05
"""Where a filter passes a smaller share, the automatic mode searches exactly."""

MORE_HITS = 10
"""Parameters say little about the recall of so many times the hits they were made for."""

WIDER, LOOSER = 0.3, 0.06
"""For each time a filter halves the documents, the query cut grows and the heap factor falls by so
much. Measured: recall then stays within 0.003 of what it is without a filter."""


class AutoSearcher:
    """Exact and approximate search over the same documents.

    Args:
        segment: inverted lists, for exact search.
        blocks: the block index of the same documents, or None: then every search is exact.
        params: what `search_batch` uses; by default exact search.
        costs: measured by `calibrate`; typical ones by default.

    Raises:
        ValueError: segment and blocks differ in their number of documents.
    """

    def __init__(
        self,
        segment: Segment,
        blocks: BlockIndex | None,
        params: SearchParams | None = None,
        costs: Costs | None = None,
    ) -> None:
        if blocks is not None and blocks.n_documents != len(segment.tie_order):
            raise ValueError(f"{len(segment.tie_order)} rows and {blocks.n_documents} in blocks")
        self.exact = ExactSearcher(segment)
        self.blocks = None if blocks is None else BlockSearcher(blocks, segment.tie_order)
        self.params = params or SearchParams(mode="exact")
        self.costs = costs
        self._n_documents = len(segment.tie_order)
        self._list_indptr = segment.list_indptr
        self._indptrs: dict[int, NDArray[np.int64]] = {}  # of single queries, by their length
        if blocks is not None:
            groups = (blocks.part("list_groups"), blocks.part("group_blocks"))
            self._groups = (frozen(groups[0]), frozen(groups[1]))

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
        """As `ExactSearcher.search_batch`, in the mode of `params`.

        For many more hits than `params` were made for, the mode is exact.
        """
        if k < 1:
            raise QueryError(f"k is {k}; ask for at least 1")
        mode = self.params.mode if k <= MORE_HITS * self.params.k else "exact"
        params = replace(self.params, k=k, filter=allowed, mode=mode)
        return self.search_many(queries, params, n_threads)

    def score(self, query: SparseVector, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """As `ExactSearcher.score`."""
        return self.exact.score(query, rows)

    def document_weights(
        self, terms: NDArray[np.int32], rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """As `ExactSearcher.document_weights`."""
        return self.exact.document_weights(terms, rows)

    def warm_up(self) -> None:
        """Compile, or load from Numba's cache, what the first query needs."""
        self.exact.warm_up()
        if self.blocks is not None:
            nothing = CSR.empty(1, 0)
            for mode in ("auto", "approximate"):
                self.search_many(nothing, replace(self.params, k=1, mode=mode, filter=None))

    def choose(self, queries: CSR, params: SearchParams) -> NDArray[np.bool_]:
        """Which queries the automatic mode would search approximately, shape (n_queries,)."""
        chosen = np.empty(queries.n_rows, np.bool_)
        arrays = (plain(queries.indptr), plain(queries.terms), plain(queries.weights))
        self._choose(*arrays, params, chosen)
        return chosen

    def _choose(
        self,
        indptr: NDArray[np.int64],
        terms: NDArray[np.int32],
        weights: NDArray[np.float32],
        params: SearchParams,
        chosen: NDArray[np.bool_],
    ) -> int:
        costs = self.costs or typical_costs(self._n_documents, params.k, params.heap_factor)
        return int(
            choose_approximate(
                indptr,
                terms,
                weights,
                self._list_indptr,
                *self._groups,
                params.query_cut,
                costs.exact_query_us,
                costs.exact_posting_ns,
                costs.approximate_query_us,
                costs.approximate_block_ns,
                chosen,
            )
        )

    def work(
        self, queries: CSR, params: SearchParams
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Postings of each query's lists, and blocks of those that are visited."""
        n = queries.n_rows
        postings, blocks = np.empty(n, np.int64), np.empty(n, np.int64)
        arrays = (plain(queries.indptr), plain(queries.terms), plain(queries.weights))
        lists = (self._list_indptr, *self._groups)
        count_work(*arrays, *lists, params.query_cut, postings, blocks)
        return postings, blocks

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
        if params.filter is not None and params.filter.shape != (self._n_documents,):
            raise QueryError(
                f"the filter has shape {params.filter.shape}; one flag for each of "
                f"{self._n_documents} documents is needed"
            )
        if self.blocks is None or params.mode == "exact":
            return self._exactly(indptr, terms, weights, params, n_threads)
        if params.mode == "approximate":
            return self.blocks.search_csr(indptr, terms, weights, params, n_threads)
        if params.filter is not None:
            share = np.count_nonzero(params.filter) / max(self._n_documents, 1)
            if share < LEAST_SHARE:
                return self._exactly(indptr, terms, weights, params, n_threads)
            params = _widened(params, share)
        chosen = np.empty(len(indptr) - 1, np.bool_)
        n_chosen = self._choose(indptr, terms, weights, params, chosen)
        if n_chosen == len(chosen):
            return self.blocks.search_csr(indptr, terms, weights, params, n_threads)
        if n_chosen == 0:
            return self._exactly(indptr, terms, weights, params, n_threads)
        queries = CSR(indptr, terms, weights, 0)
        shape = (len(chosen), params.k)
        found = Ranking(np.empty(shape, np.int32), np.empty(shape, np.float32))
        for places, search in (
            (np.flatnonzero(chosen), self.blocks.search_csr),
            (np.flatnonzero(~chosen), self._exactly),
        ):
            part = queries.take(places.tolist())
            rows, scores = search(part.indptr, part.terms, part.weights, params, n_threads)
            found.rows[places] = rows
            found.scores[places] = scores
        return found

    def _exactly(
        self,
        indptr: NDArray[np.int64],
        terms: NDArray[np.int32],
        weights: NDArray[np.float32],
        params: SearchParams,
        n_threads: int,
    ) -> Ranking:
        """Exact search; over the rows that pass, where they are few."""
        allowed = params.filter
        if allowed is not None and self.blocks is not None:
            rows = np.flatnonzero(allowed).astype(np.int32)
            if len(rows) * ROW_NS < self._exact_ns(indptr, terms, params):
                return self.blocks.search_rows(indptr, terms, weights, rows, params.k, n_threads)
        return self.exact.search_csr(indptr, terms, weights, params.k, allowed, n_threads)

    def _exact_ns(
        self, indptr: NDArray[np.int64], terms: NDArray[np.int32], params: SearchParams
    ) -> float:
        """What exact search over all documents takes for one of the queries, on average."""
        costs = self.costs or typical_costs(self._n_documents, params.k, params.heap_factor)
        known = terms[terms < len(self._list_indptr) - 1]
        postings = int((self._list_indptr[known + 1] - self._list_indptr[known]).sum())
        n_queries = max(len(indptr) - 1, 1)
        return costs.exact_query_us * 1e3 + costs.exact_posting_ns * postings / n_queries


def _widened(params: SearchParams, share: float) -> SearchParams:
    """Parameters that find as much when only a share of the documents may be found.

    Hits then lie deeper, where fewer of their terms are among the heaviest.
    """
    halvings = math.log2(1 / share)
    return replace(
        params,
        query_cut=math.ceil(params.query_cut * (1 + WIDER * halvings)),
        heap_factor=max(params.heap_factor - LOOSER * halvings, 0.1 * params.heap_factor),
    )
