"""The two sides of a sharded collection for one query: rows are numbers of a `Gathering`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.backend.gathering import Gathering
from lsr.encoders.protocols import DenseEncoder, Encoder
from lsr.retrieval.feedback import Expanded, Feedback, TermFilter
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR, SparseVector

__all__ = ["GatheredDense", "GatheredSparse", "GatheredVectors", "Moving"]

Rows = NDArray[np.int32]


class Moving:
    """A feedback that tells the gathering where a query went, so that both are searched at once.

    Args:
        feedback: as the plan has it.
        gathering: of the query.
        side: 0 for sparse, 1 for dense.
    """

    def __init__(self, feedback: Feedback[Any], gathering: Gathering, side: int) -> None:
        self._feedback = feedback
        self._gathering = gathering
        self._side = side

    @property
    def is_off(self) -> bool:
        """See `Feedback`."""
        return self._feedback.is_off

    def expand(self, query: Any, documents: Any, term_filter: TermFilter) -> Expanded[Any] | None:
        """See `Feedback`."""
        found = self._feedback.expand(query, documents, term_filter)
        self._gathering.moved[self._side] = None if found is None else found.vector
        return found


class GatheredVectors:
    """Vectors of candidates, of both sides at once where feedback moves both.

    Args:
        moving: which sides' vectors are wanted.
    """

    def __init__(
        self, gathering: Gathering, n_terms: int, dimension: int, moving: tuple[bool, bool]
    ) -> None:
        self._gathering = gathering
        self._n_terms = n_terms
        self._dimension = dimension
        self._sides = moving
        self._rows: Rows | None = None
        self._sparse = CSR.empty(0, n_terms)
        self._dense = np.zeros((0, dimension), np.float32)

    def of(self, rows: Rows) -> tuple[CSR, NDArray[np.float32]]:
        if self._rows is None or not np.array_equal(rows, self._rows):
            sparse = [SparseVector.from_mapping({})] * len(rows)
            self._dense = np.zeros((len(rows), self._dimension), np.float32)
            parts = self._gathering.parts(rows, "vectors", lambda own: (own, self._sides))
            for places, (matrix, vectors) in parts:
                if self._sides[1]:
                    self._dense[places] = vectors
                if self._sides[0]:
                    for number, place in enumerate(places.tolist()):
                        sparse[place] = matrix.row(number)
            self._sparse = CSR.from_vectors(sparse, self._n_terms)
            self._rows = rows.copy()
        return self._sparse, self._dense


class GatheredSparse:
    """A `SparseSide` over the candidates of a query.

    Args:
        name: of the encoder.
        encoder: of the collection.
        may_feed: see `SparseSide`.
        vectors: of both sides.
    """

    floor: float | None = 0.0

    def __init__(
        self,
        gathering: Gathering,
        name: str,
        encoder: Encoder,
        may_feed: TermFilter,
        vectors: GatheredVectors,
    ) -> None:
        self._gathering = gathering
        self._name = name
        self._encoder = encoder
        self.may_feed = may_feed
        self._vectors = vectors

    @property
    def name(self) -> str:
        return self._name

    def encode(self, texts: Sequence[str]) -> CSR:
        """See `SparseSide`."""
        return self._encoder.encode_queries(texts)

    def search(self, queries: CSR, k: int, allowed: object = None) -> Ranking:  # noqa: ARG002
        """See `SparseSide`; the gathering has the filter."""
        return _ranking(self._gathering.listed(0, queries.row(0), k))

    def score(self, query: SparseVector, rows: Rows) -> NDArray[np.float32]:
        """See `SparseSide`."""
        return self._gathering.scores(0, query, rows)

    def passage_scores(self, query: SparseVector, rows: Rows) -> Sequence[NDArray[np.float32]]:
        """See `SparseSide`: documents are in one piece."""
        return np.split(self.score(query, rows), len(rows))

    def vectors(self, rows: Rows, query: SparseVector) -> CSR:  # noqa: ARG002
        """See `SparseSide`."""
        return self._vectors.of(rows)[0]

    def has_vector(self, rows: Rows) -> NDArray[np.bool_]:
        """See `SparseSide`."""
        return self._gathering.has_vector(0, rows)

    def document_weights(self, query: SparseVector, rows: Rows) -> NDArray[np.float32]:
        """See `SparseSide`."""
        weights = np.zeros((len(rows), len(query.terms)), np.float32)
        parts = self._gathering.parts(rows, "document_weights", lambda own: (query, own))
        for places, part in parts:
            weights[places] = part
        return weights

    def term(self, term: int) -> str:
        """See `SparseSide`."""
        return self._encoder.term(term)

    def surface_terms(self, text: str) -> NDArray[np.int32] | None:
        """See `SparseSide`."""
        return self._encoder.surface_terms(text)


class GatheredDense:
    """A `DenseSide` over the candidates of a query.

    Args:
        name: of the model.
        model: gives it when it is first needed.
        floor: see `DenseSide`.
        vectors: of both sides.
    """

    def __init__(
        self,
        gathering: Gathering,
        name: str,
        model: Callable[[], DenseEncoder],
        floor: float | None,
        vectors: GatheredVectors,
    ) -> None:
        self._gathering = gathering
        self._name = name
        self._model = model
        self.floor = floor
        self._vectors = vectors

    @property
    def name(self) -> str:
        return self._name

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `DenseSide`."""
        return self._model().encode_queries(texts)

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        allowed: object = None,  # noqa: ARG002
    ) -> Ranking:
        """See `DenseSide`; the gathering has the filter."""
        return _ranking(self._gathering.listed(1, queries[0], k))

    def score(self, query: NDArray[np.float32], rows: Rows) -> NDArray[np.float32]:
        """See `DenseSide`."""
        return self._gathering.scores(1, query, rows)

    def passage_scores(
        self, query: NDArray[np.float32], rows: Rows
    ) -> Sequence[NDArray[np.float32]]:
        """See `DenseSide`: documents are in one piece."""
        return np.split(self.score(query, rows), len(rows))

    def vectors(self, rows: Rows, query: NDArray[np.float32]) -> NDArray[np.float32]:  # noqa: ARG002
        """See `DenseSide`."""
        return self._vectors.of(rows)[1]

    def has_vector(self, rows: Rows) -> NDArray[np.bool_]:
        """See `DenseSide`."""
        return self._gathering.has_vector(1, rows)


def _ranking(found: tuple[Rows, NDArray[np.float32]]) -> Ranking:
    rows, scores = found
    if len(rows) == 0:
        return Ranking(np.full((1, 1), -1, np.int32), np.zeros((1, 1), np.float32))
    return Ranking(rows[None, :], scores[None, :])
