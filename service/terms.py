"""`QueryTerms`: a query, ready to be marked in texts; `WordMemory`, which makes that quick."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Set

from lsr.encoders.analysis import Analyzer, Token
from lsr.encoders.protocols import Encoder
from lsr.retrieval.snippet import MAX_SCANNED_CHARACTERS, Piece, highlight, snippet

__all__ = ["QueryTerms", "WordMemory"]

_MAX_WORD_CHARACTERS = 32
_MAX_WORDS = 1 << 17


class WordMemory:
    """Memory of the terms that words of a collection's texts hold, as far as they were met.

    A word is what stands between blanks, and no term reaches over a blank; so a text is analysed
    once for each of its words, not for each place. Longer words are not remembered. May be used
    from many threads. An encoder without an `Analyzer` is shown by English stems.
    """

    def __init__(self, encoder: Encoder) -> None:
        own = getattr(encoder, "analyzer", None)
        self._has_own = isinstance(own, Analyzer)
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

    def analyzed(self, terms: Iterable[str]) -> Set[str]:
        """Terms of the encoder as the analyzer writes them."""
        if self._has_own:
            return frozenset(terms)
        return frozenset(self.analyzer.terms(" ".join(terms)))

    def spelling(self, terms: Set[str], text: str) -> dict[str, str]:
        """Spellings of terms in a text: of each that it holds the shortest word, in lower case."""
        found: dict[str, str] = {}
        for word in self.words_with(terms, set(text[:MAX_SCANNED_CHARACTERS].split())):
            for term, start, end in self.analyzer.tokens(word):
                spelled = word[start:end].lower()
                known = found.get(term)
                if term in terms and (known is None or _by_length(spelled) < _by_length(known)):
                    found[term] = spelled
        return found


class QueryTerms:
    """The words of a query as its collection sees them. Made for one query, and dropped.

    Args:
        added: terms of the encoder that the search put to those of the text.
    """

    def __init__(self, text: str, memory: WordMemory, added: Iterable[str] = ()) -> None:
        self._memory = memory
        self._text = text
        self._own = frozenset(memory.analyzer.terms(text))
        self._added = memory.analyzed(added) - self._own
        self._terms = self._own | self._added

    @property
    def analyzer(self) -> Analyzer:
        """What makes the collection's stems, as far as is known."""
        return self._memory.analyzer

    @property
    def has_own(self) -> bool:
        """Whether any word of the query counts when texts are marked."""
        return bool(self._own)

    def highlight(self, text: str) -> list[Piece]:
        """The whole text with its matches told apart."""
        return highlight(text, self._own, self, self._added)

    def snippet(self, text: str) -> list[Piece]:
        """The passage of the text that matches best."""
        return snippet(text, self._own, self, added=self._added)

    def spelling(self, terms: Iterable[str], text: str) -> dict[str, str]:
        """Spellings of terms in the query, or else in a text; those in neither are left out."""
        wanted = frozenset(terms)
        return self._memory.spelling(wanted, text) | self._memory.spelling(wanted, self._text)

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


def _by_length(word: str) -> tuple[int, str]:
    return len(word), word


def _places(word: str, text: str) -> Iterator[int]:
    """Offsets of a word between blanks in a text."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if (at == 0 or text[at - 1].isspace()) and (end == len(text) or text[end].isspace()):
            yield at
        at = text.find(word, end)
