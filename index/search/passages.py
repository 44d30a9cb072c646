"""Search of segments whose documents have several passages; a document is its best passage."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.index.kernels.passages import scan_passages
from lsr.index.search.batch import check_k, check_mask, plain, share_out, unfilled
from lsr.index.search.exact_searcher import ExactSearcher
from lsr.index.storage.segment import Segment, frozen
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR, SparseVector

__all__ = ["PassageSearcher", "best_places", "joined"]

_ALL = frozen(np.zeros(0, np.bool_))

Rows = NDArray[np.int32]
Mask = NDArray[np.bool_]


class PassageSearcher:
    """Exact sparse search: the best passage of each document, and the terms of its whole text.

    For documents of one passage, scores are to the bit those of `ExactSearcher`.

    Args:
        segment: with passages.
    """

    def __init__(self, segment: Segment) -> None:
        assert segment.passages is not None
        self._passages = segment.passages
        self._n_rows = segment.n_rows
        self._by_passage = ExactSearcher(segment)
        self._lists = (segment.list_indptr, segment.list_rows, segment.list_weights)
        self._rows = (
            segment.passages.starts,
            frozen(segment.passages.row_of),
            segment.tie_order,
            segment.row_at_tie,
        )

    def search_batch(
        self, queries: CSR, k: int, allowed: Mask | None = None, *, n_threads: int = 1
    ) -> Ranking:
        """As `ExactSearcher.search_batch`, of documents."""
        check_k(k)
        mask = _ALL
        if allowed is not None:
            check_mask(allowed, self._n_rows)
            mask = frozen(allowed)
        arrays = (plain(queries.indptr), plain(queries.terms), plain(queries.weights))
        found = unfilled(queries.n_rows, k)
        share_out(self._scan, queries.n_rows, n_threads, (arrays, mask, found))
        return found

    def _scan(
        self,
        first: int,
        last: int,
        arrays: tuple[NDArray[np.generic], ...],
        mask: Mask,
        found: Ranking,
    ) -> None:
        whole_from = self._passages.whole_from
        scan_passages(*arrays, first, last, *self._lists, *self._rows, mask, whole_from, *found)

    def score(self, query: SparseVector, rows: Rows) -> NDArray[np.float32]:
        """Scores of chosen documents, shape (n,), to the bit as a search gives them."""
        if len(rows) == 0:
            return np.zeros(0, np.float32)
        passages, edges = self._passages.of(rows)
        scores = np.maximum.reduceat(self.passage_scores(query, passages), edges[:-1])
        whole = query.terms >= self._passages.whole_from
        weights = self.document_weights(query.terms[whole], self._passages.first(rows))
        for column, weight in enumerate(query.weights[whole].astype(np.float32)):
            scores += weight * weights[:, column]  # one by one, as the kernel adds them
        return scores

    def passage_scores(self, query: SparseVector, passages: Rows) -> NDArray[np.float32]:
        """Shares that passages add to the scores of their documents, shape (n,)."""
        own = query.terms < self._passages.whole_from
        return self._by_passage.score(SparseVector(query.terms[own], query.weights[own]), passages)

    def document_weights(self, terms: NDArray[np.int32], passages: Rows) -> NDArray[np.float32]:
        """As `ExactSearcher.document_weights`, of passages."""
        return self._by_passage.document_weights(terms, passages)

    def warm_up(self) -> None:
        """Compile, or load from Numba's cache, what the first query needs."""
        self.search_batch(CSR.empty(1, 0), 1)
        self._by_passage.score(SparseVector.from_mapping({}), np.zeros(0, np.int32))
        self.document_weights(np.zeros(0, np.int32), np.zeros(0, np.int32))


def best_places(scores: NDArray[np.float32], edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of the greatest score of each run, the first among equal ones, shape (n_runs,).

    Args:
        edges: shape (n_runs + 1,): where runs begin and end; none is empty.
    """
    runs = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return np.array([start + scores[start:end].argmax() for start, end in runs], np.int64)


def joined(passage: SparseVector, first: SparseVector, whole_from: int) -> SparseVector:
    """A document's vector: the terms of a passage, and those of the whole text.

    Args:
        first: the vector of the document's first passage, which holds both.
        whole_from: the first term of whole texts.
    """
    own, whole = passage.terms < whole_from, first.terms >= whole_from
    return SparseVector(
        np.concatenate([passage.terms[own], first.terms[whole]]),
        np.concatenate([passage.weights[own], first.weights[whole]]),
    )
