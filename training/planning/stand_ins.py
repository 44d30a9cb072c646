"""Teachers that cost what real ones do once they are prepared, and know nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lsr.progress import Progress
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR
from lsr.training.teachers.nearest import nearest_rows
from lsr.training.teachers.protocol import Rows, Scores, padded
from lsr.training.teachers.sparse_matrix import SparseRows

__all__ = ["RandomTerms", "RandomVectors"]

DIMENSION = 384
DOCUMENT_TERMS, QUERY_TERMS, VOCABULARY = 200, 30, 30_000


class RandomVectors:
    """A `Teacher` by random dense vectors."""

    name = identity = "random vectors"

    def __init__(self, n_queries: int, n_documents: int, dimension: int = DIMENSION) -> None:
        self._sizes = (n_queries, n_documents, dimension)

    def prepare(self, queries: Sequence[str], documents: Sequence[str], progress: Progress) -> None:
        """There is nothing to do."""

    @cached_property
    def vectors(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Of queries and of documents, float32, shape (n, dimension)."""
        queries, documents, dimension = self._sizes
        rng = np.random.default_rng(0)
        return (
            rng.standard_normal((queries, dimension), np.float32),
            rng.standard_normal((documents, dimension), np.float32),
        )

    def scores(self, query_rows: Rows, document_rows: Rows) -> Scores:
        """Inner products of all pairs, float32, shape (n_queries, n_documents)."""
        # drawn anew for the rows asked: a few of what may be millions
        if "vectors" in vars(self):
            return self.vectors[0][query_rows] @ self.vectors[1][document_rows].T
        rng = np.random.default_rng(0)
        return rng.standard_normal((len(query_rows), len(document_rows)), np.float32)

    def best(self, query_rows: Rows, depth: int) -> Ranking:
        """The documents with the largest inner products, shape (n_queries, depth)."""
        queries, documents = self.vectors
        return padded(
            nearest_rows(queries[query_rows], documents, min(depth, len(documents))), depth
        )


class RandomTerms(SparseRows):
    """A `Teacher` by random sparse vectors, about as many terms as learned ones have."""

    name = identity = "random terms"

    def __init__(self, n_queries: int, n_documents: int) -> None:
        super().__init__(_terms(n_queries, QUERY_TERMS), _terms(n_documents, DOCUMENT_TERMS))

    def prepare(self, queries: Sequence[str], documents: Sequence[str], progress: Progress) -> None:
        """There is nothing to do."""


def _terms(n_rows: int, n_terms: int) -> CSR:
    rng = np.random.default_rng(0)
    step = VOCABULARY // n_terms
    terms = np.arange(n_terms) * step + rng.integers(0, step, (n_rows, n_terms))
    return CSR(
        np.arange(n_rows + 1, dtype=np.int64) * n_terms,
        terms.ravel().astype(np.int32),
        rng.uniform(0.1, 1, n_rows * n_terms).astype(np.float32),
        VOCABULARY,
    )
