"""Search of a block index: exact, approximate, or whichever costs less.

Exact search here adds up the block index's own lists of 8-bit codes
(`lsr.index.kernels.scan_search`); the float lists of a segment are `ExactSearcher`'s.
"""

from __future__ import annotations

import math
from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.config import MANY, SearchParams
from lsr.index.kernels.block_scores import score_rows_stored, search_rows
from lsr.index.kernels.dispatch import STRATEGIES, search_mixed
from lsr.index.kernels.query_check import refuse_wrong, wrong_query
from lsr.index.kernels.query_cost import costs_less, count_work
from lsr.index.kernels.scratch import COUNTERS, scratch_bytes, scratch_counters
from lsr.index.search.batch import check_mask, plain, share_out, unfilled
from lsr.index.search.costs import ROW_NS, Costs, typical_costs
from lsr.index.storage.segment import frozen
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR, SparseVector

__all__ = ["BlockSearcher"]

LEAST_SHARE = 0.05
"""Where a filter passes a smaller share, the automatic strategy searches exactly."""

WIDER, LOOSER = 0.3, 0.06
"""For each time a filter halves the documents, the query cut grows and the heap factor falls by so
much. Measured: recall then stays within 0.003 of what it is without a filter."""

Arrays = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]
Settings = tuple[Any, ...]

_NO_BITS = frozen(np.zeros(0, np.uint8))
_ALL = frozen(np.zeros(0, np.bool_))


