"""Filters as Qdrant's conditions, with the meaning that `lsr.retrieval.filter` gives them.

Qdrant's own comparisons of values are not ours: 2020 and "2020" differ there, and so do 2 and 2.0.
So a point has, beside its metadata, the canonical form of each value with its field, as keywords,
and numbers and times as float64; conditions are over these. What float64 cannot hold is noted, and
a range over it is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lsr.backend.qdrant.store import Conditions
from lsr.errors import QueryError
from lsr.retrieval.filter import (
    AnyOf,
    Clause,
    Condition,
    Exists,
    FieldClause,
    Filter,
    NoneOf,
    Range,
    parse_filter,
)
from lsr.retrieval.scalar import WRITES, Scalar, canonical, flat_values, instants, number_of

__all__ = ["VALUES", "FieldValues", "Fields", "conditions"]

VALUES = "lsr_values"
"""Field of the payload: a keyword for each value, and for each field that has any."""

_NOTHING: Conditions = {"key": VALUES, "match": {"any": [""]}}
_GREATEST = math.ldexp(1 - 2**-53, 1024)
_SHOWN_FIELDS = 50
_LONGEST = 100
"""Characters of a value; a longer one stands there as its hash, which no other begins like."""


@dataclass
class FieldValues:
    """A metadata field over all documents: how its numbers and times are compared.

    Attributes:
        number: it is the so manieth of the fields, by name.
        has_numbers, has_times: whether it has any.
        whole: whether all its numbers are whole ones of 64 bits, and compared as such.
        finite: whether all are below the greatest float64.
        exact_numbers, exact_times: whether float64 holds them as they are.
    """

    number: int = 0
    has_numbers: bool = False
    has_times: bool = False
    whole: bool = True
    finite: bool = True
    exact_numbers: bool = True
    exact_times: bool = True

    @property
    def tells_numbers(self) -> bool:
        """Whether float64 tells ranges of its numbers; others than whole ones are compared so."""
        return self.finite and (self.exact_numbers or not self.whole)

    def take(self, value: Scalar) -> None:
        """See a value of the field."""
        number = _number(value)
        if number is not None:
            self.has_numbers = True
            self.whole = self.whole and isinstance(number, int) and -(2**63) <= number < 2**63
            self.finite = self.finite and math.isfinite(_float(number))
            self.exact_numbers = self.exact_numbers and _float(number) == number
        time = _time(value)
        if time is not None:
            self.has_times = True
            self.exact_times = self.exact_times and float(time) == time


class Fields:
    """The metadata fields of a collection, nested ones by dotted names.

    Args:
        fields: by name, ascending.
    """

    def __init__(self, fields: Mapping[str, FieldValues]) -> None:
        self.by_name = dict(fields)

    @classmethod
    def of(cls, metadata: Iterator[Mapping[str, object]]) -> Fields:
        """Those of some documents."""
        found: dict[str, FieldValues] = {}
        for each in metadata:
            for name, value in flat_values(each):
                found.setdefault(name, FieldValues()).take(value)
        ordered = {name: found[name] for name in sorted(found)}
        for number, values in enumerate(ordered.values()):
            values.number = number
        return cls(ordered)

    def payload(self, metadata: Mapping[str, object]) -> dict[str, Any]:
        """Fields of the payload that conditions are over."""
        keywords: set[str] = set()
        found: dict[str, Any] = {}
        for name, value in flat_values(metadata):
            parts = name.split(".")
            keywords |= {_keyword(".".join(parts[: n + 1])) for n in range(len(parts))}
            keywords.add(_keyword(name, canonical(value)))
            number, time = _number(value), _time(value)
            if number is not None and isinstance(value, str):
                keywords.add(_keyword(name, WRITES + canonical(number)))
            values = self.by_name[name]
            if number is not None and math.isfinite(_float(number)):
                found.setdefault(_numbers(values), []).append(_float(number))
            if time is not None:
                found.setdefault(_times(values), []).append(float(time))
        return {VALUES: sorted(keywords), **found}

    @property
    def indexed(self) -> dict[str, Literal["keyword", "float"]]:
        """Fields of the payload that are asked for, and what they hold."""
        kinds: dict[str, Literal["keyword", "float"]] = {VALUES: "keyword"}
        for values in self.by_name.values():
            if values.has_numbers:
                kinds[_numbers(values)] = "float"
            if values.has_times:
                kinds[_times(values)] = "float"
        return kinds

    def check(self, field: str, *, is_listed: bool) -> None:
        """Raise QueryError where no document has this field."""
        if any(name == field or name.startswith(f"{field}.") for name in self.by_name):
            return
        names = list(self.by_name)
        known = ", ".join(names[:_SHOWN_FIELDS]) or "none"
        known += f" and {len(names) - _SHOWN_FIELDS:,} more" if len(names) > _SHOWN_FIELDS else ""
        fields = f"; fields: {known}" if is_listed else ""
        raise QueryError(f"no document has a metadata field {field!r}{fields}")


def conditions(where: Filter | Mapping[str, object] | None, fields: Fields) -> Conditions | None:
    """A filter in Qdrant's JSON; None of one that passes everything.

    Raises:
        QueryError: the filter is wrong, names a field that no document has, or asks for a range
            that float64 cannot tell.
    """
    if not where:
        return None
    where = where if isinstance(where, Filter) else parse_filter(where)
    for field in sorted(where.fields):
        fields.check(field, is_listed=not where.is_narrowed)
    return _clause(where, fields)


def _clause(clause: Clause, fields: Fields) -> Conditions:
    if isinstance(clause, FieldClause):
        return {"must": [_condition(clause.field, each, fields) for each in clause.conditions]}
    groups = {"must": clause.must, "should": clause.should, "must_not": clause.must_not}
    return {
        name: [_clause(each, fields) for each in group] for name, group in groups.items() if group
    }


def _condition(field: str, condition: Condition, fields: Fields) -> Conditions:
    if isinstance(condition, Exists):
        return _has(field) if condition.wanted else {"must_not": [_has(field)]}
    if isinstance(condition, NoneOf):
        return {"must_not": [_one_of(field, condition.values)]}
    if isinstance(condition, AnyOf):
        return _one_of(field, condition)
    values = fields.by_name.get(field)
    return _NOTHING if values is None else _between(field, condition, values)


def _one_of(field: str, wanted: AnyOf) -> Conditions:
    keywords = [_keyword(field, key) for key in wanted.keys if key != "null"]
    found: Conditions = {"key": VALUES, "match": {"any": keywords}} if keywords else _NOTHING
    if "null" in wanted.keys:
        return {"should": [found, {"must_not": [_has(field)]}]}
    return found


def _has(field: str) -> Conditions:
    return {"key": VALUES, "match": {"any": [_keyword(field)]}}


def _between(field: str, bounds: Range, values: FieldValues) -> Conditions:
    if not (values.exact_times if bounds.is_time else values.tells_numbers):
        kind = "times" if bounds.is_time else "numbers"
        raise QueryError(
            f"the field {field!r} has {kind} that float64 cannot hold, and Qdrant tells no range "
            f"of them ({', '.join(name for name, _ in bounds.given)}); give values by any"
        )
    as_whole = bounds.is_time or values.whole
    limits: dict[str, float] = {}
    if bounds.low is not None:
        low = _at_least(bounds.low) if as_whole else _float(bounds.low)
        if low > _GREATEST:
            return _NOTHING
        is_open = bounds.low_open and (low == bounds.low or not as_whole)
        limits["gt" if is_open else "gte"] = max(low, -_GREATEST)
    if bounds.high is not None:
        high = -_at_least(-bounds.high) if as_whole else _float(bounds.high)
        if high < -_GREATEST:
            return _NOTHING
        is_open = bounds.high_open and (high == bounds.high or not as_whole)
        limits["lt" if is_open else "lte"] = min(high, _GREATEST)
    return {"key": _times(values) if bounds.is_time else _numbers(values), "range": limits}


def _at_least(bound: int | float) -> float:
    """The least float64 that is not below a bound."""
    near = _float(bound)
    return near if near >= bound else math.nextafter(near, math.inf)


def _keyword(field: str, key: str = "") -> str:
    if len(key) > _LONGEST:
        key = f"#{hashlib.sha256(key.encode()).hexdigest()}"
    return json.dumps(field, ensure_ascii=False) + key


def _numbers(values: FieldValues) -> str:
    return f"lsr_number_{values.number}"


def _times(values: FieldValues) -> str:
    return f"lsr_time_{values.number}"


def _number(value: Scalar) -> int | float | None:
    if isinstance(value, str):
        return number_of(value)
    return None if isinstance(value, bool) else value


def _time(value: Scalar) -> int | None:
    span = instants(value) if isinstance(value, str) else None
    return None if span is None else span[0]


def _float(number: int | float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
