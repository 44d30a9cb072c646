"""What a figure should be: a target, and a floor that it must not miss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

__all__ = ["Chapter", "Target"]


@dataclass(frozen=True)
class Target:
    """Values of at most `target` are wanted, or of at least that where `least` is set.

    Attributes:
        floor: what is still acceptable; the target itself where there is none.
        strict: the bounds themselves do not meet it.
    """

    target: float
    floor: float | None = None
    least: bool = False
    strict: bool = False

    def __str__(self) -> str:
        sign = {(0, 0): "≤", (0, 1): "<", (1, 0): "≥", (1, 1): ">"}[self.least, self.strict]
        floor = "" if self.floor is None else f", floor {sign} {self.floor:g}"
        return f"target {sign} {self.target:g}{floor}"

    def verdict(self, value: float) -> str:
        """One word: "met", "floor" where only the floor is reached, or "missed"."""
        if self._reached(value, self.target):
            return "met"
        if self.floor is not None and self._reached(value, self.floor):
            return "floor"
        return "missed"

    def _reached(self, value: float, bound: float) -> bool:
        if value == bound:
            return not self.strict
        return value > bound if self.least else value < bound


class Chapter(Protocol):
    """What a part of the benchmark measured: a dataclass that knows its table."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def lines(self) -> Iterator[str]:
        """The table, its title and targets first."""
