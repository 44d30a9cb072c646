"""`Chunks`: the terms of one chunk of a text, which is what stands between blanks, or less.

A chunk in normal form, without invisible characters, is read by these rules:

- Words are runs of letters and digits with their marks. They are put in small letters and stemmed;
  stop words are left out, and so is the possessive `'s`.
- A word with accents has the word without them as another form, where the language takes one for
  the other.
- `parseMetrics`, `AB1234`: one word, its parts are other forms.
- `read_csv`, `AB-1234`, `e-mail`: several words, what they make together is another form, the same
  as that of `readCsv`, `AB1234` and `email`.
- `C++` and `C#` are words of their own; `notepad++` is another form of `notepad`.
- Scripts without blanks: each two neighbours are a word, and single Han characters other forms.
  Where the language has a segmenter, its words count, and two neighbours are other forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import Stemmer

from lsr.encoders.analysis.characters import UNSPACED, marks
from lsr.encoders.analysis.folding import Folding, normalized
from lsr.encoders.analysis.identifiers import MAX_PARTS, parts_of
from lsr.encoders.analysis.segmenters import Segmenter
from lsr.encoders.analysis.stop_words import stop_words

__all__ = ["Chunks", "Piece"]

_APOSTROPHES = frozenset("'’")
_JOINTS = _APOSTROPHES | frozenset("-‐_")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_GOES_ON = re.compile(r"[_'’]+\w")
_LONGEST_JOINED = 64


class Piece(NamedTuple):
    """A term, the slice of its chunk that it comes from, and whether it is another form."""

    start: int
    end: int
    term: str
    is_form: bool


class _Word(NamedTuple):
    """A word of a normal form, `start:end`, and where it ends with its `++`, `#` or `'s`."""

    start: int
    end: int
    all: int


class Chunks:
    """Reader of chunks in one language: a Snowball stemmer's name, or "none".

    Args:
        segmenter: of the language, if it has one.
    """

    def __init__(self, language: str, segmenter: Segmenter | None = None) -> None:
        is_stemmed = language != "none" and segmenter is None
        self._stemmer = Stemmer.Stemmer(language, 0) if is_stemmed else None
        self._split = None if segmenter is None else segmenter.split
        self._stop = frozenset(normalized(word).text for word in stop_words(language))
        self._folding = Folding(language)

    def is_plain(self, chunk: str) -> bool:
        """Whether an ASCII chunk is one word with nothing but its term."""
        is_even = chunk.isalpha() and (chunk.islower() or chunk.istitle() or chunk.isupper())
        return is_even and self._folding.stays_ascii(chunk)

    def term(self, word: str) -> str | None:
        """The term of a word in normal form, or None of a stop word."""
        lower = self._folding.lower(word)
        return None if lower in self._stop else self._stem(lower)

    def joined_term(self, words: Sequence[str], joints: Set[str]) -> str | None:
        """The term of what words in normal form make together, if that is a name of something.

        Two words do, any by `_`, and those with digits, such as part numbers.
        """
        if not 1 < len(words) <= MAX_PARTS or joints & _APOSTROPHES:
            return None
        together = "".join(words)
        is_name = len(words) == 2 or joints == {"_"} or any(map(str.isdigit, together))
        if not is_name or len(together) > _LONGEST_JOINED:
            return None
        return self._stem(self._folding.lower(together))

    def word(self, word: str) -> Iterator[Piece]:
        """The terms of one word in normal form."""
        return self._word(word, _Word(0, len(word), len(word)))

    def pieces(self, chunk: str) -> list[Piece]:
        """The terms of a chunk by place, longest first; of one place words before forms."""
        form = normalized(chunk)
        found: dict[tuple[int, int, str], bool] = {}
        for start, end, term, is_form in self._read(form.text):
            place = (*form.place(start, end), term)
            found[place] = found.get(place, True) and is_form
        pieces = [Piece(*place, is_form) for place, is_form in found.items()]
        pieces.sort(key=lambda piece: (piece.start, -piece.end, piece.is_form))
        return pieces

    def _read(self, text: str) -> Iterator[Piece]:
        """Terms with their places in a normal form."""
        words: list[_Word] = []
        for run in _runs().finditer(text):
            between = text[words[-1].all : run.start()] if words else ""
            if words and (run["word"] is None or between not in _JOINTS):
                yield from self._joined(text, words)
                words = []
            if run["word"] is None:
                yield from self._unspaced(text, *run.span())
            elif words and between in _APOSTROPHES and run["word"] in "sS" and _ends(text, run):
                words[-1] = words[-1]._replace(all=run.end())
            else:
                words.append(_word(run))
        yield from self._joined(text, words)

    def _joined(self, text: str, words: list[_Word]) -> Iterator[Piece]:
        """Terms of words that are joined, and of what they make together."""
        for word in words:
            yield from self._word(text, word)
        if any(text[word.end] in "+#" for word in words if word.end < word.all):
            return
        joints = {text[one.all : other.start] for one, other in pairwise(words)}
        term = self.joined_term([text[word.start : word.end] for word in words], joints)
        if term is not None:
            yield Piece(words[0].start, words[-1].all, term, True)

    def _word(self, text: str, word: _Word) -> Iterator[Piece]:
        """The term of a word and its other forms."""
        start, end, after = word
        written = text[start:end]
        lower = self._folding.lower(written)
        symbol = text[end:after].removesuffix("s").removesuffix("S").strip("'’")
        if symbol and len(lower) == 1:
            yield Piece(start, after, lower + symbol, False)
            return
        if symbol:
            yield Piece(start, after, lower + symbol, True)
        if lower in self._stop:
            return
        term = self._stem(lower)
        yield Piece(start, after, term, False)
        bare = self._folding.bare(lower)
        if bare != lower and bare not in self._stop and (other := self._stem(bare)) != term:
            yield Piece(start, after, other, True)
        for first, last in parts_of(written):
            part = self.term(written[first:last])
            if part is not None:
                yield Piece(start + first, start + last, part, True)

    def _unspaced(self, text: str, start: int, end: int) -> Iterator[Piece]:
        """Words of a run of a script without blanks, by the segmenter if it knows any."""
        words = self._split(text[start:end]) if self._split is not None else []
        for first, last, word in words:
            yield Piece(start + first, min(start + last, end), word, False)
        known = {word for _, _, word in words}
        for piece in _neighbours(text, start, end):
            if piece.term not in known:
                yield piece._replace(is_form=piece.is_form or bool(words))

    def _stem(self, word: str) -> str:
        if self._stemmer is None:
            return word
        stem: str = self._stemmer.stemWord(word)
        return stem


def _word(run: re.Match[str]) -> _Word:
    start, end = run.span("word")
    symbol = run["symbol"] or ""
    fits = run["word"].isalpha() and (symbol == "++" or end - start == 1)
    return _Word(start, end, end + len(symbol) if fits else end)


def _ends(text: str, run: re.Match[str]) -> bool:
    """Whether a run is the last of its word: `dog's`, but not `x's_y`."""
    return _GOES_ON.match(text, run.end("word")) is None


def _neighbours(text: str, start: int, end: int) -> Iterator[Piece]:
    """Each two neighbours of a script without blanks, and Han characters by themselves."""
    units = [unit.span() for unit in _units().finditer(text, start, end)]
    if len(units) == 1:
        yield Piece(start, end, text[start:end], False)
        return
    for (first, _), (_, last) in pairwise(units):
        yield Piece(first, last, text[first:last], False)
    for first, last in units:
        if _HAN.match(text, first):
            yield Piece(first, last, text[first:last], True)


@lru_cache(maxsize=1)
def _runs() -> re.Pattern[str]:
    """A run of a script without blanks, or a word with what may end it."""
    letter = rf"[^\W_{UNSPACED}]"
    word = rf"(?P<word>{letter}(?:{letter}|[{marks()}])*)"
    return re.compile(rf"[{UNSPACED}]+|{word}(?P<symbol>\+\+(?![^\W\d_])|#(?![^\W_]|[+#]))?")


@lru_cache(maxsize=1)
def _units() -> re.Pattern[str]:
    """A character with its marks."""
    return re.compile(f"[^{marks()}][{marks()}]*|[{marks()}]+")
