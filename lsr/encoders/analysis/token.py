"""`Token`: an index term with its place in a text."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Token"]


class Token(NamedTuple):
    """An index term and the slice `start:end` of the text that it came from."""

    term: str
    start: int
    end: int
