"""A filter asked of one document's metadata: the same language as a search's filter."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lsr.errors import InputError

__all__ = ["check_filter", "matches"]

_GROUPS = ("must", "should", "must_not")
_RANGE: dict[str, Callable[[Any, Any], bool]] = {
    "gte": operator.ge,
    "gt": operator.gt,
    "lte": operator.le,
    "lt": operator.lt,
}
_DEEPEST = 8
_MOST_CLAUSES = 256


def check_filter(clause: object) -> None:
    """Refuse what is no filter.

    Raises:
        InputError: says what is wrong.
    """
    if _count(clause, 1) > _MOST_CLAUSES:
        raise InputError(f"the filter has more than {_MOST_CLAUSES} clauses; use fewer")


def _count(clause: object, depth: int) -> int:
    if not isinstance(clause, Mapping):
        raise InputError(f"a filter must be an object of fields and conditions, not {clause!r:.64}")
    if depth > _DEEPEST:
        raise InputError(f"the filter is nested deeper than {_DEEPEST}; make it flatter")
    total = 1
    for name, condition in clause.items():
        if name in _GROUPS and isinstance(condition, list):
            total += sum(_count(each, depth + 1) for each in condition)
        else:
            _check_condition(name, condition)
            total += 1
    return total


def _check_condition(name: str, condition: object) -> None:
    if isinstance(condition, Mapping):
        known = {"any", "exists", "not", *_RANGE}
        unknown = [str(each) for each in condition if each not in known]
        if unknown or not condition:
            raise InputError(
                f"filter field {name!r}: a condition is a value or an object of any, gte, gt, lte, "
                f"lt, exists, not{'; there is no ' + repr(unknown[0]) if unknown else ''}"
            )
        if not isinstance(condition.get("any", []), list):
            raise InputError(f"filter field {name!r}: 'any' must be a list of values")
        if not isinstance(condition.get("exists", True), bool):
            raise InputError(f"filter field {name!r}: 'exists' must be true or false")
        for bound in _RANGE.keys() & condition.keys():
            if isinstance(condition[bound], bool) or not isinstance(
                condition[bound], int | float | str
            ):
                raise InputError(f"filter field {name!r}: {bound!r} must be a number or a date")
    elif not (condition is None or isinstance(condition, str | int | float | bool)):
        raise InputError(f"filter field {name!r}: a value must be a text, number, boolean or null")


def matches(clause: Mapping[str, Any], metadata: Mapping[str, object]) -> bool:
    """Whether a document with this metadata passes. A list passes by any of its elements."""
    for name, condition in clause.items():
        if name in _GROUPS and isinstance(condition, list):
            passed = [matches(each, metadata) for each in condition]
            if name == "must" and not all(passed):
                return False
            if name == "should" and condition and not any(passed):
                return False
            if name == "must_not" and any(passed):
                return False
        elif not _passes(condition, _values(name, metadata)):
            return False
    return True


def _passes(condition: object, values: Sequence[object]) -> bool:
    if not isinstance(condition, Mapping):
        return _is_any([condition], values)
    if "exists" in condition and condition["exists"] != any(each is not None for each in values):
        return False
    if "any" in condition and not _is_any(condition["any"], values):
        return False
    if "not" in condition and _passes(condition["not"], values):
        return False
    bounds = [(holds, condition[name]) for name, holds in _RANGE.items() if name in condition]
    return not bounds or any(
        all(_comparable(value, bound) and holds(value, bound) for holds, bound in bounds)
        for value in values
    )


def _is_any(wanted: Sequence[object], values: Sequence[object]) -> bool:
    if None in wanted and all(each is None for each in values):
        return True
    canonical = {_canonical(each) for each in wanted if each is not None}
    return any(_canonical(value) in canonical for value in values if value is not None)


def _comparable(value: object, bound: object) -> bool:
    if isinstance(bound, str):
        return isinstance(value, str)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _canonical(value: object) -> tuple[str, object]:
    """A value by its type: a text that is written exactly as a number or boolean is that one."""
    if isinstance(value, str):
        try:
            read = json.loads(value)
        except ValueError:
            return "text", value
        if isinstance(read, bool | int | float) and json.dumps(read) == value:
            return _canonical(read)
        return "text", value
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, int | float):
        return "number", value
    return "other", repr(value)


def _values(name: str, metadata: Mapping[str, object]) -> Sequence[object]:
    found: object = metadata.get(name)
    if found is None and name not in metadata:
        found = metadata
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, list | tuple):
        return list(found) or [None]
    return [found]
