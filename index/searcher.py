"""Exact search over a segment: checks its arguments, calls the kernel, keeps the order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsr.errors import QueryError
from lsr.index.kernels import scan_batch
from lsr.index.segment import Segment, frozen
from lsr.sparse import CSR, SparseVector

__all__ = ["ExactSearcher", "Ranking"]

WINDOW = 65_536
_ALL = frozen(np.zeros(0, np.bool_))


class Ranking(NamedTuple):
    """Results of a batch, one line per query, best first.

    Attributes:
        rows: int32, shape (n_queries, k), −1 beyond the last hit.
        scores: float32, shape (n_queries, k), 0 beyond the last hit.
    """

    rows: NDArray[np.int32]
    scores: NDArray[np.float32]


class ExactSearcher:
    """Every document that shares a term with the query is scored, nothing is approximated.

    Args:
        segment: what to search.
        window: documents scored at a time; results do not depend on it.
    """

    def __init__(self, segment: Segment, *, window: int = WINDOW) -> None:
        if window < 1:
            raise ValueError(f"a window of {window} documents; at least 1 is needed")
        self._n_documents = segment.n_documents
        self._lists = (
            segment.list_indptr,
            segment.list_rows,
            segment.list_weights,
            segment.tie_order,
            frozen(np.argsort(segment.tie_order).astype(np.int32)),
        )
        self._window = window

    def search(
        self, query: SparseVector, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Ranking:
        """The `k` best documents of one query; see `search_batch`."""
        indptr = np.array((0, len(query.terms)), np.int64)
        return self._search(indptr, query.terms, query.weights, k, allowed, 1)

    def search_batch(
        self,
        queries: CSR,
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        *,
        n_threads: int = 1,
    ) -> Ranking:
        """The `k` best documents of each query, in the order of `queries`.

        Args:
            queries: terms that the segment does not have are ignored.
            k: at least 1; where fewer documents match, lines are padded.
            allowed: bool, shape (n_documents,); rows that are False are not returned.
            n_threads: queries are split evenly; the kernel holds no lock.

        Returns:
            Hits with a score above 0, by score descending, then doc_id ascending.

        Raises:
            QueryError: `k` or `n_threads` is below 1, or `allowed` has another length.
        """
        return self._search(queries.indptr, queries.terms, queries.weights, k, allowed, n_threads)

    def _search(
        self,
        indptr: NDArray[np.int64],
        terms: NDArray[np.int32],
        weights: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_] | None,
        n_threads: int,
    ) -> Ranking:
        if k < 1:
            raise QueryError(f"k is {k}; ask for at least 1")
        if n_threads < 1:
            raise QueryError(f"{n_threads} threads; at least 1 is needed")
        mask = _ALL
        if allowed is not None:
            if allowed.shape != (self._n_documents,):
                raise QueryError(
                    f"the filter has shape {allowed.shape}; one flag for each of "
                    f"{self._n_documents} documents is needed"
                )
            mask = frozen(allowed)
        # own copies are of one array type, whatever the caller's are
        queries = (np.array(indptr), np.array(terms), np.array(weights))
        n_queries = len(indptr) - 1
        found = Ranking(np.empty((n_queries, k), np.int32), np.empty((n_queries, k), np.float32))

        def scan(first: int, last: int) -> None:
            scan_batch(*queries, first, last, *self._lists, mask, self._window, *found)

        if n_threads == 1 or n_queries < 2:
            scan(0, n_queries)
        else:
            edges = np.linspace(0, n_queries, n_threads + 1).astype(int).tolist()
            with ThreadPoolExecutor(n_threads) as pool:
                for done in [pool.submit(scan, a, b) for a, b in pairwise(edges)]:
                    done.result()
        return found

    def warm_up(self) -> None:
        """Compile, or load from Numba's cache, what the first query needs."""
        self.search(SparseVector.from_mapping({}), 1)
