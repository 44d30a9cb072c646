"""Search across segments: each gives its best, and the best of these are the answer.

Scores of a document do not depend on its neighbours, so the answer is what one segment of all
living documents would give, to the bit: by score descending, then doc_id ascending.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lsr.index.collection.multi_segment import MultiSegment
from lsr.index.collection.segment_reader import AnyDenseIndex, Searcher
from lsr.index.kernels.merge import merge_rankings
from lsr.index.search.batch import check_k, unfilled
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR, SparseVector

__all__ = ["MultiDenseIndex", "MultiSearcher", "merged"]

Rows = NDArray[np.int32]
Mask = NDArray[np.bool_]


class MultiSearcher:
    """The sparse searchers of all readers as one `Searcher`."""

    def __init__(self, segment: MultiSegment) -> None:
        self._segment = segment
        self._searchers: list[Searcher] = [reader.open_searcher() for reader in segment.readers]

    def search_batch(
        self, queries: CSR, k: int, allowed: Mask | None = None, *, n_threads: int = 1
    ) -> Ranking:
        """As `ExactSearcher.search_batch`; `allowed` has a flag for each row of all segments."""
        return _search(
            self._segment,
            k,
            allowed,
            lambda reader, most, mask: self._searchers[reader].search_batch(
                queries, most, mask, n_threads=n_threads
            ),
        )

    def score(self, query: SparseVector, rows: Rows) -> NDArray[np.float32]:
        """As `ExactSearcher.score`."""
        scores = np.empty(len(rows), np.float32)
        for reader, places, local in self._segment.ranges.split(rows):
            scores[places] = self._searchers[reader].score(query, local)
        return scores

    def passage_scores(self, query: SparseVector, passages: Rows) -> NDArray[np.float32]:
        """As `PassageSearcher.passage_scores`."""
        scores = np.empty(len(passages), np.float32)
        for reader, places, local in self._segment.passage_ranges.split(passages):
            scores[places] = self._searchers[reader].passage_scores(query, local)
        return scores

    def document_weights(self, terms: NDArray[np.int32], passages: Rows) -> NDArray[np.float32]:
        """As `PassageSearcher.document_weights`."""
        weights = np.empty((len(passages), len(terms)), np.float32)
        for reader, places, local in self._segment.passage_ranges.split(passages):
            weights[places] = self._searchers[reader].document_weights(terms, local)
        return weights

    def warm_up(self) -> None:
        """Compile, or load from Numba's cache, what the first query needs."""
        for searcher in self._searchers:
            searcher.warm_up()
        self.search_batch(CSR.empty(1, 0), 1)


class MultiDenseIndex:
    """The dense vectors of all readers as one `DenseIndex`.

    Attributes:
        has_vector: which rows have one: bool, shape (n_rows,).
        is_exact: whether every reader compares every vector.
    """

    def __init__(self, segment: MultiSegment) -> None:
        self._segment = segment
        self._indexes: list[AnyDenseIndex] = [
            reader.open_dense_index() for reader in segment.readers
        ]
        self.has_vector: Mask = np.concatenate([index.has_vector for index in self._indexes])
        self.is_exact = all(index.is_exact for index in self._indexes)

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: Mask | None = None
    ) -> tuple[Rows, NDArray[np.float32]]:
        """As `DenseIndex.search`."""
        return _search(
            self._segment,
            k,
            allowed,
            lambda reader, most, mask: Ranking(*self._indexes[reader].search(queries, most, mask)),
        )

    def score(self, query: NDArray[np.float32], rows: Rows) -> NDArray[np.float32]:
        """As `DenseIndex.score`."""
        scores = np.empty(len(rows), np.float32)
        for reader, places, local in self._segment.ranges.split(rows):
            scores[places] = self._indexes[reader].score(query, local)
        return scores

    def passage_scores(self, query: NDArray[np.float32], passages: Rows) -> NDArray[np.float32]:
        """As `PassageDenseIndex.passage_scores`."""
        scores = np.empty(len(passages), np.float32)
        for reader, places, local in self._segment.passage_ranges.split(passages):
            scores[places] = self._indexes[reader].passage_scores(query, local)
        return scores


def _search(
    segment: MultiSegment,
    k: int,
    allowed: Mask | None,
    search: Callable[[int, int, Mask | None], Ranking],
) -> Ranking:
    check_k(k)
    masks = segment.masks(allowed)
    if len(masks) == 1:
        return search(0, k, masks[0])
    found = []
    for reader, mask in enumerate(masks):
        most = min(k, max(1, segment.readers[reader].record.n_documents))
        found.append(search(reader, most, mask))
    return merged(found, segment.ranges.first_rows, segment.tie_order, k)


def merged(
    rankings: Sequence[Ranking],
    first_rows: NDArray[np.int64],
    tie_order: NDArray[np.int32],
    k: int,
) -> Ranking:
    """The `k` best of several rankings of the same queries over different rows.

    Args:
        first_rows: what to add to each ranking's rows.
        tie_order: of all rows; among equal scores the smaller comes first.
    """
    found = unfilled(len(rankings[0].rows), k)
    merge_rankings(
        np.concatenate([ranking.rows for ranking in rankings], axis=1),
        np.concatenate([ranking.scores for ranking in rankings], axis=1),
        np.cumsum([0, *(ranking.rows.shape[1] for ranking in rankings)]),
        first_rows,
        tie_order,
        *found,
    )
    return found
