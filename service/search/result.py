"""Results of the engine: with passages, and before they are chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lsr.retrieval.answers.answer import Answer
from lsr.service.search.passages import FoundHit

__all__ = ["Begun", "SearchResult"]

_PARTIAL = ("_failed", "_late", "_cut")


@dataclass(frozen=True)
class SearchResult:
    """A collection's answer, with a passage of each hit.

    Attributes:
        collection: its name.
        answer: `took_ms` counts the passages in, `warnings` what became of them.
        hits: those of the answer, best first.
        limit, offset: hits asked for, or what stood in for it, and hits left out at the front.
        cursor: for the next page; None at the end.
        models: hashes of the models by side.
        n_scanned: characters that were scanned for passages and marks.
    """

    collection: str
    answer: Answer
    hits: tuple[FoundHit, ...]
    limit: int
    offset: int
    cursor: str | None
    models: Mapping[str, str]
    n_scanned: int

    @property
    def is_partial(self) -> bool:
        """Whether something that was asked for is left out; a warning says what."""
        return any(notice.code.endswith(_PARTIAL) for notice in self.answer.warnings)


@dataclass(frozen=True)
class Begun:
    """A search whose passages are not chosen yet.

    Attributes:
        found: what was found.
        end: chooses them.
    """

    found: Answer
    end: Callable[[], SearchResult]

    @property
    def n_characters(self) -> int:
        """Characters of the texts found, which passages are chosen from."""
        return sum(len(hit.document.text) for hit in self.found.hits)
