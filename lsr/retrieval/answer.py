"""The answer of a search: hits with their documents, and how they were found."""

from __future__ import annotations

from dataclasses import dataclass

from lsr.retrieval.explanation import Explanation, QueryTerm
from lsr.retrieval.hybrid import Notice
from lsr.retrieval.plan import Mode, SearchPlan
from lsr.types import Document

__all__ = ["Answer", "FeedbackDocument", "Hit", "PrfReport"]


@dataclass(frozen=True)
class Hit:
    """A found document and its score; `explanation` when the plan asks for one."""

    document: Document
    score: float
    explanation: Explanation | None = None


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


@dataclass(frozen=True)
class Answer:
    """Hits of one search, best first, and how they were found.

    Attributes:
        mode: hybrid, sparse or dense.
        hits: best first: score descending, then dense raw score descending, then doc_id.
        total: hits that can be paged through with this plan's window.
        plan: what was done, with nothing left open.
        took_ms: milliseconds by stage, and their total.
        first: place of the first hit in the whole ranking, from 0.
    """

    text: str
    mode: Mode
    hits: tuple[Hit, ...]
    total: int
    plan: SearchPlan
    generation: int
    prf: PrfReport
    warnings: tuple[Notice, ...]
    took_ms: dict[str, float]
    first: int = 0
