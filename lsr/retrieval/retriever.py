"""Protocols of rankers: `Retriever` for text queries, and the two sides of a hybrid search.

Evaluation speaks to `Retriever` and knows nothing of engines. BM25, a dense model and the hybrid of
both are all one of these, and all pass the contract suite in
`tests/retrieval/test_retriever_contract.py`. `SparseSide` and `DenseSide` are the same rankers in
steps, with what fusion and feedback need
beside a ranking: scores of chosen documents, and documents' vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lsr.sparse import CSR, SparseVector
from lsr.types import Query, Run

__all__ = ["DenseSide", "Ranking", "Retriever", "SparseSide", "TieOrder"]

Rows = NDArray[np.int32]
Mask = NDArray[np.bool_]


class TieOrder(Protocol):
    """The order of documents by doc_id: int32 by row, as an array of all of them or as computed."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Rows, /) -> NDArray[np.int32]:
        """Places of rows: among equal scores the smaller comes first."""
        ...


class Ranking(NamedTuple):
    """Results of a batch, one line per query, best first.

    Attributes:
        rows: int32, shape (n_queries, k), −1 beyond the last hit.
        scores: float32, shape (n_queries, k), 0 beyond the last hit.
    """

    rows: NDArray[np.int32]
    scores: NDArray[np.float32]


@runtime_checkable
class Retriever(Protocol):
    """Ranks the documents of one collection."""

    @property
    def name(self) -> str: ...

    def retrieve(self, queries: Sequence[Query], k: int, allowed: Mask | None = None) -> Run:
        """The `k` best documents of each query, in the order of `queries`.

        Args:
            queries: a query that says nothing to this retriever gets an empty list.
            k: how many at most; fewer come back where fewer match.
            allowed: bool, shape (n_documents,); rows that are False are not returned.

        Returns:
            Hits by score descending, equal scores by doc_id ascending.

        Raises:
            QueryError: `k` is below 1, or `allowed` has another length than the collection.
        """
        ...


class SparseSide(Protocol):
    """Sparse retrieval in steps. `floor` is the smallest score there can be."""

    floor: float | None

    @property
    def name(self) -> str: ...

    def encode(self, texts: Sequence[str]) -> CSR:
        """Query vectors, one row for each text."""
        ...

    def search(self, queries: CSR, k: int, allowed: Mask | None = None) -> Ranking:
        """The `k` best rows of each query with a score above 0."""
        ...

    def score(self, query: SparseVector, rows: Rows) -> NDArray[np.float32]:
        """Scores of rows, shape (n,), to the bit as `search` would give them."""
        ...

    def passage_scores(self, query: SparseVector, rows: Rows) -> Sequence[NDArray[np.float32]]:
        """Shares that the passages of each row add to its score; of one in one piece, its score."""
        ...

    def vectors(self, rows: Rows, query: SparseVector) -> CSR:
        """Documents' vectors; of one in passages, that of the passage that answers best."""
        ...

    def has_vector(self, rows: Rows) -> NDArray[np.bool_]:
        """Whether documents have any term, shape (n,)."""
        ...

    def may_feed(self, terms: NDArray[np.int32], max_df: float) -> NDArray[np.bool_]:
        """A `TermFilter`: words that at most a share `max_df` of documents have, shape (n,)."""
        ...

    def document_weights(self, query: SparseVector, rows: Rows) -> NDArray[np.float32]:
        """Weights of the query's terms in documents' vectors, shape (n_rows, n_terms)."""
        ...

    def term(self, term: int) -> str:
        """The text of a term."""
        ...

    def surface_terms(self, text: str) -> NDArray[np.int32] | None:
        """The terms that a query's text itself holds; None when its vector has no others."""
        ...


class DenseSide(Protocol):
    """Dense retrieval in steps.

    `floor` is the smallest score there can be: -1 for cosines; None for inner products of vectors
    that may have any length.
    """

    floor: float | None

    @property
    def name(self) -> str: ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Query vectors, shape (n_texts, dimension)."""
        ...

    def search(self, queries: NDArray[np.float32], k: int, allowed: Mask | None = None) -> Ranking:
        """The `k` best rows of each query by inner product, among those that have a vector."""
        ...

    def score(self, query: NDArray[np.float32], rows: Rows) -> NDArray[np.float32]:
        """Scores of rows, shape (n,), to the bit as `search` would give them."""
        ...

    def passage_scores(
        self, query: NDArray[np.float32], rows: Rows
    ) -> Sequence[NDArray[np.float32]]:
        """Scores of the passages of each row; of a document in one piece, its own."""
        ...

    def vectors(self, rows: Rows, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Documents' vectors, shape (n, dimension); zeros where there is none.

        Of one in passages, that of the passage that answers the query best.
        """
        ...

    def has_vector(self, rows: Rows) -> NDArray[np.bool_]:
        """Whether documents have a vector, shape (n,)."""
        ...
