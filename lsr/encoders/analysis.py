"""Text to index terms for the lexical side: split, lower-case, stop, stem.

Words are runs of Unicode letters and digits, so `read_csv` and `os.path` become their parts;
Han characters and Hiragana stand alone, because those scripts put no blanks between words. The
possessive `'s` is dropped. Stop words are the 33 of Lucene's English set; stems are Snowball's.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
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
IN_WORD, STANDS_ALONE, WORD_LIKE, BLANK = 1, 2, 4, 8
"""Kinds of characters: of a run that is a word, a word by itself, what `\\w` and `\\s` match."""

_SHORT_CHARACTERS = 2_048
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
        self._stemmer = Stemmer.Stemmer(language) if language != "none" else None
        self._last: tuple[str, tuple[str, ...]] = ("", ())  # a search asks for a query's more times
        self._stop = ENGLISH_STOP_WORDS if language in ("english", "porter") else frozenset()

    def terms(self, text: str) -> list[str]:
        """Stems of a text in order, repeated as often as they occur."""
        last = self._last
        if last[0] == text:
            return list(last[1])
        words = _words(text)
        if "'" in text or "’" in text:
            words = list(map(_bare, words))
        stems = self._stem([word for word in words if word not in self._stop])
        if len(text) <= _SHORT_CHARACTERS:
            self._last = (text, tuple(stems))
        return stems

    def tokens(self, text: str) -> Iterator[Token]:
        """Like `terms`, with the place of each word in the text as given.

        Places refer to `text` itself when it is in Unicode normal form C, as nearly all text is.
        """
        for match in _WORD.finditer(text):
            word = _bare(unicodedata.normalize("NFC", match.group()).lower())
            if word not in self._stop:
                yield Token(self._stem([word])[0], match.start(), match.end())

    def _stem(self, words: Sequence[str]) -> list[str]:
        if self._stemmer is None:
            return list(words)
        stems: list[str] = self._stemmer.stemWords(words)
        return stems


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
        return _WORD.findall(text.lower())
    # lower case comes last: that of "İ" is two characters, and the second is no letter
    return [word.lower() for word in _WORD.findall(unicodedata.normalize("NFC", text))]


def _bare(word: str) -> str:
    return word[:-2] if word.endswith(_POSSESSIVE) else word
