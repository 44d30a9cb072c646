"""`QueryTerms`: a query, ready to be marked in texts; `WordMemory`, which makes that quick."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Set

from lsr.analysis import Analyzer, Token
from lsr.encoder import Encoder
from lsr.snippet import Piece, highlight, snippet

__all__ = ["QueryTerms", "WordMemory"]

_MAX_WORD_CHARACTERS = 32
_MAX_WORDS = 1 << 17


class WordMemory:
    """Which words of a collection's texts hold which terms, as far as they were met.

    A word is what stands between blanks, and no term reaches over a blank; so a text is analysed
    once for each of its words, not for each place. Longer words are not remembered. May be used
    from many threads. An encoder without an `Analyzer` is shown by English stems.
    """

    def __init__(self, encoder: Encoder) -> None:
        own = getattr(encoder, "analyzer", None)
        self.analyzer = own if isinstance(own, Analyzer) else Analyzer()
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._words_with: dict[str, set[str]] = {}

    def words_with(self, terms: Set[str], words: set[str]) -> set[str]:
        """Those of `words` that hold one of `terms`, or may do so."""
        with self._lock:
            unknown = words - self._known
            if len(self._known) + len(unknown) > _MAX_WORDS:
                self._known, self._words_with, unknown = set(), {}, words
            long = {word for word in unknown if len(word) > _MAX_WORD_CHARACTERS}
            for word in unknown - long:
                self._known.add(word)
                for token in self.analyzer.tokens(word):
                    self._words_with.setdefault(token.term, set()).add(word)
            with_terms = (self._words_with.get(term, set()) for term in terms)
            return long | words.intersection(set().union(*with_terms))


class QueryTerms:
    """The words of a query as its collection sees them. Made for one query, and dropped."""

    def __init__(self, text: str, memory: WordMemory) -> None:
        self._memory = memory
        self._terms = frozenset(memory.analyzer.terms(text))

    def highlight(self, text: str) -> list[Piece]:
        """The whole text with its matches told apart."""
        return highlight(text, self._terms, self)

    def snippet(self, text: str) -> list[Piece]:
        """The passage of the text that matches best."""
        return snippet(text, self._terms, self)

    def tokens(self, text: str) -> Iterator[Token]:
        """The tokens of a text that are terms of the query, in order."""
        found = []
        for word in self._memory.words_with(self._terms, set(text.split())):
            tokens = list(self._memory.analyzer.tokens(word))
            for at in _places(word, text):
                found += [
                    Token(term, at + start, at + end)
                    for term, start, end in tokens
                    if term in self._terms
                ]
        found.sort(key=lambda token: token.start)
        return iter(found)


def _places(word: str, text: str) -> Iterator[int]:
    """Where a word stands in a text between blanks."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if (at == 0 or text[at - 1].isspace()) and (end == len(text) or text[end].isspace()):
            yield at
        at = text.find(word, end)
