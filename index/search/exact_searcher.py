"""Exact search over a segment: checks its arguments, calls the kernel, keeps the order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.errors import QueryError
from lsr.index.kernels.exact import document_weights, scan_batch, score_rows
from lsr.index.storage.segment import Segment, frozen
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR, SparseVector

__all__ = ["ExactSearcher", "plain"]

WINDOW = 65_536
_ALL = frozen(np.zeros(0, np.bool_))


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
        return self.search_csr(indptr, query.terms, query.weights, k, allowed, 1)

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
        return self.search_csr(
            queries.indptr, queries.terms, queries.weights, k, allowed, n_threads
        )

    def search_csr(
        self,
        indptr: NDArray[np.int64],
        terms: NDArray[np.int32],
        weights: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        n_threads: int = 1,
    ) -> Ranking:
        """As `search_batch`, of the arrays of a CSR."""
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
        queries = (plain(indptr), plain(terms), plain(weights))
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

    def score(self, query: SparseVector, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Scores of chosen rows, shape (n,), to the bit as a search gives them."""
        scores = np.empty(len(rows), np.float32)
        # own copies are of one array type, as above
        vector = (np.array(query.terms), np.array(query.weights))
        score_rows(*vector, np.array(rows), *self._lists[:3], scores)
        return scores

    def document_weights(
        self, terms: NDArray[np.int32], rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Weights of terms in rows, shape (n_rows, n_terms), 0 where a document lacks a term."""
        weights = np.empty((len(rows), len(terms)), np.float32)
        document_weights(np.array(terms), np.array(rows), *self._lists[:3], weights)
        return weights

    def warm_up(self) -> None:
        """Compile, or load from Numba's cache, what the first query needs."""
        nothing = SparseVector.from_mapping({})
        self.search(nothing, 1)
        self.score(nothing, np.zeros(0, np.int32))
        self.document_weights(nothing.terms, np.zeros(0, np.int32))


def plain(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself if it is of the one type kernels are compiled for, else such a copy."""
    flags = array.flags
    if type(array) is np.ndarray and flags.writeable and flags.c_contiguous and flags.aligned:
        return array
    return np.array(array)
