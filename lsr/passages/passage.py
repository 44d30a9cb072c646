"""Records of passages: where one lies in its document, and what encoders read of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lsr.errors import InputError
from lsr.types import Document

__all__ = [
    "MOST_TOKENS",
    "Passage",
    "PassageSettings",
    "PassagedText",
    "Split",
    "packed",
    "passaged_text",
    "unpacked",
]

MOST_TOKENS = 100_000
_DEFAULT = -1
_WHOLE = 2
"""Texts of up to this many times a passage's tokens stay whole."""


class Passage(NamedTuple):
    """Part of a document's text, `text[start:end]`.

    Attributes:
        start, end: characters.
        heading: the headings that it stands below, outermost first, joined by " > ".
    """

    start: int
    end: int
    heading: str = ""


class PassagedText(NamedTuple):
    """A document as encoders read it.

    Attributes:
        whole: title and text.
        passages: title, heading and text of each; of a short document the whole alone.
    """

    whole: str
    passages: tuple[str, ...]


@dataclass(frozen=True)
class PassageSettings:
    """Choices of how long documents are split.

    The defaults were chosen on the collection `time` and a set of facts in long texts
    (docs/experiments/2026-12-01-passages.md).

    Attributes:
        tokens: of a passage at most, by the tokenizer of the model.
        overlap: tokens that a passage repeats of the one before it at most. Default: an eighth of
            `tokens`.
        whole: documents of up to this many tokens are not split. Default: twice `tokens`.

    Raises:
        InputError: a number is out of its range.

    Example:
        >>> import lsr
        >>> lsr.PassageSettings(tokens=64).whole
        128
    """

    tokens: int = 128
    overlap: int = _DEFAULT
    whole: int = _DEFAULT

    def __post_init__(self) -> None:
        if self.overlap == _DEFAULT:
            object.__setattr__(self, "overlap", self.tokens // 8)
        if self.whole == _DEFAULT:
            object.__setattr__(self, "whole", _WHOLE * self.tokens)
        if not 16 <= self.tokens <= MOST_TOKENS:
            raise InputError(
                f"passages of {self.tokens:,} tokens; give a whole number from 16 to "
                f"{MOST_TOKENS:,}"
            )
        if not 0 <= self.overlap <= self.tokens // 2:
            raise InputError(
                f"passages overlap by {self.overlap:,} tokens; give from 0 to {self.tokens // 2:,},"
                " half a passage"
            )
        if self.whole < self.tokens:
            raise InputError(
                f"documents of up to {self.whole:,} tokens stay whole, and a passage has "
                f"{self.tokens:,}; give at least as many"
            )


Split = Callable[[Document], Sequence[Passage]]
"""Gives the passages of a document, two or more, or none where it stays whole."""


def passaged_text(document: Document, passages: Sequence[Passage]) -> PassagedText:
    """A document's text and those of its passages, as encoders read them."""
    whole = document.full_text
    if not passages:
        return PassagedText(whole, (whole,))
    return PassagedText(whole, tuple(_read(document, passage) for passage in passages))


def _read(document: Document, passage: Passage) -> str:
    above = [document.title, *passage.heading.split(" > ")]
    parts = [*dict.fromkeys(above), document.text[passage.start : passage.end]]
    return " ".join(filter(None, parts))


def packed(passages: Sequence[Passage]) -> tuple[bytes, bytes]:
    """The passages of a document as bytes: their places, int32, and their headings, a line each."""
    places = np.array([each[:2] for each in passages], "<i4").reshape(-1, 2)
    headings = [" ".join(each.heading.split()) for each in passages]
    return places.tobytes(), "\n".join(headings).encode()


def unpacked(places: bytes | None, headings: bytes | None) -> tuple[Passage, ...]:
    """The inverse of `packed`; no passages where there are no bytes."""
    if not places or headings is None:
        return ()
    spans = np.frombuffer(places, "<i4").reshape(-1, 2).tolist()
    lines = headings.decode().split("\n")
    return tuple(Passage(start, end, line) for (start, end), line in zip(spans, lines, strict=True))
