"""Snippets and marks of hits, within a budget of characters and until a deadline.

A snippet is part of a document's best passage, or of the whole text where that was not split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lsr.retrieval.answer import Collapsed, FoundPassage, Hit
from lsr.retrieval.explanation import Explanation
from lsr.retrieval.hybrid import Notice
from lsr.retrieval.snippet import MAX_SCANNED_CHARACTERS, Piece
from lsr.service.search.request import Search
from lsr.service.terms import Mark, QueryTerms, beginning
from lsr.stopwatch import Deadline
from lsr.types import Document

__all__ = ["FoundHit", "Passages"]

_OVERHEAD = 300
"""Characters that could be scanned in the time that a hit takes besides."""


@dataclass(slots=True)
class FoundHit:
    """A found document, its score, and its snippet. Not frozen, as many are made for each search.

    Attributes:
        title, snippet: in pieces; empty unless those were asked for.
        passage: the snippet as text; empty unless asked for as such.
        marks: by field (title, snippet, text) the places of matches, if asked for.
        collapsed: the other hits that this one stands for, where hits were collapsed.
        passages: those of the document that answer best; none of one that was not split.
    """

    document: Document
    score: float
    title: list[Piece] = field(default_factory=list)
    snippet: list[Piece] = field(default_factory=list)
    explanation: Explanation | None = None
    passage: str = ""
    marks: dict[str, list[Mark]] | None = None
    collapsed: Collapsed | None = None
    passages: tuple[FoundPassage, ...] = ()


class Passages:
    """Maker of the snippets of one answer.

    Args:
        characters: scanned at most; hits after that have the beginning of a passage or text.
        deadline: the same from then on.
    """

    def __init__(self, search: Search, characters: int, deadline: Deadline | None) -> None:
        self._search = search
        self._deadline = deadline
        self._left = characters
        self.n_scanned = 0
        self.n_cut = 0

    def of(self, hits: Iterable[Hit], make_terms: Callable[[], QueryTerms]) -> tuple[FoundHit, ...]:
        """The hits with what was asked for.

        Args:
            make_terms: makes the marker of the query's words; called where one is needed.
        """
        search = self._search
        if not (search.snippets or search.pieces or search.marks):
            return tuple(_bare(hit) for hit in hits)
        terms = make_terms()
        return tuple(self._found(hit, terms) for hit in hits)

    @property
    def notices(self) -> tuple[Notice, ...]:
        """The warning that some hits have no snippet of their own, if so."""
        if not self.n_cut:
            return ()
        detail = (
            f"{self.n_cut:,} of the hits have the beginning of a passage or text as snippet, and "
            "no marks: the time or the characters of one answer were used up; ask for fewer hits"
        )
        return (Notice("passages_cut", detail),)

    def _found(self, hit: Hit, terms: QueryTerms) -> FoundHit:
        search, document = self._search, hit.document
        late = self._deadline is not None and self._deadline.is_over
        if self._left <= 0 or late:
            self.n_cut += 1
            return self._unmarked(hit)
        text = _best_text(hit)
        scanned = self._cost(document, text)
        self._left -= scanned + _OVERHEAD
        self.n_scanned += scanned
        title: list[Piece] = []
        snippet: list[Piece] = []
        passage, marks = "", None
        if search.pieces:
            title = terms.highlight(document.title)
            snippet = terms.snippet(text) if search.snippets else []
        elif search.marks:
            passage, marks = self._marked(document, text, terms)
        elif search.snippets:
            passage = terms.passage(text)
        return _found_hit(hit, title, snippet, passage, marks)

    def _cost(self, document: Document, text: str) -> int:
        search = self._search
        scanned = [text] if search.snippets else []
        if search.marks and search.wants("text"):
            scanned.append(document.text)
        if search.pieces or search.marks:
            scanned.append(document.title)
        return sum(min(len(each), MAX_SCANNED_CHARACTERS) for each in scanned)

    def _marked(
        self, document: Document, text: str, terms: QueryTerms
    ) -> tuple[str, dict[str, list[Mark]]]:
        search, passage = self._search, ""
        marks = {}
        if search.wants("title"):
            marks["title"] = terms.marks(document.title)
        if search.snippets:
            passage, marks["snippet"] = terms.passage_marks(text)
        if search.wants("text"):
            marks["text"] = terms.marks(document.text)
        return passage, marks

    def _unmarked(self, hit: Hit) -> FoundHit:
        search, document = self._search, hit.document
        passage = beginning(_best_text(hit)) if search.snippets else ""
        title = [Piece(document.title, False)] if search.pieces and document.title else []
        snippet = [Piece(passage, False)] if search.pieces and passage else []
        return _found_hit(hit, title, snippet, passage, {} if search.marks else None)


def _best_text(hit: Hit) -> str:
    """The text that a snippet is chosen from."""
    text = hit.document.text
    return text[hit.passages[0].start : hit.passages[0].end] if hit.passages else text


def _bare(hit: Hit) -> FoundHit:
    return _found_hit(hit, [], [], "", None)


def _found_hit(
    hit: Hit,
    title: list[Piece],
    snippet: list[Piece],
    passage: str,
    marks: dict[str, list[Mark]] | None,
) -> FoundHit:
    return FoundHit(
        hit.document,
        hit.score,
        title,
        snippet,
        hit.explanation,
        passage,
        marks,
        hit.collapsed,
        hit.passages,
    )
