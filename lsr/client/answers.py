"""Answers to searches, as the client gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as made
from typing import Any, Literal

__all__ = [
    "Collapsed",
    "Encoded",
    "Explained",
    "Explanation",
    "FacetCounts",
    "FacetRange",
    "FacetValue",
    "FoundPassage",
    "Hit",
    "Mark",
    "Notice",
    "PrfReport",
    "QueryWord",
    "SearchAnswer",
    "SidePart",
    "Suggestion",
    "TermPart",
]


@dataclass(frozen=True)
class Notice:
    """Something about an answer that its reader should know; `code` is stable."""

    code: str
    detail: str


@dataclass(frozen=True)
class SidePart:
    """One side's part in a hit's score: `contribution = weight * norm`.

    Attributes:
        rank: place in the side's list from 1, or None.
        source: list, completed (scored on its own), or absent.
    """

    raw: float
    norm: float
    weight: float
    contribution: float
    rank: int | None = None
    source: str = "list"


@dataclass(frozen=True)
class TermPart:
    """A term's part in the sparse raw score; `origin` is query, model or feedback."""

    term: str
    query_weight: float
    doc_weight: float
    value: float
    origin: str = "query"


@dataclass(frozen=True)
class Explanation:
    """Why a hit has its score; see docs/python.md.

    Attributes:
        sparse, dense: None for a side that was not searched.
        terms: only when explained in full; the best ten by value.
        other: the sum of the values of all other terms.
        raw: all of it, as it came.
    """

    score: float
    sparse: SidePart | None = None
    dense: SidePart | None = None
    rank_before_prf: int | None = None
    terms: list[TermPart] | None = None
    other: float = 0.0
    raw: Mapping[str, Any] = made(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Mark:
    """A matching word: characters `start` to before `end` of a part of a hit."""

    field: Literal["title", "snippet", "text"]
    start: int
    end: int
    term: str


@dataclass(frozen=True)
class FoundPassage:
    """A passage of a found document: characters `start` to before `end` of its text.

    Attributes:
        number: its place among the document's passages, from 0.
        heading: the headings that it stands below, outermost first, joined by " > ".
        line: of the text that it begins in, from 1.
        page: from 1; None in a text without pages.
        score: comparable among the passages of one document.
    """

    number: int
    start: int
    end: int
    heading: str = ""
    line: int = 1
    page: int | None = None
    score: float = 0.0


@dataclass(frozen=True)
class Hit:
    """A found document. What was not asked for is None, or empty.

    Attributes:
        score: greater is better; comparable within one answer.
        metadata: all of it, or the fields that were asked for.
        collapsed: the other hits that this one stands for, where hits were collapsed.
        passages: those that answer best, best first; none of a document that was not split.
        raw: all of it, as it came.
    """

    doc_id: str
    score: float
    title: str | None = None
    snippet: str | None = None
    text: str | None = None
    metadata: Mapping[str, Any] | None = None
    version: int | None = None
    explanation: Explanation | None = None
    marks: list[Mark] = made(default_factory=list)
    collapsed: Collapsed | None = None
    passages: list[FoundPassage] = made(default_factory=list)
    raw: Mapping[str, Any] = made(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Collapsed:
    """Hits of one value of a field, of which the best stands for all.

    Attributes:
        n_hits: hits with this value, the best included.
        hits: those after the best, as many as were asked for.
    """

    value: Any = None
    n_hits: int = 0
    hits: list[Hit] = made(default_factory=list)


@dataclass(frozen=True)
class FacetValue:
    """A value of a field, and how many matching documents have it."""

    value: Any
    count: int


@dataclass(frozen=True)
class FacetRange:
    """A range from `low` to before `high`, and how many matching documents have a value in it."""

    count: int
    low: Any = None
    high: Any = None


@dataclass(frozen=True)
class FacetCounts:
    """Counts of matching documents by a field's values.

    Attributes:
        values: most documents first, then by value.
        n_values: different values among the matching documents.
        n_missing: matching documents without a value.
        least, greatest: of the numbers among their values, if asked for.
        raw: all of it, as it came.
    """

    field: str
    values: list[FacetValue] = made(default_factory=list)
    ranges: list[FacetRange] = made(default_factory=list)
    n_values: int = 0
    n_missing: int = 0
    least: float | None = None
    greatest: float | None = None
    raw: Mapping[str, Any] = made(default_factory=dict, repr=False)


@dataclass(frozen=True)
class PrfReport:
    """Report of what feedback did; `reason` says why it was not applied."""

    applied: bool = False
    reason: str | None = None
    raw: Mapping[str, Any] = made(default_factory=dict, repr=False)


@dataclass(frozen=True)
class SearchAnswer:
    """Hits of a search, best first.

    Attributes:
        total: hits that can be paged through with this plan's window.
        n_matches: the true number of matching documents, where it is known.
        plan: what was done, with nothing left open.
        partial: whether something that was asked for is left out; a warning tells what.
        cursor: for the next page; None at the end.
        models: SHA-256 of the models, by side.
        took_ms: milliseconds by stage, and their total.
        raw: all of it, as it came.
    """

    collection: str
    generation: int
    mode: str
    hits: list[Hit]
    limit: int = 0
    offset: int = 0
    total: int = 0
    n_matches: int | None = None
    plan: Mapping[str, Any] = made(default_factory=dict)
    prf: PrfReport = made(default_factory=PrfReport)
    warnings: list[Notice] = made(default_factory=list)
    facets: list[FacetCounts] = made(default_factory=list)
    partial: bool = False
    cursor: str | None = None
    models: Mapping[str, str] = made(default_factory=dict)
    request_id: str = ""
    took_ms: Mapping[str, float] = made(default_factory=dict)
    raw: Mapping[str, Any] = made(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Explained:
    """Why a document has its score for a search, or none.

    Attributes:
        found: whether it is among the hits, of any page.
        rank: its place among them, from 1.
        dense_score: raw score of the dense side, for a document that is not found.
    """

    doc_id: str
    found: bool
    rank: int | None = None
    score: float | None = None
    passes_filter: bool = True
    explanation: Explanation | None = None
    dense_score: float | None = None
    plan: Mapping[str, Any] = made(default_factory=dict)
    warnings: list[Notice] = made(default_factory=list)
    raw: Mapping[str, Any] = made(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Encoded:
    """Sparse vectors of texts: weights by term, in the order of the texts."""

    vectors: list[dict[str, float]]
    model: str = ""


@dataclass(frozen=True)
class NearWord:
    """A word of the collection near one of the query."""

    word: str
    distance: int = 0
    n_documents: int = 0


@dataclass(frozen=True)
class QueryWord:
    """A word of the query, and those of the collection near it where it is unknown there."""

    word: str
    is_known: bool = True
    near: list[NearWord] = made(default_factory=list)


@dataclass(frozen=True)
class Suggestion:
    """The query as it may have been meant; None where nothing is to be corrected."""

    corrected: str | None = None
    words: list[QueryWord] = made(default_factory=list)
