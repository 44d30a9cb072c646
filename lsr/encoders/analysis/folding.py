"""One form for what is written in several: normal form, small letters, letters without accents."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from lsr.encoders.analysis.characters import INVISIBLE, VOWEL_SIGNS, marks

__all__ = ["Folding", "Normalized", "is_plain", "normalized"]

_INVISIBLE = re.compile(f"[{INVISIBLE}]+")
_TAKEN_OUT = re.compile(f"[{INVISIBLE}{VOWEL_SIGNS}]+")
_OTHER_LETTERS = {
    "danish": "åæø",
    "estonian": "äõöü",
    "finnish": "åäö",
    "norwegian": "åæø",
    "swedish": "åäö",
}
"""Letters that are no accented form of another, and are never typed so."""

_SPELLED = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i",
    "ħ": "h",
}  # fmt: skip
_STRESS = "\u0300\u0301"


class Normalized:
    """A text in normal form KC without what is invisible, and where its characters come from.

    Attributes:
        text: the normal form.
    """

    __slots__ = ("_ends", "_starts", "text")

    def __init__(self, text: str, starts: list[int] | None, ends: list[int] | None) -> None:
        self.text = text
        self._starts = starts
        self._ends = ends

    def place(self, start: int, end: int) -> tuple[int, int]:
        """The slice of the text as given that `text[start:end]` comes from; `end` is above it."""
        if self._starts is None or self._ends is None:
            return start, end
        return self._starts[start], self._ends[end - 1]


def is_plain(text: str) -> bool:
    """Whether a text is letters of Europe alone, in their normal form."""
    return text.isalpha() and max(text) < "\u0590" and unicodedata.is_normalized("NFKC", text)


def normalized(text: str) -> Normalized:
    """The normal form of a short text, as a word is."""
    form = text if text.isascii() else _form(text)
    if form == text:
        return Normalized(text, None, None)
    starts: list[int] = []
    ends: list[int] = []
    parts: list[str] = []
    for cluster in _clusters().finditer(text):
        part = _form(cluster.group())
        parts.append(part)
        starts += [cluster.start()] * len(part)
        ends += [cluster.end()] * len(part)
    if "".join(parts) != form:  # Hangul in letters, half-width kana: characters join
        starts, ends = [0] * len(form), [len(text)] * len(form)
    return Normalized(form, starts, ends)


def _form(text: str) -> str:
    return _TAKEN_OUT.sub("", unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)))


@lru_cache(maxsize=1)
def _clusters() -> re.Pattern[str]:
    """A character with the marks and the invisible ones after it."""
    after = marks() + INVISIBLE
    return re.compile(f"[^{after}][{after}]*|[{after}]+")


class Folding:
    """Small letters, and letters without their accents, as a language has them.

    Args:
        language: a Snowball stemmer's name, or "none".
    """

    def __init__(self, language: str) -> None:
        self._dotless = language == "turkish"
        self._letters = _BareLetters(_OTHER_LETTERS.get(language, ""))

    def lower(self, word: str) -> str:
        """A normalised word in small letters, the dot of a capital I where the language has it."""
        if self._dotless:
            word = word.replace("İ", "i").replace("I", "ı")
        word = word.lower()
        return word if word.isascii() else word.replace("i\u0307", "i")

    def stays_ascii(self, word: str) -> bool:
        """Whether ASCII is still ASCII in small letters."""
        return not (self._dotless and "I" in word)

    def bare(self, word: str) -> str:
        """A word in small letters as people type it who leave accents out.

        Marks of Latin and Greek letters go, stress marks of all, and the dots of Russian ё; letters
        that the language has beside the bare one stay.
        """
        if word.isascii():
            return word
        bare = word.translate(self._letters)
        if bare.isalnum():
            return bare
        found = ""
        for letter in bare:  # marks that no letter took in
            stays = unicodedata.combining(letter) and letter not in _STRESS
            if not unicodedata.combining(letter) or (stays and not _loses_marks(found)):
                found += letter
        return unicodedata.normalize("NFC", found)


class _BareLetters(dict[int, str]):
    """Letters without their accents by number, made when they are asked for, and those kept."""

    def __init__(self, kept: str) -> None:
        super().__init__({ord(letter): letter for letter in kept})

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        apart = unicodedata.normalize("NFD", letter)
        loses = len(apart) > 1 and (_loses_marks(apart[0]) or letter == "ё")
        bare = apart[0] if loses else letter
        self[code] = bare = _SPELLED.get(letter, bare)
        return bare


def _loses_marks(text: str) -> bool:
    """Whether a text ends in a Latin or Greek letter."""
    return text[-1:] < "\u0400" or "\u1e00" <= text[-1:] <= "\u1fff"
