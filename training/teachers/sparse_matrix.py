"""Sparse vectors of a run's queries and documents: scored in batches, ranked by the engine."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from lsr.datasets.vectors.npz import to_scipy
from lsr.errors import InputError
from lsr.index.blocks.config import (
    BuildConfig,
    FixedBlocks,
    FixedSummary,
    ListPruning,
    SearchParams,
)
from lsr.index.sparse_index import SparseIndex
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR
from lsr.training.teachers.protocol import Rows, Scores, padded

__all__ = ["SparseRows"]

_EXACT = BuildConfig(
    pruning=ListPruning(1), blocking=FixedBlocks(), summary=FixedSummary(1), values="f32"
)
"""Searched exactly only, so next to nothing is spent on blocks."""


class SparseRows:
    """Inner products of the rows of two matrices.

    Args:
        queries: a row for each query.
        documents: a row for each document, of the same terms.

    Raises:
        InputError: a matrix is not valid.
    """

    def __init__(self, queries: CSR, documents: CSR) -> None:
        queries.validate()
        documents.validate()
        width = max(queries.n_terms, documents.n_terms)
        self._queries = queries._replace(n_terms=width)
        self._documents = documents._replace(n_terms=width)
        self._query_rows = to_scipy(self._queries)
        self._document_rows = to_scipy(self._documents)

    @cached_property
    def _index(self) -> SparseIndex:
        return SparseIndex.build(self._documents, _EXACT)

    def scores(self, query_rows: Rows, document_rows: Rows) -> Scores:
        """Inner products, float32, shape (n_queries, n_documents)."""
        chosen = self._query_rows[query_rows] @ self._document_rows[document_rows].T
        return np.asarray(chosen.toarray(), np.float32)

    def best(self, query_rows: Rows, depth: int) -> Ranking:
        """The documents with the largest products above 0; of equal ones the smaller row first.

        Raises:
            InputError: `depth` is below 1.
        """
        if depth < 1:
            raise InputError(f"a depth of {depth}; ask for at least 1 document")
        k = min(depth, self._documents.n_rows)
        if k == 0:
            none = np.zeros((len(query_rows), 0))
            return padded(Ranking(none.astype(np.int32), none.astype(np.float32)), depth)
        queries = self._queries.take([int(row) for row in query_rows])
        return padded(self._index.search_batch(queries, SearchParams(k=k, strategy="exact")), depth)
