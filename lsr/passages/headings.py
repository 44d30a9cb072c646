"""Headings of a text in Markdown, and which of them a place stands below."""

from __future__ import annotations

import re
from bisect import bisect_right

__all__ = ["MOST_CHARACTERS", "Headings", "joined"]

MOST_CHARACTERS = 200
"""Of the headings above a passage; of longer ones the innermost that fit are kept."""

_LINE = re.compile(r"^(?: {0,3}(?P<fence>`{3,}|~{3,})|(?P<marks>#{1,6})[ \t]+(?P<title>.*))", re.M)


class Headings:
    """The headings of a text. Lines within code fences are none.

    Attributes:
        places: where their lines begin, ascending.

    Example:
        >>> text = "# Keys\\n\\n## Rotation\\n\\nThey turn."
        >>> Headings(text).above(len(text) - 1)
        'Keys > Rotation'
    """

    def __init__(self, text: str) -> None:
        self.places: list[int] = []
        self._paths: list[str] = []
        open_titles: list[tuple[int, str]] = []
        fence = ""
        for line in _LINE.finditer(text):
            if line["fence"]:
                if not fence:
                    fence = line["fence"]
                elif line["fence"].startswith(fence):
                    fence = ""
                continue
            if fence:
                continue
            level, title = len(line["marks"]), line["title"].strip().rstrip("#").strip()
            open_titles = [each for each in open_titles if each[0] < level]
            if title:
                open_titles.append((level, title.replace(" > ", " ")))
            self.places.append(line.start())
            self._paths.append(joined([title for _, title in open_titles]))

    def __bool__(self) -> bool:
        return bool(self.places)

    def above(self, place: int) -> str:
        """The headings that a character stands below, outermost first, joined by " > "."""
        found = bisect_right(self.places, place)
        return self._paths[found - 1] if found else ""


def joined(titles: list[str]) -> str:
    """Titles, outermost first, joined by " > "; the innermost where not all of them fit."""
    path = ""
    for title in reversed(titles):
        longer = f"{title} > {path}" if path else title[:MOST_CHARACTERS]
        if len(longer) > MOST_CHARACTERS:
            break
        path = longer
    return path
