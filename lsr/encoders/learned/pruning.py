"""Pruning of document vectors: the heaviest few entries are kept, or those near the heaviest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError
from lsr.sparse import CSR

__all__ = ["ActiveTerms", "rows_of"]


@dataclass(frozen=True)
class ActiveTerms:
    """Limits on the entries of a vector that are kept.

    Attributes:
        max_active: entries kept at most; None for all.
        prune_ratio: entries at or below this share of the row's heaviest are dropped; 0 for none.

    Raises:
        InputError: a number is out of its range.
    """

    max_active: int | None = None
    prune_ratio: float = 0.0

    def __post_init__(self) -> None:
        if self.max_active is not None and self.max_active < 1:
            raise InputError(f"{self.max_active} terms to keep; keep at least 1, or leave it out")
        if not 0 <= self.prune_ratio < 1:
            raise InputError(f"the prune ratio is {self.prune_ratio}; it must be from 0 to below 1")

    def of(self, vectors: CSR) -> CSR:
        """The vectors with only those entries."""
        if self.prune_ratio and vectors.nnz:
            lengths = np.diff(vectors.indptr)
            filled = lengths > 0
            heaviest = np.zeros(vectors.n_rows, np.float32)
            heaviest[filled] = np.maximum.reduceat(vectors.weights, vectors.indptr[:-1][filled])
            kept = vectors.weights > np.repeat(heaviest * self.prune_ratio, lengths)
            indptr = np.concatenate([[0], np.cumsum(kept)])[vectors.indptr].astype(np.int64)
            vectors = CSR(indptr, vectors.terms[kept], vectors.weights[kept], vectors.n_terms)
        return vectors if self.max_active is None else vectors.top_terms(self.max_active)


def rows_of(weights: NDArray[np.float32]) -> CSR:
    """The entries above zero of an array of shape (n_rows, n_terms)."""
    rows, terms = np.nonzero(weights > 0)
    indptr = np.zeros(len(weights) + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=len(weights)), out=indptr[1:])
    values = weights[rows, terms].astype(np.float32)
    return CSR(indptr, terms.astype(np.int32), values, weights.shape[1])
