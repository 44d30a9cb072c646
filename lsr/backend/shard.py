"""`Shard`, a part of a collection, and `Shards`, the way to all of them: a backend is made of both.

The cut is a round of a search. A shard returns the candidates of both sides and both raw scores of
all of them, so that what fusion lacks is completed beside the data. Nothing that a shard is asked
for or answers grows with its documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lsr.retrieval.filter import Filter
from lsr.sparse import CSR, SparseVector
from lsr.types import Document, EncoderIdentity

__all__ = ["Called", "Candidates", "Round", "Shard", "ShardInfo", "Shards", "SideScoresOf"]

Rows = NDArray[np.int64]


class Round(NamedTuple):
    """A round of a search, as every shard is asked.

    Attributes:
        sparse, dense: the query's vectors; None for a side that has no part in the search.
        lists: which sides list their best documents; the other scores those of the first alone.
        window: documents in a list, at most.
        where: a filter as `lsr.retrieval.filter` reads it, or None.
        complete: whether a side scores the candidates that only the other lists.
        rows: int64, of this shard: candidates of earlier rounds, which are scored too.
        fetch: of the best of a search of one side, documents that may come along.
    """

    sparse: SparseVector | None
    dense: NDArray[np.float32] | None
    lists: tuple[bool, bool]
    window: int
    where: Mapping[str, object] | Filter | None
    complete: bool
    rows: Rows
    fetch: int = 0


class SideScoresOf(NamedTuple):
    """One side of a shard's candidates.

    Attributes:
        best: places among the candidates, the best first, of those that the side lists.
        raw: float32, shape (n,): scores.
        known: bool, shape (n,): which of them are known: a vector is there, and was compared.
        has_vector: bool, shape (n,): which candidates have a vector of this side at all.
    """

    best: NDArray[np.intp]
    raw: NDArray[np.float32]
    known: NDArray[np.bool_]
    has_vector: NDArray[np.bool_]


class Candidates(NamedTuple):
    """A shard's part in a round.

    Attributes:
        rows: int64, shape (n,), ascending: the shard's own numbers.
        doc_ids: of the rows.
        sparse, dense: None for a side that the round leaves out.
        documents: of the best rows, as many as came along; the others are asked for when the page
            is known.
        unknown: fields of the filter that no document of the shard has; others may have them.
    """

    rows: Rows
    doc_ids: list[str]
    sparse: SideScoresOf | None
    dense: SideScoresOf | None
    documents: Sequence[Document] = ()
    unknown: tuple[str, ...] = ()


class ShardInfo(NamedTuple):
    """A shard as a router has to know it.

    Attributes:
        sparse, dense: what made its vectors; no dense identity without dense vectors.
        n_documents: that can be found.
        n_passages: of those, which `document_frequency` counts.
        dimension: of dense vectors; 0 without any.
        document_frequency: int64, shape (n_terms,).
    """

    sparse: EncoderIdentity
    dense: EncoderIdentity | None
    n_documents: int
    n_passages: int
    n_postings: int
    size_bytes: int
    dimension: int
    document_frequency: NDArray[np.int64]


class Shard(Protocol):
    """A part of a collection. Rows are its own numbers, and stay as they are while it is open."""

    def info(self) -> ShardInfo: ...

    def search(self, asked: Round) -> Candidates:
        """The best of both sides, and both scores of all of them. Raises QueryError."""
        ...

    def score(
        self, sparse: SparseVector | None, dense: NDArray[np.float32] | None, rows: Rows
    ) -> NDArray[np.float32]:
        """Scores of rows by the one vector that is given, shape (n,), to the bit as `search`."""
        ...

    def vectors(self, rows: Rows, sides: tuple[bool, bool]) -> tuple[CSR, NDArray[np.float32]]:
        """Sparse and dense vectors of rows, those of the sides that are wanted."""
        ...

    def document_weights(self, query: SparseVector, rows: Rows) -> NDArray[np.float32]:
        """Weights of the query's terms in documents, shape (n_rows, n_terms)."""
        ...

    def documents(self, rows: Rows) -> list[Document]:
        """The documents in rows, in their order."""
        ...

    def document(self, doc_id: str) -> Document | None:
        """A document by id, if the shard has it."""
        ...

    def close(self) -> None: ...


class Called(NamedTuple):
    """Answers by number of shard, and the errors of those that gave none."""

    answers: dict[int, Any]
    failures: dict[int, Exception]


class Shards(Protocol):
    """All shards of a collection, however they are reached."""

    @property
    def n(self) -> int:
        """Shards there are, those that do not answer included."""
        ...

    def call(self, method: str, arguments: Mapping[int, Sequence[Any]]) -> Called:
        """Ask some shards, all at once where that can be.

        Args:
            method: of `Shard`.
            arguments: by number of shard.

        Raises:
            QueryError: a shard refuses the query; all would.
        """
        ...

    def close(self) -> None: ...
