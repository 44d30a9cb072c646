"""The passages of found documents that answer a query best, and where in the text they stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lsr.passages.passage import Passage
from lsr.retrieval.answer import FoundPassage
from lsr.retrieval.hybrid import HybridResult, HybridSearcher
from lsr.types import Document

__all__ = ["PassagesByRow", "found_passages"]

_PAGE_BREAK = "\f"


class PassagesByRow(Protocol):
    """Passages of a collection's documents."""

    def passages(self, rows: Sequence[int]) -> list[tuple[Passage, ...]]:
        """The passages of rows, in their order; none of a document that was not split."""
        ...


def found_passages(
    store: PassagesByRow,
    hybrid: HybridSearcher,
    outcome: HybridResult,
    rows: NDArray[np.int32],
    documents: Sequence[Document],
    most: int,
) -> list[tuple[FoundPassage, ...]]:
    """The best passages of each document, best first; none of those that were not split.

    A passage's score is what it adds to the sparse score, or its dense score; where both count, it
    is brought to 0 to 1 on both sides among the passages of its document, and weighed as the plan
    weighs the sides.

    Args:
        rows, documents: of hits.
        most: passages of each.
    """
    split = store.passages(rows.tolist())
    chosen = np.array([place for place, each in enumerate(split) if each], np.intp)
    found: list[tuple[FoundPassage, ...]] = [()] * len(rows)
    if not len(chosen) or most < 1:
        return found
    scores = _scores(hybrid, outcome, rows[chosen])
    for place, values in zip(chosen.tolist(), scores, strict=True):
        order = np.argsort(-values, kind="stable")[:most].tolist()
        found[place] = tuple(
            _found(documents[place].text, split[place][number], number, float(values[number]))
            for number in order
            if values[number] > 0
        )
    return found


def _scores(
    hybrid: HybridSearcher, outcome: HybridResult, rows: NDArray[np.int32]
) -> list[NDArray[np.float64]]:
    """A score for each passage of each row."""
    weights, prf, query = outcome.plan.weights, outcome.prf, outcome.query
    share = weights.final if prf.applied else weights.unfed
    sparse = dense = None
    if query.sparse is not None and share > 0:
        vector = query.sparse if prf.sparse is None else prf.sparse.vector
        sparse = hybrid.sparse.passage_scores(vector, rows)
    if query.dense is not None and hybrid.dense is not None and share < 1:
        direction = query.dense if prf.dense is None else prf.dense.vector
        dense = hybrid.dense.passage_scores(direction, rows)
    if sparse is None or dense is None:
        return [each.astype(np.float64) for each in sparse or dense or []]
    return [
        share * _scaled(one) + (1 - share) * _scaled(other)
        for one, other in zip(sparse, dense, strict=True)
    ]


def _scaled(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    low, high = float(scores.min()), float(scores.max())
    return (scores.astype(np.float64) - low) / (high - low) if high > low else np.zeros(len(scores))


def _found(text: str, passage: Passage, number: int, score: float) -> FoundPassage:
    page = text.count(_PAGE_BREAK, 0, passage.start) + 1 if _PAGE_BREAK in text else None
    return FoundPassage(
        number,
        passage.start,
        passage.end,
        passage.heading,
        text.count("\n", 0, passage.start) + 1,
        page,
        score,
    )
