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
        self._segment = segment
        self._window = window
        self._row_at_tie = frozen(np.argsort(segment.tie_order).astype(np.int32))

    def search(
        self, query: SparseVector, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Ranking:
        """The `k` best documents of one query; see `search_batch`."""
        indptr = np.array([0, len(query.terms)], np.int64)
        width = max(self._segment.n_terms, int(query.terms.max(initial=-1)) + 1)
        return self.search_batch(CSR(indptr, query.terms, query.weights, width), k, allowed)

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
        if k < 1:
            raise QueryError(f"k is {k}; ask for at least 1")
        if n_threads < 1:
            raise QueryError(f"{n_threads} threads; at least 1 is needed")
        mask = _ALL if allowed is None else frozen(allowed)
        if allowed is not None and allowed.shape != (self._segment.n_documents,):
            raise QueryError(
                f"the filter has shape {allowed.shape}; one flag for each of "
                f"{self._segment.n_documents} documents is needed"
            )
        if self._segment.n_documents == 0:
            mask = _ALL
        known = _known_terms(queries, self._segment.n_terms)
        rows = np.full((queries.n_rows, k), -1, np.int32)
        scores = np.zeros((queries.n_rows, k), np.float32)

        def scan(first: int, last: int) -> None:
            scan_batch(
                known.indptr,
                known.terms,
                known.weights,
                first,
                last,
                self._segment.list_indptr,
                self._segment.list_rows,
                self._segment.list_weights,
                self._segment.tie_order,
                self._row_at_tie,
                mask,
                self._window,
                rows,
                scores,
            )

        if n_threads == 1 or queries.n_rows < 2:
            scan(0, queries.n_rows)
        else:
            edges = np.linspace(0, queries.n_rows, n_threads + 1).astype(int).tolist()
            with ThreadPoolExecutor(n_threads) as pool:
                for done in [pool.submit(scan, a, b) for a, b in pairwise(edges)]:
                    done.result()
        return Ranking(rows, scores)

    def warm_up(self) -> None:
        """Compile, or load from Numba's cache, what the first query needs."""
        self.search_batch(CSR.empty(1, self._segment.n_terms), 1)


def _known_terms(queries: CSR, n_terms: int) -> CSR:
    """The queries with frozen arrays and without terms that have no list."""
    if queries.n_terms > n_terms and queries.nnz and queries.terms.max() >= n_terms:
        kept = queries.terms < n_terms
        before = np.concatenate([[0], np.cumsum(kept)])
        queries = CSR(before[queries.indptr], queries.terms[kept], queries.weights[kept], n_terms)
    return CSR(frozen(queries.indptr), frozen(queries.terms), frozen(queries.weights), n_terms)
