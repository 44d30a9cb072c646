"""reStructuredText: the title is the first line that is underlined."""

from __future__ import annotations

import re

from lsr.datasets.files.content import Content, Extracted
from lsr.datasets.files.text import plain_lines

__all__ = ["REST_SUFFIXES", "read_rest", "section_title"]

REST_SUFFIXES = (".rst", ".rest")
_TITLE = re.compile(
    r"(?:^|(?<=\n))(?P<above>(?P<over>[!-/:-@\[-`{-~])(?P=over)+[ \t]*\n)?"
    r"(?P<title>[ \t]*\S[^\n]*)\n(?P<line>(?P<sign>[!-/:-@\[-`{-~])(?P=sign)*)[ \t]*(?=\n|\Z)"
)


def read_rest(content: Content) -> list[Extracted]:
    """One text, as it is written."""
    text = plain_lines(content.text())
    return [Extracted(text, section_title(text))]


def section_title(text: str) -> str:
    """The first section's title, or nothing.

    An underline is one punctuation character, at least as long as the title; a title may be
    indented below an overline only.
    """
    for found in _TITLE.finditer(text):
        title, line = found["title"].strip(), found["line"]
        is_title = len(line) >= len(title) and not re.fullmatch(r"[^\w\s]+", title)
        above = found["above"]
        if above is None and found["title"][0] in " \t":
            continue
        if is_title and (above is None or above.strip() == line):
            return title
    return ""
