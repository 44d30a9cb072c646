"""The passage of a hit that is shown, with the query's words told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsr.encoders.analysis import Analyzer
from lsr.retrieval.snippet import Piece, snippet

if TYPE_CHECKING:
    from lsr.retrieval.answer import Hit
    from lsr.retrieval.answers.answer import Answer

__all__ = ["SHOWN_CHARACTERS", "PassageMarker", "best_text"]

SHOWN_CHARACTERS = 240
"""Length of a passage beside a hit, its ellipses included."""


class PassageMarker:
    """Marker of an answer's hits, as `lsr search` marks them.

    Words are those of the analyzer that the collection's texts were read by, or of English.
    """

    def __init__(self, answer: Answer) -> None:
        self._analyzer = answer.analyzer or Analyzer()
        self._terms = self._analyzer.terms(answer.text)

    def pieces(self, hit: Hit, max_characters: int = SHOWN_CHARACTERS) -> list[Piece]:
        """The part of a hit's text that has most of the query's words, in pieces."""
        return snippet(best_text(hit), self._terms, self._analyzer, max_characters)


def best_text(hit: Hit) -> str:
    """The text that a passage is chosen from: the best passage of a document that was split."""
    text = hit.document.text
    return text[hit.passages[0].start : hit.passages[0].end] if hit.passages else text
