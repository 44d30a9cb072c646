"""`QueryTerms`: a query, ready to be marked in texts; `WordMemory`, which makes that quick."""

from __future__ import annotations

import re
import secrets
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence, Set
from sys import getsizeof
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsr.bounded_memory import BoundedMemory
from lsr.encoders.analysis import Analyzer, Token, character_kinds
from lsr.encoders.lexical import analyzer_of, words_language
from lsr.encoders.protocols import Encoder
from lsr.retrieval.snippet import (
    ELLIPSIS,
    MAX_CHARACTERS,
    MAX_SCANNED_CHARACTERS,
    Piece,
    Span,
    cut,
    joined,
    window,
)
from lsr.service.search.passage_window import passage_window
from lsr.service.search.word_scan import (
    NO_TERM,
    fill_slots,
    find_words,
    matching_words,
    remember,
)

__all__ = ["Mark", "QueryTerms", "WordMemory", "beginning"]

_BLANKS = re.compile(r"\s+")
_MAX_WORD_CHARACTERS = 32
_MAX_WORDS = 1 << 17
_SLOTS = 1 << 18
_PIECES = 1 << 20
_BUDGET = MAX_CHARACTERS - 2 * len(ELLIPSIS)
_OBJECTS_BYTES = 400
"""What a remembered text takes beside its characters and its words."""
_NEAR_CHARACTERS = MAX_SCANNED_CHARACTERS + 1_000
"""Passages are in this much of a text."""
_TEXT_BYTES = 16 * 1024 * 1024
"""Bytes of texts, with the places of their words, that are remembered for a collection."""


class Mark(NamedTuple):
    """A matching word: characters `start:end` of a text, and its term."""

    start: int
    end: int
    term: str


class WordTable:
    """Words and the terms they are, as far as they were met: at most 131,072 words.

    Words are put in by one thread at a time and read by many, which wait for nobody.

    Attributes:
        pieces: start, end and term of each token of words that are not just one term, int32, shape
            (3, n): from a number on to the next end of 0.
        texts: by text start, end and term of its words, int32, shape (3, n): those of which it
            knows all words.
    """

    def __init__(self) -> None:
        self.keys = np.zeros(_SLOTS, np.uint64)
        self.values = np.zeros(_SLOTS, np.int32)
        self.seed = np.uint64(secrets.randbits(64))
        self.terms: dict[str, int] = {}
        self.pieces = np.zeros((3, _PIECES), np.int32)
        self.n_words = self.n_pieces = 0
        self.texts: BoundedMemory[str, NDArray[np.int32]] = BoundedMemory(_TEXT_BYTES)
        self._lock = threading.Lock()

    @property
    def is_full(self) -> bool:
        """Whether no more words are remembered."""
        is_long = self.n_pieces > _PIECES - 4 * _MAX_WORD_CHARACTERS
        return is_long or max(self.n_words, len(self.terms)) >= _MAX_WORDS

    def term(self, text: str) -> int:
        """The number of a term; a new one is given one."""
        number = self.terms.get(text)
        if number is None:
            with self._lock:
                number = self.terms.setdefault(text, len(self.terms))
        return number

    def add(self, word: str, tokens: Sequence[Token]) -> None:
        """Remember a word, unless it is long or the table is full."""
        if len(word) > _MAX_WORD_CHARACTERS:
            return
        places = [(token.start, token.end, self.term(token.term)) for token in tokens]
        with self._lock:
            if self.is_full:
                return
            if not places:
                value = NO_TERM
            elif len(places) == 1 and places[0][:2] == (0, len(word)):
                value = places[0][2] + 2
            else:
                value, end = -self.n_pieces - 1, self.n_pieces + len(places)
                self.pieces[:, self.n_pieces : end] = np.array(places, np.int32).T
                self.n_pieces = end + 1
            self.n_words += remember(_codes(word), self.seed, self.keys, self.values, value)


