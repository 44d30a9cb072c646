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

    A search by words finds what has one of them. A search by meaning orders all documents, so
    there the number of matches says nothing.

    Args:
        first, last: the hits shown, counted from 1.
        n_documents: of the collection.
    """
    n = answer.total if answer.n_matches is None else answer.n_matches
    if answer.mode == "sparse":
        total = f"{n:,} {'match' if n == 1 else 'matches'}"
    else:
        n = answer.total
        total = f"best {n:,} of {n_documents:,} documents"
    return CountView(total, "" if first == 1 and last == n else f"{first}–{last} of ")
