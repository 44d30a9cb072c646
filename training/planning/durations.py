"""Durations for people: a rough number of one unit."""

from __future__ import annotations

__all__ = ["in_words"]

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86400.0
AT_LEAST = 1.5
"""Of a unit; less is told in the unit below, so that there is no "1 minutes"."""


def in_words(seconds: float) -> str:
    """Such as "about 40 seconds", "about 2 minutes", "about 3 hours"."""
    if seconds <= 0:
        return "no time"
    if seconds < 1:
        return "less than a second"
    if seconds < AT_LEAST:
        return "about a second"
    for unit, name in ((DAY_S, "days"), (HOUR_S, "hours"), (MINUTE_S, "minutes")):
        if seconds >= AT_LEAST * unit:
            return f"about {_rounded(seconds / unit)} {name}"
    return f"about {_rounded(seconds)} seconds"


def _rounded(value: float) -> str:
    """Two digits of it; 1.5 and more is 2."""
    whole = int(value + 0.5)
    return f"{whole if whole < 100 else round(whole, 2 - len(str(whole))):,}"
