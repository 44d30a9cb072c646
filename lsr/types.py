"""Records shared by all packages: `Query`, `Document`, `Run`, `EncoderIdentity` and others.

Identifiers are strings outside the engine. Inside it a document is an `int32` **row**, its
position in the collection; the two are never mixed in one variable name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = [
    "Document",
    "EncoderIdentity",
    "Metadata",
    "Qrel",
    "Qrels",
    "Query",
    "Run",
    "ScoredDoc",
    "ranked",
]

Metadata = Mapping[str, object]
"""Mapping of field name to value. Filters match scalars and lists of scalars."""


@dataclass(frozen=True, slots=True)
class Query:
    """A request for documents.

    Example:
        >>> import lsr
        >>> lsr.Query("q1", "rotate a key").text
        'rotate a key'
    """

    query_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A unit of retrieval. `doc_id` is non-empty and unique within a collection.

    Example:
        >>> import lsr
        >>> lsr.Document("a", "They rotate.", title="Keys", metadata={"team": "ops"}).full_text
        'Keys They rotate.'
    """

    doc_id: str
    text: str
    title: str = ""
    metadata: Metadata = field(default_factory=dict)

    @property
    def full_text(self) -> str:
        """Title and text joined by a space, as encoders read them (the convention of BEIR)."""
        return f"{self.title} {self.text}".strip() if self.title else self.text


class ScoredDoc(NamedTuple):
    """A line of a run: a document and its score for a query (greater is better).

    Example:
        >>> import lsr
        >>> lsr.ScoredDoc("q1", "a", 1.5).doc_id
        'a'
    """

    query_id: str
    doc_id: str
    score: float


class Qrel(NamedTuple):
    """A judgement. `relevance` 0 means judged and not relevant."""

    query_id: str
    doc_id: str
    relevance: int


Qrels = dict[str, dict[str, int]]
"""Judgements: mapping of query_id to mapping of doc_id to relevance."""

Run = dict[str, list[ScoredDoc]]
"""Rankings: mapping of query_id to hits, by score descending, then doc_id ascending."""


@dataclass(frozen=True)
class EncoderIdentity:
    """Identity of the encoder that made vectors: stored in the manifest and compared on use.

    Attributes:
        kind: "bm25", "dense" and so on: which class reads the encoder's folder.
        name: the name that the user gave, for people.
        sha256: hash of everything that influences its output.
        parameters: its options, for people.
    """

    kind: str
    name: str
    sha256: str
    parameters: dict[str, str | int | float | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind == "given":  # what version 0.1 wrote
            object.__setattr__(self, "kind", "precomputed")


def ranked(hits: list[ScoredDoc]) -> list[ScoredDoc]:
    """Sort hits in the project's order: score descending, then doc_id ascending."""
    return sorted(hits, key=lambda hit: (-hit.score, hit.doc_id))
