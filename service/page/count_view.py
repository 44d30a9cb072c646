"""`CountView`: how many documents match, in words that are true."""

from __future__ import annotations

from dataclasses import dataclass

from lsr.retrieval.answer import Answer

__all__ = ["CountView", "count_view"]


@dataclass(frozen=True)
class CountView:
    """The number of hits, and which of them are shown.

    Attributes:
        total: how many there are, in words.
        shown: which of them, in words; empty where they are all of them.
    """

    total: str
    shown: str


def count_view(answer: Answer, first: int, last: int, n_documents: int) -> CountView:
    """View of the number of hits.

    A search by words finds what has one of them, and looks at no more than its window. A search
    by meaning orders all documents, so there the number of matches says nothing.

    Args:
        first, last: the hits shown, counted from 1.
        n_documents: of the collection.
    """
    if answer.mode != "sparse":
        total = f"best {answer.total:,} of {n_documents:,} documents"
    elif answer.total < max(answer.plan.window, last + 1) or answer.total == n_documents:
        total = f"{answer.total:,} {'match' if answer.total == 1 else 'matches'}"
    else:
        total = f"{answer.total:,} matches or more"
    is_all = first == 1 and last == answer.total
    return CountView(total, "" if is_all else f"{first}–{last} of ")
