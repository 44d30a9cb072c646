"""Exact search of one segment by the float lists it always has.

`lsr.index.kernels.exact` adds them up. A segment with a calibrated block index is searched by that
one's own 8-bit lists instead, exactly too: see `lsr.index.search.block_searcher`. Both give the
same hits and scores, to the bit where the block index stores weights as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.index.kernels.exact import document_weights, scan_batch, score_rows
from lsr.index.search.batch import check_k, check_mask, plain, share_out, unfilled
from lsr.index.storage.segment import Segment, frozen
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR, SparseVector

__all__ = ["ExactSearcher"]

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
        self._n_documents = segment.n_passages
        self._lists = (
            segment.list_indptr,
            segment.list_rows,
            segment.list_weights,
            segment.passage_order,
            frozen(np.argsort(segment.passage_order).astype(np.int32)),
        )
        self._window = window

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
        check_k(k)
        mask = _ALL
        if allowed is not None:
            check_mask(allowed, self._n_documents)
            mask = frozen(allowed)
        arrays = (plain(queries.indptr), plain(queries.terms), plain(queries.weights))
        found = unfilled(queries.n_rows, k)
        share_out(self._scan, queries.n_rows, n_threads, (arrays, mask, found))
        return found

    def _scan(
        self,
        first: int,
        last: int,
        arrays: tuple[NDArray[Any], ...],
        mask: NDArray[np.bool_],
        found: Ranking,
    ) -> None:
        scan_batch(*arrays, first, last, *self._lists, mask, self._window, *found)

    def score(self, query: SparseVector, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Scores of chosen rows, shape (n,), to the bit as a search gives them."""
        scores = np.empty(len(rows), np.float32)
        # own copies are of one array type, as above
        vector = (np.array(query.terms), np.array(query.weights))
        score_rows(*vector, np.array(rows), *self._lists[:3], scores)
        return scores

    def passage_scores(
        self, query: SparseVector, passages: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """As `score`: every document is its one passage."""
        return self.score(query, passages)

    def document_weights(
        self, terms: NDArray[np.int32], rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Weights of terms in rows, shape (n_rows, n_terms), 0 where a document lacks a term."""
        weights = np.empty((len(rows), len(terms)), np.float32)
        document_weights(np.array(terms), np.array(rows), *self._lists[:3], weights)
        return weights

    def warm_up(self) -> None:
        """Compile, or load from Numba's cache, what the first query needs."""
        self.search_batch(CSR.empty(1, 0), 1)
        self.score(SparseVector.from_mapping({}), np.zeros(0, np.int32))
        self.document_weights(np.zeros(0, np.int32), np.zeros(0, np.int32))
