"""Ranked rows made hits: their documents, explanations, and the groups they stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lsr.index.metadata.found_passages import PassagesByRow, found_passages
from lsr.index.metadata.refined import Refined
from lsr.retrieval.answer import Collapsed, FoundPassage, Hit
from lsr.retrieval.explanation import Explanation, explain_rows
from lsr.retrieval.hybrid import HybridResult, HybridSearcher
from lsr.retrieval.refinement import Refinement
from lsr.stopwatch import Stopwatch
from lsr.types import Document

__all__ = ["DocumentsByRow", "HitMaker"]


class DocumentsByRow(PassagesByRow, Protocol):
    """Documents of a collection."""

    def documents(self, rows: Sequence[int]) -> list[Document]:
        """The documents in rows, in their order."""
        ...


class HitMaker:
    """Fetches what a page of a search shows.

    Args:
        store: the documents.
        hybrid: what the searches come from.
        doc_ids: identifiers of rows.
        passages: of each hit, at most; 0 for none.
    """

    def __init__(
        self,
        store: DocumentsByRow,
        hybrid: HybridSearcher,
        doc_ids: Callable[[NDArray[np.int32]], list[str]],
        passages: int = 0,
    ) -> None:
        self._store = store
        self._hybrid = hybrid
        self._doc_ids = doc_ids
        self._most = passages

    def hits(
        self,
        outcome: HybridResult,
        rows: NDArray[np.int32],
        scores: NDArray[Any],
        watch: Stopwatch,
    ) -> tuple[Hit, ...]:
        """Hits of rows; with explanations, of candidates, if the plan has them."""
        documents = self._store.documents(rows.tolist())
        found: Sequence[tuple[FoundPassage, ...]] = [()] * len(rows)
        if self._most:
            found = found_passages(self._store, self._hybrid, outcome, rows, documents, self._most)
        watch.lap("fetch")
        told: Sequence[Explanation | None] = [None] * len(rows)
        if outcome.plan.explain != "none":
            told = explain_rows(self._hybrid, outcome, rows, self._doc_ids)
        parts = zip(documents, scores.tolist(), told, found, strict=True)
        return tuple(Hit(*each[:3], passages=each[3]) for each in parts)

    def refined(
        self,
        outcome: HybridResult,
        refined: Refined,
        asked: Refinement,
        page: slice,
        watch: Stopwatch,
    ) -> tuple[Hit, ...]:
        """A page of hits in the order that was asked for, collapsed if that was."""
        if refined.groups is None or asked.collapse is None:
            return self.hits(outcome, refined.rows[page], refined.scores[page], watch)
        groups = refined.groups.page(page.start, page.stop, asked.collapse.inner)
        places = [place for group in groups for place in group.places]
        found = iter(self.hits(outcome, refined.rows[places], refined.scores[places], watch))
        collapsed = []
        for group in groups:
            best, *others = (next(found) for _ in group.places)
            stands_for = Collapsed(group.value, group.n_rows, tuple(others))
            collapsed.append(replace(best, collapsed=stands_for))
        return tuple(collapsed)
