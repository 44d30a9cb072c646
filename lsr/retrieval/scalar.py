"""Scalars of metadata: one rule for when two of them are equal, and what a text writes.

A filter value equals a stored value of the same JSON type. A text that is written as JSON writes a
number, `true` or `false` equals that number or boolean too, and the reverse: 2020 finds 2020,
2020.0 and "2020", and "2020" finds all three. "01" is no number in JSON, so it is text alone;
"1.10" and "1.1" are two texts that write one number; 1 is not true.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

__all__ = [
    "OrderKey",
    "Scalar",
    "canonical",
    "flat_values",
    "instants",
    "matching",
    "number_of",
    "order_key",
    "scalar_of",
]

Scalar = str | int | float | bool

WRITES = "~"
"""Stands before a number to mean every text that writes it; no JSON begins so."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LONGEST_NUMBER = 400
_FIRST = frozenset("-0123456789")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}.*)?)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MONTH, _DAY = len("2020-05"), len("2020-05-01")


def canonical(value: Scalar) -> str:
    """A scalar as JSON such that 2 and 2.0 are the same, and 2, "2" and true are not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


def scalar_of(stored: str) -> Scalar:
    """The inverse of `canonical`."""
    if stored[0] == '"' and "\\" not in stored:
        return stored[1:-1]
    value: Scalar = json.loads(stored)
    return value


def number_of(text: str) -> int | float | None:
    """The number that a text writes as JSON does; None for other texts, and what is not finite."""
    if text[:1] not in _FIRST or len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    value: int | float = json.loads(text)
    return value if isinstance(value, int) or math.isfinite(value) else None


def matching(value: Scalar | None) -> tuple[str, ...]:
    """Canonical forms of the stored scalars that equal a filter value.

    `~` and a number stands for every text that writes the number; "null" for a field that is not
    there.
    """
    if value is None:
        return ("null",)
    own = canonical(value)
    if isinstance(value, bool):
        return (own, canonical(own))
    if not isinstance(value, str):
        return (own, WRITES + own)
    if value in ("true", "false"):
        return (own, value)
    number = number_of(value)
    return (own,) if number is None else (own, canonical(number))


def instants(text: str) -> tuple[int, int] | None:
    """The time that an ISO 8601 date, month or date with a time stands for.

    Without a zone it is in UTC.

    Returns:
        Its first microsecond, and the first after it, counted from 1970; None for other texts.
    """
    if text[:1] not in _FIRST or not _DATE.fullmatch(text):
        return None
    try:
        if len(text) == _MONTH:
            year, month = int(text[:4]), int(text[5:])
            first = datetime(year, month, 1, tzinfo=UTC)
            last = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        else:
            first = datetime.fromisoformat(text)
            first = first.replace(tzinfo=first.tzinfo or UTC)
            last = first + (timedelta(days=1) if len(text) == _DAY else _precision(text))
    except (ValueError, OverflowError):
        return None
    return (first - _EPOCH) // _MICROSECOND, (last - _EPOCH) // _MICROSECOND


def _precision(text: str) -> timedelta:
    """The length of time that a date with a time stands for: a minute, a second, or less."""
    time = re.split("[Zz+-]", text[_DAY + 1 :])[0]
    if "." in time or "," in time:
        return _MICROSECOND
    return timedelta(minutes=1) if len(time) <= len("10:30") else timedelta(seconds=1)


OrderKey = tuple[int, int | float | str]


def order_key(value: Scalar) -> OrderKey:
    """The place of a scalar among others: false, true, numbers, dates by time, then other texts.

    Texts that write a number stand among the numbers.
    """
    if isinstance(value, bool):
        return 0, int(value)
    if not isinstance(value, str):
        return 1, value
    if value[:1] not in _FIRST:
        return 3, value
    number = number_of(value)
    if number is not None:
        return 1, number
    span = instants(value)
    return (3, value) if span is None else (2, span[0])


def flat_values(metadata: Mapping[str, object]) -> Iterator[tuple[str, Scalar]]:
    """Every scalar in metadata, under the name that filters know it by.

    Lists count by their elements, nested objects by names with dots; where one of these is the
    name of a field of its own, that field alone counts.
    """
    waiting: list[tuple[str, object, bool]] = [
        (name, value, False) for name, value in reversed(list(metadata.items()))
    ]
    while waiting:
        name, value, nested = waiting.pop()
        if isinstance(value, Mapping):
            below = [
                (f"{name}.{key}", each, True) for key, each in value.items() if isinstance(key, str)
            ]
            waiting.extend(reversed(below))
        elif isinstance(value, list | tuple):
            waiting.extend((name, each, nested) for each in reversed(value))
        elif isinstance(value, Scalar) and not (nested and name in metadata):
            yield name, value
