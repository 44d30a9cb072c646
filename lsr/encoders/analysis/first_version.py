"""`FirstVersion`: the rules of the first indexes, kept as they were to the byte.

Words are runs of Unicode letters and digits, so `read_csv` and `os.path` become their parts;
Han characters and Hiragana stand alone. The possessive `'s` is dropped. Stop words are English
ones alone; stems are Snowball's.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

import numpy as np
import Stemmer
from numpy.typing import NDArray

from lsr.encoders.analysis.characters import LONE, character_kinds
from lsr.encoders.analysis.stop_words import ENGLISH_STOP_WORDS
from lsr.encoders.analysis.token import Token

__all__ = ["FirstVersion"]

_WORD = re.compile(rf"[{LONE}]|[^\W_{LONE}]+(?:['’][sS]\b)?")
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'s\b)?")
"""The same for lower-case ASCII, which takes less time."""
_REMEMBERED, _LONGEST_REMEMBERED = 65_536, 40
_POSSESSIVE = ("'s", "’s")


class FirstVersion:
    """The first version in one language: a Snowball stemmer's name, or "none"."""

    def __init__(self, language: str) -> None:
        self._stems = _Stems(language)

    @property
    def kinds(self) -> NDArray[np.uint8]:
        return character_kinds()

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

    def document_weights(self, text: str) -> tuple[dict[str, float], int]:
        terms = self.terms(text)
        return dict(Counter(terms)), len(terms)

    def query_weights(self, text: str) -> dict[str, float]:
        return dict(Counter(self.terms(text)))


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


def _words(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    # lower case comes last: that of "İ" is two characters, and the second is no letter
    return [word.lower() for word in _WORD.findall(unicodedata.normalize("NFC", text))]
