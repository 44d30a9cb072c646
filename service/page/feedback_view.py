"""`FeedbackView`: what feedback learned from; and `notes`, sentences shown before the hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsr.retrieval.answers.answer import Answer
from lsr.retrieval.plan import SearchPlan
from lsr.service.page.query_string import PageQuery
from lsr.types import Document

__all__ = ["FeedbackView", "LearnedFrom", "asks_for_feedback", "feedback_view", "notes"]

_REASONS = {
    "off": "Nothing was learned: at these settings feedback would change nothing.",
    "no_depth": "Nothing was learned: feedback may look at 0 documents.",
    "no_feedback_documents": "Nothing was learned: the first search found no document to learn "
    "from.",
    "no_direction": "Nothing was learned: the query and what it found cancel each other out, so "
    "the query stays as it is.",
    "search_failed": "Nothing was learned: the second search failed, and this is the first.",
}
_NOTES = {
    "sparse_empty": "No word of this query is in the collection, so meaning alone decides.",
    "sparse_no_hits": "No document has any of these words, so meaning alone decides.",
    "dense_empty": "This query has no meaning that the model knows, so words alone decide.",
    "dense_no_hits": "Meaning found nothing, so words alone decide.",
}


@dataclass(frozen=True)
class LearnedFrom:
    """A document that feedback learned from."""

    name: str
    address: str
    score: str


@dataclass(frozen=True)
class FeedbackView:
    """View of what feedback learned from, best first."""

    documents: list[LearnedFrom]


def feedback_view(
    query: PageQuery, answer: Answer, documents: Sequence[Document]
) -> FeedbackView | None:
    """View of feedback; None when there was none.

    Args:
        documents: those that were learned from, best first.
    """
    if not answer.prf.applied:
        return None
    learned = [
        LearnedFrom(
            document.title or document.doc_id,
            query.document(document.doc_id),
            f"{document.doc_id}, score {each.score:.3f} in the first search",
        )
        for document, each in zip(documents, answer.prf.feedback, strict=True)
    ]
    return FeedbackView(learned)


def asks_for_feedback(plan: SearchPlan) -> bool:
    """Whether a resolved plan names feedback, even if its numbers leave nothing of it."""
    return plan.prf.interpolate != "none" or (plan.mode == "sparse" and plan.prf.sparse.enabled)


def notes(answer: Answer, is_kept: bool = False) -> list[str]:
    """Sentences that the reader should know: warnings, and why nothing was learned.

    Args:
        is_kept: whether the words that were learned are kept as they are.
    """
    found = [
        _NOTES.get(code, f"{detail[:1].upper()}{detail[1:]}.")
        for code, detail in answer.warnings
        if not (code == "feedback_without_direction" and answer.prf.reason == "no_direction")
        and not (code in _NOTES and answer.mode != "hybrid")
    ]
    if is_kept:
        found.append("The words that were learned are kept as you chose them; no more are learned.")
    reason = answer.prf.reason
    if is_kept or reason is None or not asks_for_feedback(answer.plan):
        return found
    if reason == "off" and answer.plan.prf.depth == 0:
        reason = "no_depth"
    return [*found, _REASONS.get(reason, "Nothing was learned.")]
