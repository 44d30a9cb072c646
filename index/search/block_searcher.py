"""Search of a block index: calls the kernels, with working memory for each thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks.block_index import BlockIndex
from lsr.index.blocks.config import SearchParams
from lsr.index.kernels.block_scores import score_rows_stored, search_rows
from lsr.index.kernels.dispatch import STRATEGIES, search_mixed
from lsr.index.kernels.query_check import refuse_wrong, wrong_query
from lsr.index.kernels.scratch import COUNTERS, scratch_bytes, scratch_counters
from lsr.index.storage.segment import frozen
from lsr.retrieval.retriever import Ranking
from lsr.sparse import SparseVector

__all__ = ["BlockSearcher"]

_NO_BITS = frozen(np.zeros(0, np.uint8))
_ALL = frozen(np.zeros(0, np.bool_))
_NO_COSTS = frozen(np.zeros(4))


class BlockSearcher:
    """Searches a `BlockIndex`, from any number of threads.

    Args:
        index: what to search.
        tie_order: int32, shape (n_documents,): place of each row among equal scores; by default
            the rows' own order.
    """

    def __init__(self, index: BlockIndex, tie_order: NDArray[np.int32] | None = None) -> None:
        self.index = index
        n = self._n_documents = index.n_documents
        ties = np.arange(n, dtype=np.int32) if tie_order is None else tie_order
        row_at_tie = ties if tie_order is None else np.argsort(ties).astype(np.int32)
        types = index.types
        likes = (np.zeros(0, types[name]) for name in ("samples", "entries", "rest"))
        self._index = (index.blob, index.layout, *map(frozen, likes))
        self._ties = (frozen(ties), frozen(row_at_tie))
        self._scratch: list[NDArray[np.uint8]] = []
        self._lock = Lock()
        self._masked: tuple[NDArray[np.bool_] | None, NDArray[np.uint8]] = (None, _NO_BITS)

    def search_csr(
        self,
        indptr: NDArray[np.int64],
        terms: NDArray[np.int32],
        weights: NDArray[np.float32],
        params: SearchParams,
        n_threads: int = 1,
        costs: NDArray[np.float64] = _NO_COSTS,
    ) -> Ranking:
        """The best documents of each query of a CSR, in their order.

        Args:
            indptr, terms, weights: plain writable arrays, as in `CSR`.
            params: the filter has a flag for each document.
            n_threads: queries are split evenly; the kernel holds no lock.
            costs: see `Costs.as_array`, for the automatic strategy.

        Raises:
            QueryError: terms of a query do not ascend, or a weight is negative or not finite.
        """
        n_queries = len(indptr) - 1
        shape = (n_queries, params.k)
        found = Ranking(np.empty(shape, np.int32), np.empty(shape, np.float32))
        if self._n_documents == 0:
            found.rows[:] = -1
            found.scores[:] = 0
            return found
        allowed, blocked = _ALL, _NO_BITS
        if params.filter is not None:
            allowed = frozen(params.filter)
            blocked = self._blocked(params.filter)
        strategy = STRATEGIES[params.strategy]

        def search(first: int, last: int) -> None:
            scratch = self._take_scratch()
            wrong = search_mixed(
                indptr,
                terms,
                weights,
                first,
                last,
                *self._index,
                *self._ties,
                blocked,
                allowed,
                strategy,
                costs,
                params.query_cut,
                params.heap_factor,
                params.n_knn,
                scratch,
                *found,
            )
            self._scratch.append(scratch)  # after an exception it is not clean, and dropped
            refuse_wrong(wrong)

        _shared_out(search, n_queries, n_threads)
        return found

    def search_rows(
        self,
        indptr: NDArray[np.int64],
        terms: NDArray[np.int32],
        weights: NDArray[np.float32],
        rows: NDArray[np.int32],
        k: int,
        n_threads: int = 1,
    ) -> Ranking:
        """The `k` best of `rows` for each query, exactly: every one is scored."""
        n_queries = len(indptr) - 1
        refuse_wrong(wrong_query(indptr, terms, weights, 0, n_queries))
        found = Ranking(np.empty((n_queries, k), np.int32), np.empty((n_queries, k), np.float32))

        def search(first: int, last: int) -> None:
            queries = (indptr, terms, weights, first, last)
            scratch = self._take_scratch()
            search_rows(*queries, rows, *self._index, *self._ties, scratch, *found)
            self._scratch.append(scratch)

        _shared_out(search, n_queries, n_threads)
        return found

    def score(self, query: SparseVector, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Scores of chosen rows by stored weights, shape (n,), to the bit as searches give them."""
        scores = np.empty(len(rows), np.float32)
        vector = (np.array(query.terms), np.array(query.weights))
        refuse_wrong(wrong_query(np.array((0, len(query.terms)), np.int64), *vector, 0, 1))
        scratch = self._take_scratch()
        score_rows_stored(*vector, np.array(rows), *self._index, scratch, scores)
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

    def counters(self) -> dict[str, int]:
        """What all searches that have ended counted, by the names of `COUNTERS`."""
        counts = np.zeros(len(COUNTERS), np.int64)
        for scratch in tuple(self._scratch):
            counts += scratch_counters(scratch)
        return dict(zip(COUNTERS, counts.tolist(), strict=True))

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


def _shared_out(search: Callable[[int, int], None], n_queries: int, n_threads: int) -> None:
    if n_threads == 1 or n_queries < 2:
        search(0, n_queries)
        return
    edges = np.linspace(0, n_queries, n_threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(n_threads) as pool:
        for done in [pool.submit(search, a, b) for a, b in pairwise(edges)]:
            done.result()
