"""`Stage`: the strip of times above the hits, one part for each stage of a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["STAGE_WORDS", "Stage", "spoken_ms", "stages"]

STAGE_WORDS = {
    "filter": "filter",
    "plan": "plan",
    "encode_sparse": "encode words",
    "search_sparse": "search words",
    "encode_dense": "encode meaning",
    "search_dense": "search meaning",
    "fuse": "fuse",
    "feedback": "learn",
    "search_sparse_again": "words again",
    "search_dense_again": "meaning again",
    "fuse_again": "fuse again",
    "refine": "count and sort",
    "fetch": "fetch",
    "explain": "explain",
    "snippet": "passages",
    "other": "other",
}
_SMALLEST = 0.005
"""A stage with a smaller share of the total is one of "other"."""


@dataclass(frozen=True)
class Stage:
    """A stage of a search: its time, and its place in the strip in percent.

    Attributes:
        name: as the REST API has it.
        words: the same for people.
        told: which stages it stands for, with their times.
    """

    name: str
    words: str
    told: str
    ms: str
    start: float
    width: float


def stages(took_ms: Mapping[str, float]) -> list[Stage]:
    """The stages of a search in their order, small ones put together at the end."""
    total = took_ms["total"] or 1.0
    each = {name: max(ms, 0.0) for name, ms in took_ms.items() if name != "total"}
    small = {name: ms for name, ms in each.items() if ms < _SMALLEST * total}
    shown = [(name, f"{name} {spoken_ms(ms)} ms", ms) for name, ms in each.items()]
    shown = [part for part in shown if part[0] not in small]
    if small:
        told = ", ".join(f"{name} {spoken_ms(ms)} ms" for name, ms in small.items())
        shown.append(("other", told, sum(small.values())))
    views, start = [], 0.0
    for name, told, ms in shown:
        width = 100 * ms / total
        words = STAGE_WORDS.get(name, name.replace("_", " "))
        views.append(Stage(name, words, told, spoken_ms(ms), round(start, 2), round(width, 2)))
        start += width
    return views


def spoken_ms(ms: float) -> str:
    """Milliseconds with as many digits as matter."""
    return f"{ms:.2f}" if ms < 1 else f"{ms:.1f}" if ms < 100 else f"{ms:,.0f}"
