"""Scores of chosen pairs of rows, looked up in batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.training.teachers.protocol import Rows, Scores

__all__ = ["PairTable"]


class PairTable:
    """Scores by query row and document row.

    Args:
        n_documents: of the run; document rows are below it.
    """

    def __init__(self, n_documents: int) -> None:
        self._n_documents = n_documents
        self._pairs: NDArray[np.int64] = np.zeros(0, np.int64)
        self._scores: Scores = np.zeros(0, np.float32)

    def __len__(self) -> int:
        return len(self._pairs)

    def add(self, query_rows: Rows, document_rows: Rows, scores: Scores) -> None:
        """Add pairs, three arrays of shape (n,). The last score of a pair is the one kept."""
        pairs = np.concatenate([self._pairs, self._numbers(query_rows, document_rows)])
        values = np.concatenate([self._scores, np.asarray(scores, np.float32)])
        # of equal pairs the first in reverse order is the last that was added
        self._pairs, last = np.unique(pairs[::-1], return_index=True)
        self._scores = values[::-1][last]

    def scores(self, query_rows: Rows, document_rows: Rows) -> Scores:
        """Scores of all pairs, float32, shape (n_queries, n_documents); NaN where unknown."""
        wanted = self._numbers(np.asarray(query_rows)[:, None], np.asarray(document_rows)[None, :])
        found = np.full(wanted.shape, np.nan, np.float32)
        if len(self._pairs):
            places = np.minimum(np.searchsorted(self._pairs, wanted), len(self._pairs) - 1)
            known = self._pairs[places] == wanted
            found[known] = self._scores[places[known]]
        return found

    def _numbers(self, query_rows: Rows, document_rows: Rows) -> NDArray[np.int64]:
        return np.asarray(query_rows, np.int64) * self._n_documents + document_rows
