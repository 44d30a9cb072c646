"""Accounts of what a source gave: files and records read, and those passed over, with reasons.

Nothing is left out in silence: what is passed over is counted by kind and reason, with the first
names, and with the option that would read it where there is one.
"""

from __future__ import annotations

import codecs
import os
from dataclasses import dataclass, field
from typing import Literal

from lsr.errors import InputError

__all__ = ["FILES_EXTRA", "Passed", "ReadOptions", "Reading", "Unit", "shown_name"]

FILES_EXTRA = "pip install 'lsr-search[files]'"
"""The line that installs the readers of HTML, PDF, DOCX, PPTX and EPUB."""

_EXAMPLES = 3
_LINES = 12

Unit = Literal["file", "folder", "part", "record"]
"""Kinds of things that are passed over; only files add up to the number of files."""


@dataclass(frozen=True)
class ReadOptions:
    """Choices of how a source is read.

    Attributes:
        encoding: the name of the encoding of all text; None: UTF-8, UTF-16, or detected.
        skip_bad: so many bad records are passed over; the next one stops.
        delimiter: one character between the fields of a CSV file; None: found in its header.

    Raises:
        InputError: Python knows no such encoding of text, a number is negative, or the delimiter
            is not one character.
    """

    encoding: str | None = None
    skip_bad: int = 0
    delimiter: str | None = None

    def __post_init__(self) -> None:
        if self.encoding is not None:
            try:
                "é".encode(self.encoding, "replace")
                codecs.lookup(self.encoding)
            except (LookupError, ValueError) as error:
                raise InputError(
                    f"no encoding {self.encoding!r}; give a name such as utf-8, utf-16 or cp1252"
                ) from error
        if self.skip_bad < 0:
            raise InputError(f"{self.skip_bad} records cannot be skipped; give 0 or more")
        if self.delimiter in ("tab", "\\t"):
            object.__setattr__(self, "delimiter", "\t")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise InputError(
                f"{self.delimiter!r} cannot be between fields; give one character, or tab"
            )


@dataclass
class Passed:
    """Group of things that were passed over for one reason.

    Attributes:
        unit: `file`, `folder`, `part` of a file that was read, or `record`.
        kind: suffix of the files, or a word.
        reason: why.
        option: what would read it; None where nothing would.
        n: how many.
        examples: names of the first ones.
    """

    unit: Unit
    kind: str
    reason: str
    option: str | None = None
    n: int = 0
    examples: list[str] = field(default_factory=list)

    def line(self) -> str:
        """The group in one line for people."""
        unit = self.unit if self.n == 1 else f"{self.unit}s"
        kind = "" if self.kind == self.unit else f" {self.kind}"
        more = ", …" if self.n > len(self.examples) else ""
        option = f"; to read them: {self.option}" if self.option else ""
        return f"{self.n:,}{kind} {unit}: {self.reason}{option} ({', '.join(self.examples)}{more})"


@dataclass
class Reading:
    """Account of a source: what has been read so far. Files are those read and those passed over.

    Attributes:
        n_read: files that gave documents.
        n_documents: documents given.
        passed: groups by unit, kind and reason, in the order of their first one.
        encodings: names of encodings that were guessed, to numbers of files.
        kinds: suffixes, to numbers of files that gave documents; of a folder alone.
    """

    n_read: int = 0
    n_documents: int = 0
    passed: dict[tuple[str, str, str], Passed] = field(default_factory=dict)
    encodings: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)

    @property
    def n_passed(self) -> int:
        """Files passed over."""
        return sum(each.n for each in self.passed.values() if each.unit == "file")

    @property
    def n_files(self) -> int:
        """All files: those read and those passed over."""
        return self.n_read + self.n_passed

    def pass_over(
        self,
        name: str,
        kind: str,
        reason: str,
        option: str | None = None,
        *,
        unit: Unit = "file",
        examples: int = _EXAMPLES,
    ) -> None:
        """Count one thing that is not read; the first `examples` names are kept."""
        key = (unit, kind, reason)
        group = self.passed.setdefault(key, Passed(unit, kind, reason, option))
        group.n += 1
        if len(group.examples) < examples:
            group.examples.append(shown_name(name))

    def take(self, kind: str) -> None:
        """Count a file that gives documents."""
        self.n_read += 1
        self.kinds[kind] = self.kinds.get(kind, 0) + 1

    def guess(self, encoding: str) -> None:
        """Count a file whose encoding was guessed."""
        self.encodings[encoding] = self.encodings.get(encoding, 0) + 1

    def lines(self) -> list[str]:
        """The account for people: nothing where all was read as it says."""
        told = []
        groups = sorted(self.passed.values(), key=lambda group: -group.n)
        for encoding, n in sorted(self.encodings.items()):
            files = "file is" if n == 1 else "files are"
            told.append(f"{n:,} {files} not UTF-8 and read as {encoding}; --encoding names another")
        if groups:
            told.append(
                f"read {self.n_read:,} of {self.n_files:,} files; passed over:"
                if self.n_files
                else "passed over:"
            )
        told += [f"  {group.line()}" for group in groups[:_LINES]]
        if len(groups) > _LINES:
            n = sum(group.n for group in groups[_LINES:])
            told.append(f"  {n:,} more of {len(groups) - _LINES} kinds; --json lists all")
        return told

    def to_dict(self) -> dict[str, object]:
        """The account as plain values."""
        return {
            "n_files": self.n_files,
            "n_read": self.n_read,
            "n_passed": self.n_passed,
            "n_documents": self.n_documents,
            "passed": [vars(group) for group in self.passed.values()],
            "encodings": dict(self.encodings),
            "kinds": dict(self.kinds),
        }


def shown_name(name: str) -> str:
    """A name of a file that can be printed: bytes that are not UTF-8, and controls, are escaped."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
