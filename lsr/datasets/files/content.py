"""Content of one file, as readers take it, and texts, as they give them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from zipfile import BadZipFile

from lsr.datasets.encodings import decoded
from lsr.datasets.reading import FILES_EXTRA

__all__ = ["DAMAGE", "Content", "Extracted", "Unreadable"]

DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BadZipFile,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    struct.error,
    SyntaxError,
    TypeError,
    ValueError,
    zlib.error,
)
"""Errors that libraries raise over damaged files, beside those of their own."""


class Unreadable(Exception):  # noqa: N818
    """A file cannot be read; `option` is what would read it."""

    def __init__(self, reason: str, option: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.option = option


@dataclass(frozen=True)
class Extracted:
    """One text of a file.

    Attributes:
        title: empty: the file's name is taken.
        part: where a file holds several texts: which this is; unique in the file.
    """

    text: str
    title: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)
    part: str = ""


@dataclass
class Content:
    """Bytes of a file.

    Attributes:
        data: decompressed.
        suffix: that of the kind, lower case: `.md` of `notes.md.gz`.
        encoding: the one that is to be taken; None: find it out.
        guessed: the encoding that was found by guessing.
        left_out: parts that were not read: (name of the part, reason).
    """

    data: bytes
    suffix: str
    encoding: str | None = None
    guessed: str | None = None
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def text(self, declared: str | None = None) -> str:
        """The text, with `\\n` at line ends; `declared` is the encoding that it names itself.

        Raises:
            Unreadable: it is not text, or in an encoding that cannot be found out.
        """
        try:
            text, guessed = decoded(self.data, self.encoding, declared)
        except ValueError as error:
            detector = "detector" in str(error)
            option = f"--encoding NAME, or {FILES_EXTRA}" if detector else "--encoding NAME"
            raise Unreadable(str(error), option) from error
        self.guessed = guessed
        return text.replace("\r\n", "\n")
