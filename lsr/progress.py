"""Progress reports of long work."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "no_progress"]

Progress = Callable[[str, int, int | None], None]
"""Called with (stage, items done, items in all or None when unknown)."""


def no_progress(stage: str, done: int, total: int | None) -> None:
    """A `Progress` that says nothing."""
