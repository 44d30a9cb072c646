"""`Stopwatch`: how long each stage of a search took; `Deadline`: when it must end."""

from __future__ import annotations

import time

__all__ = ["Deadline", "Stopwatch"]


class Stopwatch:
    """Runs from the moment it is made.

    Attributes:
        took_ms: milliseconds by stage, in the order in which stages first ended.
    """

    def __init__(self) -> None:
        self.took_ms: dict[str, float] = {}
        self._begin = self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Count the time since the last lap as that of `stage`."""
        now = time.perf_counter()
        self.took_ms[stage] = self.took_ms.get(stage, 0.0) + (now - self._last) * 1e3
        self._last = now

    def total(self) -> dict[str, float]:
        """All stages, and `total`, the time since the start."""
        return {**self.took_ms, "total": (time.perf_counter() - self._begin) * 1e3}


class Deadline:
    """A moment some milliseconds from when it is made. Whoever works looks at it now and then."""

    def __init__(self, milliseconds: float) -> None:
        self.milliseconds = milliseconds
        self._end = time.perf_counter() + milliseconds / 1e3

    @property
    def is_over(self) -> bool:
        """Whether the moment has passed."""
        return time.perf_counter() >= self._end
