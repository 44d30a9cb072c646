"""Kinds of characters: letters, marks, those of scripts without blanks, and invisible ones."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ASCII_CHUNK",
    "BLANK",
    "CONNECTORS",
    "INVISIBLE",
    "IN_WORD",
    "LONE",
    "STANDS_ALONE",
    "UNSPACED",
    "VOWEL_SIGNS",
    "WORD_LIKE",
    "character_kinds",
    "chunk_characters",
    "kinds_of",
    "marks",
]

IN_WORD, STANDS_ALONE, WORD_LIKE, BLANK = 1, 2, 4, 8
"""Kinds of characters: of a run that is a word, a word by itself, what `\\w` and `\\s` match."""

LONE = "\u3040-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Hiragana and Han, each of which is a word of the first version."""

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Burmese; Khmer
    "\u1100-\u11ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Scripts that put no blanks between words, or, as Korean does, not between all of them."""

INVISIBLE = (
    "\u00ad\u034f\u061c\u0640\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0001\U000e0020-\U000e007f\U000e0100-\U000e01ef"
)
"""Not seen, or without meaning: soft hyphens, joiners, marks of direction, the Arabic tatweel …"""

VOWEL_SIGNS = (
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"
)
"""Hebrew and Arabic signs that texts have or leave out, and that make no other word."""

CONNECTORS = "_＿'’＇+＋#＃\\-‐‑－"
"""What words may be joined by, or end in, as `snake_case`, `e-mail` and `C++`; escaped."""

ASCII_CHUNK = "A-Za-z0-9_'+#\\-"
"""The ASCII characters of `chunk_characters`."""

_LAST_WITH_MARKS = 0x20000


@lru_cache(maxsize=1)
def marks() -> str:
    """All combining marks, as ranges for a regular expression's set. Made once."""
    codes = range(0x300, _LAST_WITH_MARKS)
    return _ranges(code for code in codes if unicodedata.category(chr(code))[0] == "M")


@lru_cache(maxsize=1)
def chunk_characters() -> str:
    """Characters of chunks of text, as ranges for a regular expression's set. Made once.

    Letters, digits, marks, invisible characters, connectors, and all above U+FFFF: one set of
    ranges is quickly looked up in, and what is in a chunk is told apart again.
    """
    pattern = re.compile(rf"[\w{marks()}{INVISIBLE}{CONNECTORS}]")
    codes = (code for code in range(0x80, 0x10000) if pattern.match(chr(code)))
    return f"{ASCII_CHUNK}{_ranges(codes)}\U00010000-\U0010ffff"


def _ranges(codes: Iterable[int]) -> str:
    found: list[list[int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in found)


@lru_cache(maxsize=1)
def character_kinds() -> NDArray[np.uint8]:
    """The kinds of all characters, uint8, shape (1,114,112): sums of the four constants.

    With them compiled code splits a text exactly as the first version does. Made once.
    """
    patterns = {IN_WORD: rf"[^\W_{LONE}]+", STANDS_ALONE: f"[{LONE}]+", WORD_LIKE: r"\w+"}
    return kinds_of(patterns | {BLANK: r"\s+"})


def kinds_of(patterns: dict[int, str]) -> NDArray[np.uint8]:
    """The sums of kinds of all characters, by the pattern that each kind's characters match."""
    kinds = np.zeros(sys.maxunicode + 1, np.uint8)
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    for kind, pattern in patterns.items():
        for match in re.finditer(pattern, everything):
            kinds[match.start() : match.end()] += np.uint8(kind)
    kinds.flags.writeable = False
    return kinds
