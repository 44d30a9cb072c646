"""Pseudo-relevance feedback: a query vector moved toward the documents that it found first.

- `DenseFeedback`: average, `mean(q, d1 … dk)`, and Rocchio, `alpha q + beta mean(d1 … dk)`, on
  dense vectors (Li et al., TOIS 2022 and SIGIR 2022), brought back to unit length where the model
  compares by cosine.
- `SparseFeedback`: Rocchio over impacts, as Anserini has it, for BM25 and any learned sparse
  encoder: unit query, mean of unit documents, the heaviest terms of that mean at unit length.

No text is encoded: feedback takes the documents' stored vectors. A class of yours that fits the
`Feedback` protocol can stand in their place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from lsr.errors import QueryError
from lsr.options import check_options, option
from lsr.sparse import CSR, SparseVector

__all__ = [
    "DenseFeedback",
    "Expanded",
    "Feedback",
    "InnerProductFeedback",
    "SparseFeedback",
    "TermFilter",
]

SMALLEST_NORM = 1e-9
"""A vector shorter than this has no direction."""

Vector = TypeVar("Vector", covariant=True)
Documents = TypeVar("Documents", contravariant=True)


class Expanded(NamedTuple, Generic[Vector]):
    """A query after feedback, and what it is made of.

    Attributes:
        vector: the new query.
        query_share, document_shares: for explanations: `vector` is the query times `query_share`
            plus each document times its share; shape (k,) float64. None where it is not so.
    """

    vector: Any
    query_share: float = 0.0
    document_shares: NDArray[np.float64] | None = None


class TermFilter(Protocol):
    """Filter of the terms that may be added to a query."""

    def __call__(self, terms: NDArray[np.int32], max_df: float) -> NDArray[np.bool_]:
        """Whether each term is a word that at most a share `max_df` of documents have."""
        ...


class Feedback(Protocol[Documents]):
    """Turns a query and the documents it is to learn from into a new query."""

    @property
    def is_off(self) -> bool:
        """Whether the query would stay as it is; then nothing is searched again."""
        ...

    def expand(
        self, query: Any, documents: Documents, term_filter: TermFilter
    ) -> Expanded[Any] | None:
        """The new query; None when it would have no direction, and the old one stays.

        Args:
            query: float32 (dimension,), or a `SparseVector`.
            documents: at least one: float32 (k, dimension), or a `CSR` of k rows.
            term_filter: for sparse feedback.
        """
        ...


@dataclass(frozen=True, slots=True)
class DenseFeedback:
    """Average or Rocchio over dense vectors.

    Raises:
        QueryError: a value is out of its range, or alpha and beta are both 0.
    """

    method: Literal["rocchio", "average"] = option(
        "rocchio",
        "rocchio, or the plain average of query and documents.",
        choices=("rocchio", "average"),
    )
    alpha: float = option(0.8, "Rocchio: the query's weight.", low=0.0, high=2.0)
    beta: float = option(0.2, "Rocchio: the documents' weight; 0 turns it off.", low=0.0, high=2.0)

    def __post_init__(self) -> None:
        check_options(self, "prf.dense.")
        if self.alpha + self.beta == 0:
            raise QueryError("prf.dense.alpha and prf.dense.beta are both 0; give one of them")

    @property
    def is_off(self) -> bool:
        return self.method == "rocchio" and self.beta == 0

    def expand(
        self,
        query: NDArray[np.float32],
        documents: NDArray[np.float32],
        term_filter: TermFilter | None = None,  # noqa: ARG002
    ) -> Expanded[NDArray[np.float32]] | None:
        """See `Feedback`. The new query is float32 of unit length."""
        moved = self.moved(query, documents)
        if moved is None or moved.document_shares is None:
            return None
        length = float(np.linalg.norm(moved.vector))
        return Expanded(
            (moved.vector / length).astype(np.float32),
            moved.query_share / length,
            moved.document_shares / length,
        )

    def above(self, floor: float | None) -> DenseFeedback | InnerProductFeedback:
        """The feedback that suits a side with that floor: see `DenseSide`."""
        return InnerProductFeedback(self) if floor is None else self

    def moved(
        self, query: NDArray[np.float32], documents: NDArray[np.float32]
    ) -> Expanded[NDArray[np.float64]] | None:
        """The new query as the formula has it, float64; None where it has no direction."""
        k = len(documents)
        if self.method == "average":
            alpha, beta = 1 / (k + 1), k / (k + 1)
        else:
            alpha, beta = self.alpha, self.beta
        centre = documents.mean(axis=0, dtype=np.float64)
        moved = alpha * query.astype(np.float64) + beta * centre
        if np.sqrt(moved @ moved) < SMALLEST_NORM:
            return None
        return Expanded(moved, alpha, np.full(k, beta / k))


@dataclass(frozen=True, slots=True)
class InnerProductFeedback:
    """Dense feedback where vectors are compared by inner product: the new query keeps its length.

    Example:
        >>> import numpy as np
        >>> from lsr.retrieval.feedback import DenseFeedback, InnerProductFeedback
        >>> feedback = InnerProductFeedback(DenseFeedback(method="average"))
        >>> feedback.expand(np.array([2, 0]), np.array([[4, 2]])).vector.tolist()
        [3.0, 1.0]
    """

    options: DenseFeedback

    @property
    def is_off(self) -> bool:
        return self.options.is_off

    def expand(
        self,
        query: NDArray[np.float32],
        documents: NDArray[np.float32],
        term_filter: TermFilter | None = None,  # noqa: ARG002
    ) -> Expanded[NDArray[np.float32]] | None:
        """See `Feedback`. The new query is float32."""
        moved = self.options.moved(query, documents)
        if moved is None:
            return None
        return Expanded(moved.vector.astype(np.float32), moved.query_share, moved.document_shares)


@dataclass(frozen=True, slots=True)
class SparseFeedback:
    """Rocchio over impact vectors.

    Raises:
        QueryError: a value is out of its range, or alpha and beta are both 0.
    """

    enabled: bool = option(False, "Whether the sparse query is expanded too.")
    terms: int = option(10, "Terms taken from the documents.", low=1, high=200)
    alpha: float = option(1.0, "The query's weight.", low=0.0, high=2.0)
    beta: float = option(0.2, "The documents' weight; 0 turns it off.", low=0.0, high=2.0)
    max_df: float = option(
        0.1, "Terms that a greater share of documents have are not added.", low=0.0, high=1.0
    )

    def __post_init__(self) -> None:
        check_options(self, "prf.sparse.")
        if self.alpha + self.beta == 0:
            raise QueryError("prf.sparse.alpha and prf.sparse.beta are both 0; give one of them")

    @property
    def is_off(self) -> bool:
        return not self.enabled or self.beta == 0

    def expand(
        self, query: SparseVector, documents: CSR, term_filter: TermFilter
    ) -> Expanded[SparseVector] | None:
        """See `Feedback`. Terms whose weight would be 0 are left out."""
        terms, place = np.unique(documents.terms, return_inverse=True)
        weights = documents.weights.astype(np.float64)
        weights = np.where(term_filter(terms, self.max_df)[place], weights, 0.0)
        rows = np.repeat(np.arange(documents.n_rows), np.diff(documents.indptr))
        lengths = np.sqrt(np.bincount(rows, weights**2, documents.n_rows))
        shares = weights / np.maximum(lengths, SMALLEST_NORM)[rows]
        centre = np.bincount(place, shares, len(terms)) / documents.n_rows
        heaviest = np.argsort(-centre, kind="stable")[: self.terms]
        kept = np.sort(heaviest[centre[heaviest] > 0])
        added = self.beta * _unit(centre[kept])
        own = self.alpha * _unit(query.weights.astype(np.float64))
        merged = np.union1d(query.terms, terms[kept]).astype(np.int32)
        moved = np.zeros(len(merged), np.float64)
        moved[np.searchsorted(merged, query.terms)] += own
        moved[np.searchsorted(merged, terms[kept])] += added
        if np.sqrt(moved @ moved) < SMALLEST_NORM:
            return None
        heavy = moved.astype(np.float32)
        return Expanded(SparseVector(merged[heavy > 0], heavy[heavy > 0]))


def _unit(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    length = float(np.sqrt(weights @ weights))
    return weights / max(length, SMALLEST_NORM)