class WordMemory:
    """Memory of the terms that words of a collection's texts are, as far as they were met.

    A word is analysed once, not at each place; long words are not remembered. May be used from many
    threads. An encoder without an `Analyzer` is shown by stems of the language of its own words,
    or of English.
    """

    def __init__(self, encoder: Encoder | None) -> None:
        self.analyzer = analyzer_of(encoder)
        self._has_own = self.analyzer is getattr(encoder, "analyzer", None)
        self._table = WordTable()

    def table(self) -> WordTable:
        """The table for a new query: another, empty one when the last is full."""
        if self._table.is_full:
            self._table = WordTable()
        return self._table

    def suits(self, encoder: Encoder) -> bool:
        """Whether the memory holds for an encoder too."""
        other = getattr(encoder, "analyzer", None)
        if not isinstance(other, Analyzer):
            language = words_language(encoder) or "english"
            return not self._has_own and language == self.analyzer.language
        return self._has_own and (other.language, other.version) == (
            self.analyzer.language,
            self.analyzer.version,
        )

    def analyzed(self, terms: Iterable[str]) -> Set[str]:
        """Terms of the encoder as the analyzer writes them."""
        if self._has_own:
            return frozenset(terms)
        return frozenset(self.analyzer.terms(" ".join(terms)))


