"""Answers in a few lines, as an interpreter prints them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from lsr.retrieval.answer import Hit, clipped

if TYPE_CHECKING:
    from lsr.retrieval.answers.answer import Answer

__all__ = ["answer_lines", "hit_line", "told_answer"]

_HITS = 5


def answer_lines(answer: Answer) -> str:
    """The query, the number of hits, and the first of them, a line each."""
    lines = [f"Answer({told_answer(answer)})"]
    lines += [f"  {hit_line(hit, rank)}" for rank, hit in islice(_ranked(answer), _HITS)]
    if len(answer) > _HITS:
        lines.append(f"  … {len(answer) - _HITS:,} more")
    return "\n".join(lines)


def told_answer(answer: Answer) -> str:
    """The query, the mode, and how many hits there are of how many."""
    shown = f"hit{'s' if answer.total != 1 else ''}"
    count = f"{len(answer):,} of {answer.total:,} {shown}"
    return f"{clipped(answer.text)!r}, {answer.mode}, {count}"


def hit_line(hit: Hit, rank: int) -> str:
    """Rank, score, identifier, and the title or the beginning of the text."""
    document = hit.document
    beginning = clipped(document.title or document.text)
    return f"{rank:3}  {hit.score:8.4f}  {document.doc_id}  {beginning}".rstrip()


def _ranked(answer: Answer) -> enumerate[Hit]:
    return enumerate(answer.hits, start=answer.first + 1)
