"""Passages as they were chosen before they were compiled, one hit at a time, word for word.

One thing is mended: a passage does not start inside a word.
"""

from __future__ import annotations

from collections.abc import Iterator

from lsr.encoders.analysis import LATEST, Analyzer, Token
from lsr.retrieval.snippet import MAX_SCANNED_CHARACTERS, Piece, highlight, snippet

__all__ = ["naive_highlight", "naive_passage"]


class _WordByWord:
    """Tokens of a text, found in what stands between blanks."""

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer

    def tokens(self, text: str) -> Iterator[Token]:
        at = 0
        for word in text.split():
            at = text.index(word, at)
            for term, start, end in self._analyzer.tokens(word):
                yield Token(term, at + start, at + end)
            at += len(word)


def naive_passage(
    text: str, query: str, added: tuple[str, ...] = (), version: int = LATEST
) -> list[Piece]:
    """The passage of a text for a query, in pieces."""
    analyzer = Analyzer(version=version)
    terms = frozenset(analyzer.terms(query))
    return snippet(text, terms, _WordByWord(analyzer), added=frozenset(added) - terms)


def naive_highlight(text: str, query: str, version: int = LATEST) -> list[Piece]:
    """A text with the words of a query told apart; in its first characters."""
    analyzer = Analyzer(version=version)
    assert len(text) <= MAX_SCANNED_CHARACTERS
    return highlight(text, frozenset(analyzer.terms(query)), _WordByWord(analyzer))