class QueryTerms:
    """The words of a query as its collection sees them. Made for one query, by one thread.

    Args:
        added: terms of the encoder that the search put to those of the text.
    """

    def __init__(self, text: str, memory: WordMemory, added: Iterable[str] = ()) -> None:
        self._memory = memory
        self._text = text
        own = dict.fromkeys(memory.analyzer.terms(text))
        self._table = memory.table()
        self._seek([*own, *sorted(memory.analyzed(added) - own.keys())], len(own))
        self._found: NDArray[np.int32] = np.empty((3, 0), np.int32)
        self._unknown: NDArray[np.int32] = np.empty((2, 0), np.int32)

    def _seek(self, terms: list[str], n_own: int) -> None:
        """Look for terms, of which the first are the query's own."""
        self._terms, self._n_own = terms, n_own
        self._numbers = np.array([self._table.term(term) for term in terms], np.int32)
        self._slots = np.empty((1 << (4 * len(terms) + 15).bit_length(), 2), np.int32)
        fill_slots(self._numbers, self._slots)

    @property
    def analyzer(self) -> Analyzer:
        """The maker of the collection's stems, as far as is known."""
        return self._memory.analyzer

    def highlight(self, text: str) -> list[Piece]:
        """The whole text as it is, blanks and all, with its matches told apart."""
        return list(cut(text, 0, len(text), self._spans(0, self._find(text))))

    def marks(self, text: str) -> list[Mark]:
        """The matches in a text, in order; in its first 20,000 characters."""
        return [Mark(start, end, term) for start, end, term, _ in self._spans(0, self._find(text))]

    def snippet(self, text: str) -> list[Piece]:
        """The passage of the text that matches best, as `lsr.retrieval.snippet.snippet` has it."""
        text = text.strip()
        start, end, n = self._window(text)
        pieces = list(cut(text, start, end, self._spans(*self._inside(start, end, n))))
        if start > 0:
            pieces.insert(0, Piece(ELLIPSIS, False))
        if end < len(text):
            pieces.append(Piece(ELLIPSIS, False))
        return joined(pieces)

    def passage(self, text: str) -> str:
        """The same passage without marks, in less time."""
        text = text.strip()
        if len(text) <= MAX_CHARACTERS:
            return _shown(text, 0, len(text))
        start, end, _ = self._window(text)
        return _shown(text, start, end)

    def passage_marks(self, text: str) -> tuple[str, list[Mark]]:
        """The same passage, and the matches in it."""
        text = text.strip()
        start, end, n = self._window(text)
        at, length, marks = start, len(ELLIPSIS) * (start > 0), []
        for span in self._spans(*self._inside(start, end, n)):
            from_, to = max(span.start, at), min(span.end, end)
            length += len(_BLANKS.sub(" ", text[at:from_]))
            marks.append(Mark(length, length + to - from_, span.term))
            length, at = length + to - from_, to
        return _shown(text, start, end), marks

    def spelling(self, terms: Iterable[str], text: str) -> dict[str, str]:
        """Spellings of terms in the query, or else in a text; those in neither are left out."""
        wanted = frozenset(terms)
        return self._spelled(wanted, text) | self._spelled(wanted, self._text)

    def _spelled(self, terms: Set[str], text: str) -> dict[str, str]:
        """Of each term that a text holds the shortest word, in lower case."""
        found: dict[str, str] = {}
        marked = QueryTerms("", self._memory)
        marked._seek(sorted(terms), len(terms))
        for start, end, term in marked.marks(text):
            spelled = text[start:end].lower()
            known = found.get(term)
            if known is None or (len(spelled), spelled) < (len(known), known):
                found[term] = spelled
        return found

    def _find(self, text: str) -> int:
        """Fill `_found` with the matches in a text; how many there are."""
        if not self._terms:
            return 0
        return int(matching_words(self._words(text), self._slots, self._found))

    def _words(self, text: str) -> NDArray[np.int32]:
        """All terms of a text, by place, as they are remembered, and room for their matches."""
        texts = self._table.texts
        words = texts.get(text)
        if words is None:
            words = self._read(text[:MAX_SCANNED_CHARACTERS])
            texts.put(text, words, getsizeof(text) + words.nbytes + _OBJECTS_BYTES)
        self._make_room(words.shape[1])
        return words

    def _make_room(self, n: int) -> None:
        if n > self._found.shape[1]:
            self._found = np.empty((3, n + 1_000), np.int32)
            self._unknown = np.empty((2, n + 1_000), np.int32)

    def _read(self, text: str) -> NDArray[np.int32]:
        """Start, end and term of all that a text holds, int32, shape (3, n)."""
        codes, table = _codes(text), self._table
        self._make_room(3 * len(codes))
        n, places = self._scan(codes)
        if not places:
            return self._found[:, :n].copy()
        analyzer = self._memory.analyzer
        tokens = {
            word: list(analyzer.tokens(word)) for word in {text[start:end] for start, end in places}
        }
        for word, each in tokens.items():
            table.add(word, each)
        n, places = self._scan(codes)
        words = self._found[:, :n].copy()
        others = [
            (start + token.start, start + token.end, table.term(token.term))
            for start, end in places
            for token in tokens[text[start:end]]
        ]
        if not others:
            return words
        words = np.hstack([words, np.array(others, np.int32).T])
        return words[:, np.lexsort((-words[1], words[0]))]

    def _scan(self, codes: NDArray[np.uint32]) -> tuple[int, list[list[int]]]:
        """Fill `_found` with terms; how many, and the places of words that are not known."""
        table = self._table
        kinds = self._memory.analyzer.kinds
        memory = (table.keys, table.values, table.seed, table.pieces)
        n, n_unknown = find_words(codes, kinds, *memory, self._found, self._unknown)
        return int(n), self._unknown[:, :n_unknown].T.tolist()

    def _window(self, text: str) -> tuple[int, int, int]:
        """Start and end of the passage, and how many matches `_found` holds."""
        length = len(text)
        if length <= MAX_CHARACTERS:
            return 0, length, self._find(text)
        if not self._terms:
            return *window(text, None, _BUDGET), 0
        words = self._words(text)
        near = text if length <= _NEAR_CHARACTERS else text[:_NEAR_CHARACTERS]
        codes = np.frombuffer(near.encode(), np.uint8) if near.isascii() else _codes(near)
        arrays = (codes, length, character_kinds(), words, self._slots, self._found)
        n, start, end = passage_window(*arrays, self._n_own, len(self._terms), _BUDGET)
        return start, end, n

    def _inside(self, start: int, end: int, n: int) -> tuple[int, int]:
        """First and last (exclusive) of the matches that reach into a window."""
        found = self._found
        return bisect_right(found[1, :n], start), bisect_left(found[0, :n], end)

    def _spans(self, first: int, last: int) -> list[Span]:
        return [
            Span(start, end, self._terms[number], number >= self._n_own)
            for start, end, number in self._found[:, first:last].T.tolist()
        ]


def beginning(text: str) -> str:
    """A passage that nothing is sought for: the beginning of a text."""
    start = text[: 4 * MAX_CHARACTERS].lstrip() or text.lstrip()[: 4 * MAX_CHARACTERS]
    start = start.rstrip() if len(text) <= 4 * MAX_CHARACTERS else start
    if len(start) <= MAX_CHARACTERS:
        return _shown(start, 0, len(start))
    return _shown(start, *window(start, None, _BUDGET))


def _shown(text: str, start: int, end: int) -> str:
    """A part of a text with runs of blanks made one, and ellipses where it is cut."""
    shown = part = text[start:end]
    if "  " in part or not part.isprintable() or part == " ":  # printable is no blank but this one
        shown = " ".join(part.split())
        if shown and part[-1].isspace():
            shown += " "
        if shown and part[0].isspace():
            shown = f" {shown}"
    return f"{ELLIPSIS if start > 0 else ''}{shown}{ELLIPSIS if end < len(text) else ''}"


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
