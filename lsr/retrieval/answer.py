"""Parts of an answer: hits with their documents, counts by value, what feedback did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsr.retrieval.explanation import Explanation, QueryTerm, query_terms
from lsr.retrieval.hybrid import HybridResult
from lsr.retrieval.retriever import SparseSide
from lsr.retrieval.scalar import Scalar
from lsr.types import Document

__all__ = [
    "Collapsed",
    "FacetCounts",
    "FacetRange",
    "FacetValue",
    "FeedbackDocument",
    "FoundPassage",
    "Hit",
    "PrfReport",
    "ShardCounts",
    "clipped",
]

_BEGINNING = 60  # characters


@dataclass(frozen=True)
class FoundPassage:
    """A passage of a found document, `document.text[start:end]`.

    Attributes:
        number: its place among the document's passages, from 0.
        heading: the headings that it stands below, outermost first, joined by " > ".
        line: of the text that it begins in, from 1.
        page: from 1; None in a text without pages.
        score: what it was chosen by, among the passages of one document.
    """

    number: int
    start: int
    end: int
    heading: str
    line: int
    page: int | None
    score: float


@dataclass(frozen=True, repr=False)
class Hit:
    """A found document and its score; `explanation` when the plan asks for one.

    Example:
        >>> import lsr
        >>> index = lsr.build([lsr.Document("a", "Keys rotate.")], "my-index", sparse="bm25")
        >>> hit = index.search("keys")[0]
        >>> hit.doc_id, hit.text
        ('a', 'Keys rotate.')

    Attributes:
        collapsed: the other hits that this one stands for, where hits were collapsed.
        passages: those that answer best, best first, as many as were asked for; none of a document
            in one piece.
    """

    document: Document
    score: float
    explanation: Explanation | None = None
    collapsed: Collapsed | None = None
    passages: tuple[FoundPassage, ...] = ()

    @property
    def doc_id(self) -> str:
        return self.document.doc_id

    @property
    def title(self) -> str:
        return self.document.title

    @property
    def text(self) -> str:
        return self.document.text

    def __repr__(self) -> str:
        beginning = clipped(self.title or self.text)
        return f"Hit({self.doc_id!r}, {self.score:.4f}, {beginning!r})"


@dataclass(frozen=True)
class Collapsed:
    """Hits of one value of a field, of which the best stands for all.

    Attributes:
        value: None for a document without the field, which stands for itself.
        n_hits: hits with this value, the best included.
        hits: those after the best, as many as were asked for.
    """

    value: Scalar | None
    n_hits: int
    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True)
class FacetValue:
    """A value, and how many matching documents have it."""

    value: Scalar
    count: int


@dataclass(frozen=True)
class FacetRange:
    """A range from `low` to before `high`, and how many matching documents have a value in it."""

    low: Scalar | None
    high: Scalar | None
    count: int


@dataclass(frozen=True)
class FacetCounts:
    """Counts of matching documents by a field's values.

    Attributes:
        values: most documents first, then by value.
        n_values: different values among the matching documents.
        n_missing: matching documents without a value.
        least, greatest: of the numbers among their values, if asked for; None without any.
    """

    field: str
    values: tuple[FacetValue, ...] = ()
    ranges: tuple[FacetRange, ...] = ()
    n_values: int = 0
    n_missing: int = 0
    least: int | float | None = None
    greatest: int | float | None = None


@dataclass(frozen=True)
class FeedbackDocument:
    """A document that feedback learned from, and its score in the list it was picked from."""

    doc_id: str
    score: float


@dataclass(frozen=True)
class PrfReport:
    """Report of what feedback did.

    Attributes:
        reason: why it was not applied, or None.
        terms: the sparse query as it was last searched; only when the plan explains in full.
    """

    applied: bool
    reason: str | None
    feedback: tuple[FeedbackDocument, ...] = ()
    terms: tuple[QueryTerm, ...] = ()

    @classmethod
    def of(
        cls,
        outcome: HybridResult,
        sparse: SparseSide,
        doc_ids: Callable[[NDArray[np.int32]], list[str]],
    ) -> PrfReport:
        """Of a search that was carried out, with the identifiers of its rows."""
        prf = outcome.prf
        if not prf.applied and outcome.plan.explain != "full":
            return cls(prf.applied, prf.reason)
        learned = zip(doc_ids(prf.rows), prf.scores.tolist(), strict=True)
        terms = query_terms(sparse, outcome) if outcome.plan.explain == "full" else []
        feedback = tuple(FeedbackDocument(*pair) for pair in learned)
        return cls(prf.applied, prf.reason, feedback, tuple(terms))


@dataclass(frozen=True)
class ShardCounts:
    """Shards there are, and those that answered."""

    total: int
    ok: int


def clipped(text: str) -> str:
    """The beginning of a text, in one line of characters that can be printed."""
    line = " ".join(text[: 4 * _BEGINNING].split())
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    return line if len(line) <= _BEGINNING else f"{line[: _BEGINNING - 1]}…"
