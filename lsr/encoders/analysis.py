"""Text to index terms for the lexical side: split, lower-case, stop, stem.

Words are runs of Unicode letters and digits, so `read_csv` and `os.path` become their parts;
Han characters and Hiragana stand alone, because those scripts put no blanks between words. The
possessive `'s` is dropped. Stop words are the 33 of Lucene's English set; stems are Snowball's.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import Stemmer
from numpy.typing import NDArray

from lsr.errors import InputError

__all__ = [
    "BLANK",
    "ENGLISH_STOP_WORDS",
    "IN_WORD",
    "STANDS_ALONE",
    "WORD_LIKE",
    "Analyzer",
    "Token",
    "character_kinds",
]

ENGLISH_STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they this to was will with".split()
)

_UNSPACED = "\u3040-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+(?:['’][sS]\b)?")
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'s\b)?")
"""The same for lower-case ASCII, which takes less time."""
_REMEMBERED, _LONGEST_REMEMBERED = 65_536, 40
IN_WORD, STANDS_ALONE, WORD_LIKE, BLANK = 1, 2, 4, 8
"""Kinds of characters: of a run that is a word, a word by itself, what `\\w` and `\\s` match."""

_POSSESSIVE = ("'s", "’s")


class Token(NamedTuple):
    """An index term and the slice `start:end` of the text that it came from."""

    term: str
    start: int
    end: int


class Analyzer:
    """Turns text into stems.

    Args:
        language: a Snowball stemmer's name ("english", "porter", "german" …), or "none".
            Stop words are removed for "english" and "porter" only.

    Raises:
        InputError: there is no such stemmer.
    """

    def __init__(self, language: str = "english") -> None:
        if language != "none" and language not in Stemmer.algorithms():
            known = ", ".join(sorted(Stemmer.algorithms()))
            raise InputError(f"no stemmer for {language!r}; choose none or one of {known}")
        self.language = language
        self._stems = _Stems(language)

    def terms(self, text: str) -> list[str]:
        """Stems of a text in order, repeated as often as they occur."""
        return [stem for stem in map(self._stems.__getitem__, _words(text)) if stem is not None]

    def tokens(self, text: str) -> Iterator[Token]:
        """Like `terms`, with the place of each word in the text as given.

        Places refer to `text` itself when it is in Unicode normal form C, as nearly all text is.
        """
        for match in _WORD.finditer(text):
            stem = self._stems[unicodedata.normalize("NFC", match.group()).lower()]
            if stem is not None:
                yield Token(stem, match.start(), match.end())


class _Stems(dict[str, str | None]):
    """Stems of words in lower case, made when they are asked for; None of stop words.

    Remembered as long as there are not too many.
    """

    def __init__(self, language: str) -> None:
        super().__init__()
        self._stemmer = Stemmer.Stemmer(language) if language != "none" else None
        self._stop = ENGLISH_STOP_WORDS if language in ("english", "porter") else frozenset()

    def __missing__(self, word: str) -> str | None:
        bare = word[:-2] if word.endswith(_POSSESSIVE) else word
        stem: str | None = None
        if bare not in self._stop:
            stem = bare if self._stemmer is None else self._stemmer.stemWord(bare)
        if len(self) >= _REMEMBERED:
            self.clear()
        if len(word) <= _LONGEST_REMEMBERED:
            self[word] = stem
        return stem


@lru_cache(maxsize=1)
def character_kinds() -> NDArray[np.uint8]:
    """The kinds of all characters, uint8, shape (1,114,112): sums of the four constants.

    With them compiled code splits a text exactly as `Analyzer.tokens` does. Made once.
    """
    kinds = np.zeros(sys.maxunicode + 1, np.uint8)
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    patterns = {IN_WORD: rf"[^\W_{_UNSPACED}]+", STANDS_ALONE: f"[{_UNSPACED}]+", WORD_LIKE: r"\w+"}
    patterns[BLANK] = r"\s+"
    for kind, pattern in patterns.items():
        for match in re.finditer(pattern, everything):
            kinds[match.start() : match.end()] += np.uint8(kind)
    kinds.flags.writeable = False
    return kinds


def _words(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    # lower case comes last: that of "İ" is two characters, and the second is no letter
    return [word.lower() for word in _WORD.findall(unicodedata.normalize("NFC", text))]
