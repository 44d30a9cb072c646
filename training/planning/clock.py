"""Time taken by work, as a clock of choice counts it."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import torch

__all__ = ["Clock", "Marks", "seconds_of", "wall_clock"]

Clock = Callable[[], float]
"""Gives seconds; only differences count."""


def wall_clock() -> float:
    """Seconds on the wall, what was sent to a GPU included."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds_of(work: Callable[[], object], clock: Clock) -> float:
    """Seconds that a call takes."""
    began = clock()
    work()
    return clock() - began


class Marks:
    """A `Progress` that notes when each step of a stage was done.

    Attributes:
        times: by the stage's name, as the clock stood; the first is that of the beginning.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = clock()
        self.times: dict[str, list[float]] = {}

    def __call__(self, stage: str, done: int, total: int | None) -> None:  # noqa: ARG002
        now = self._clock()
        self.times.setdefault(stage, [self._last]).append(now)
        self._last = now

    def step(self, stage: str) -> float:
        """The shortest time between two marks of a stage; 0 where it was not begun."""
        times = self.times.get(stage, [])
        return min((b - a for a, b in pairwise(times)), default=0.0)

    @property
    def last(self) -> float:
        """Time of the last mark."""
        return self._last
