"""Bounds of ranges, in filters and facets: numbers and dates; and checks of single values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from lsr.errors import QueryError
from lsr.retrieval.scalar import Scalar, instants, number_of

__all__ = ["Bound", "bound_of", "finite", "is_list", "named"]


@dataclass(frozen=True)
class Bound:
    """A number, or the span of a date: its first microsecond and the first after it."""

    is_time: bool
    first: int | float
    last: int | float
    given: Scalar


def bound_of(value: object, path: str) -> Bound:
    """A bound of a range: a number, or a text that writes a number or an ISO date.

    Raises:
        QueryError: it is neither.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = finite(value, path)
        return Bound(False, number, number, number)
    if isinstance(value, str):
        written = number_of(value)
        if written is not None:
            return Bound(False, written, written, value)
        span = instants(value)
        if span is not None:
            return Bound(True, *span, value)
    raise QueryError(f"{path} is {named(value)}; it must be a number or a date such as 2020-05-31")


def finite(value: int | float, path: str) -> int | float:
    """A number that JSON has. Raises QueryError."""
    if isinstance(value, float) and not math.isfinite(value):
        raise QueryError(f"{path} is {value}, which is no number of JSON; give a finite one")
    try:
        json.dumps(value)
    except ValueError as error:
        raise QueryError(
            f"{path} is a number of thousands of digits; give a smaller one"
        ) from error
    return value


def is_list(value: object) -> bool:
    """Whether a value is a list as JSON has them."""
    return isinstance(value, list | tuple)


def named(value: object) -> str:
    """A value of a wrong kind, for a message."""
    if isinstance(value, Mapping):
        return "an object"
    if is_list(value):
        return "a list"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int) and value.bit_length() > 200:
        return "a number of many digits"
    shown = repr(value) if isinstance(value, str | int | float) else type(value).__name__
    return shown if len(shown) <= 60 else f"{shown[:60]}…"