class BlockSearcher:
    """Searches a `BlockIndex`, from any number of threads.

    Args:
        index: what to search.
        tie_order: int32, shape (n_documents,): place of each row among equal scores; default: the
            rows' own order.
        costs: measured by `calibrate`; default: typical ones.

    Raises:
        ValueError: there is not one place for each document.
    """

    def __init__(
        self,
        index: BlockIndex,
        tie_order: NDArray[np.int32] | None = None,
        costs: Costs | None = None,
    ) -> None:
        self.index = index
        n = self._n_documents = index.n_documents
        ties = np.arange(n, dtype=np.int32) if tie_order is None else tie_order
        if len(ties) != n:
            raise ValueError(f"{len(ties)} rows and {n} in blocks")
        row_at_tie = ties if tie_order is None else np.argsort(ties).astype(np.int32)
        types = (np.zeros(0, index.types[name]) for name in ("samples", "entries", "rest"))
        term_type, entry_type, rest_type = map(frozen, types)
        self._ties = (frozen(ties), frozen(row_at_tie))
        self._vectors = (index.blob, index.layout, term_type, rest_type)
        self._index = (index.blob, index.layout, term_type, entry_type, rest_type, *self._ties)
        self._lengths = index.array("scan_lengths")
        self._measured = None if costs is None else costs.as_array()
        self._typical: dict[tuple[int, float], NDArray[np.float64]] = {}
        self._scratch: list[NDArray[np.uint8]] = []
        self._lock = Lock()
        self._last: tuple[SearchParams | None, Settings] = (None, ())  # without a filter
        self._masked: tuple[NDArray[np.bool_] | None, NDArray[np.uint8]] = (None, _NO_BITS)

    def search_batch(self, queries: CSR, params: SearchParams, n_threads: int = 1) -> Ranking:
        """The best documents of each query, in the order of `queries`.

        A filter that passes few documents means exact search for the automatic strategy; a wider
        one lets more lists and blocks in.

        Args:
            queries: terms that the index does not have are ignored.
            params: the filter has a flag for each document.
            n_threads: queries are split evenly; kernels hold no lock.

        Returns:
            Hits with a score above 0, by score descending, then tie order ascending.

        Raises:
            QueryError: terms of a query do not ascend, a weight is negative or not finite, there
                is no thread, or the filter has another length.
        """
        if params.filter is not None:
            return self._filtered(queries, params, params.filter, n_threads)
        last, settings = self._last
        if last is not params:
            settings = _settings(params, self._costs(params))
            self._last = (params, settings)
        return self._search(queries, params.k, settings, n_threads)

    def search_rows(
        self, queries: CSR, rows: NDArray[np.int32], k: int, *, n_threads: int = 1
    ) -> Ranking:
        """The `k` best of `rows` for each query, exactly: every one is scored."""
        arrays = (plain(queries.indptr), plain(queries.terms), plain(queries.weights))
        refuse_wrong(wrong_query(*arrays, 0, queries.n_rows))
        found = unfilled(queries.n_rows, k)
        share_out(self._search_rows, queries.n_rows, n_threads, (arrays, rows, found))
        return found

    def score(self, query: SparseVector, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Scores of chosen rows by stored weights, shape (n,), to the bit as searches give them."""
        scores = np.empty(len(rows), np.float32)
        vector = (np.array(query.terms), np.array(query.weights))
        refuse_wrong(wrong_query(np.array((0, len(query.terms)), np.int64), *vector, 0, 1))
        scratch = self._take_scratch()
        score_rows_stored(*vector, np.array(rows), *self._vectors, scratch, scores)
        self._scratch.append(scratch)
        return scores

    def document_weights(
        self, terms: NDArray[np.int32], rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Stored weights of terms in rows, shape (n_rows, n_terms), 0 where there is none."""
        weights = np.empty((len(rows), len(terms)), np.float32)
        one = np.ones(1, np.float32)
        for place, term in enumerate(terms):
            vector = SparseVector(np.array([term], np.int32), one)
            weights[:, place] = self.score(vector, rows)
        return weights

    def warm_up(self) -> None:
        """Compile, or load from Numba's cache, what the first query needs."""
        nothing = CSR.empty(1, 0)
        for strategy in STRATEGIES:
            self.search_batch(nothing, SearchParams(k=1, strategy=strategy))
        self.search_rows(nothing, np.zeros(0, np.int32), 1)  # with a filter
        self.score(nothing.row(0), np.zeros(0, np.int32))

    def choose(self, queries: CSR, params: SearchParams) -> NDArray[np.bool_]:
        """Mask of the queries that `auto` would search approximately, shape (n_queries,)."""
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
        index = self.index
        count_work(*arrays, 0, n, index.blob, index.layout, params.query_cut, postings, blocks)
        return postings, blocks

    def counters(self) -> dict[str, int]:
        """Counts of all searches that have ended, by the names of `COUNTERS`."""
        counts = np.zeros(len(COUNTERS), np.int64)
        for scratch in tuple(self._scratch):
            counts += scratch_counters(scratch)
        return dict(zip(COUNTERS, counts.tolist(), strict=True))

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

    def _costs_less_by_rows(self, queries: CSR, costs: NDArray[np.float64], n_allowed: int) -> bool:
        """Whether scoring the rows that pass one by one costs less than exact search."""
        known = queries.terms[queries.terms < len(self._lengths)]
        n_postings = int(self._lengths[known].sum()) / max(queries.n_rows, 1)
        return bool(n_allowed * ROW_NS < costs[0] * 1e3 + costs[1] * n_postings)

    def _filtered(
        self,
        queries: CSR,
        params: SearchParams,
        allowed: NDArray[np.bool_],
        n_threads: int,
    ) -> Ranking:
        """Search for rows that pass a filter: in more lists, or exactly, or in these rows alone."""
        check_mask(allowed, self._n_documents)
        costs = self._costs(params)
        if params.strategy != "approximate":
            n_allowed = int(np.count_nonzero(allowed))
            share = n_allowed / max(self._n_documents, 1)
            if params.strategy == "auto" and share >= LEAST_SHARE:
                params = _widened(params, share)
            elif self._costs_less_by_rows(queries, costs, n_allowed):
                rows = np.flatnonzero(allowed).astype(np.int32)
                return self.search_rows(queries, rows, params.k, n_threads=n_threads)
            else:
                params = replace(params, strategy="exact")
        settings = _settings(params, costs, self._blocked(allowed), frozen(allowed))
        return self._search(queries, params.k, settings, n_threads)

    def _search(self, queries: CSR, k: int, settings: Settings, n_threads: int) -> Ranking:
        indptr, terms, weights, _ = queries
        n_queries = len(indptr) - 1
        found = unfilled(n_queries, k)
        if self._n_documents == 0:
            found.rows[:] = -1
            found.scores[:] = 0
            return found
        arrays = (plain(indptr), plain(terms), plain(weights))
        share_out(self._search_part, n_queries, n_threads, (arrays, settings, found))
        return found

    def _search_part(
        self, first: int, last: int, arrays: Arrays, settings: Settings, found: Ranking
    ) -> None:
        scratch = self._take_scratch()
        wrong = search_mixed(*arrays, first, last, *self._index, *settings, scratch, *found)
        self._scratch.append(scratch)  # after an exception it is not clean, and dropped
        if wrong >= 0:
            refuse_wrong(wrong)

    def _search_rows(
        self, first: int, last: int, arrays: Arrays, rows: NDArray[np.int32], found: Ranking
    ) -> None:
        scratch = self._take_scratch()
        search_rows(*arrays, first, last, rows, *self._vectors, *self._ties, scratch, *found)
        self._scratch.append(scratch)

    def _take_scratch(self) -> NDArray[np.uint8]:
        try:
            return self._scratch.pop()
        except IndexError:
            return np.zeros(scratch_bytes(self.index.n_documents, self.index.n_terms), np.uint8)

    def _blocked(self, allowed: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Bits of the rows that `allowed` leaves out; the last mask's are kept."""
        if allowed.flags.writeable:  # it may change behind our back
            return frozen(np.packbits(~allowed, bitorder="little"))
        with self._lock:
            mask, bits = self._masked
            if mask is not allowed:
                bits = frozen(np.packbits(~allowed, bitorder="little"))
                self._masked = (allowed, bits)
        return bits


def _settings(
    params: SearchParams,
    costs: NDArray[np.float64],
    blocked: NDArray[np.uint8] = _NO_BITS,
    allowed: NDArray[np.bool_] = _ALL,
) -> Settings:
    """Parameters as `search_mixed` takes them: its arguments from `blocked` to `n_knn`."""
    strategy = STRATEGIES[params.strategy]
    return blocked, allowed, strategy, costs, params.query_cut, params.heap_factor, params.n_knn


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
