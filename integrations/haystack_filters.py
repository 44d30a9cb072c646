"""Haystack's filters as filters of lsr."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lsr.errors import QueryError

__all__ = ["where_of"]

_BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_GROUPS = ("AND", "OR", "NOT")
_COMPARISONS = ("==", "!=", *_BOUNDS, "in", "not in")
_OF_DOCUMENTS = ("id", "content", "blob", "score", "embedding", "sparse_embedding")
_NOTHING: dict[str, Any] = {"any": []}


def where_of(filters: Any, place: str = "filters") -> dict[str, Any]:
    """The filter that means the same. An empty one passes everything.

    Args:
        filters: a comparison of `field`, `operator` and `value`, or `operator` (AND, OR, NOT) with
            `conditions`, nested.
        place: what stands for it in messages.

    Raises:
        QueryError: names what is missing, unknown, or not to be had here.
    """
    if not isinstance(filters, Mapping):
        raise QueryError(f"{place} is of type {type(filters).__name__}; it must be a dictionary")
    if not filters:
        return {}
    if "field" in filters or "value" in filters:
        return _comparison(filters, place)
    operator, conditions = _read(filters, place, "operator", "conditions")
    if operator not in _GROUPS:
        raise QueryError(f"{place} has the operator {operator!r}; there are {', '.join(_GROUPS)}")
    if not isinstance(conditions, list) or not all(conditions):
        raise QueryError(f"{place}.conditions must be a list of conditions, none of them empty")
    clauses = [where_of(each, f"{place}.conditions[{n}]") for n, each in enumerate(conditions)]
    if not clauses:
        raise QueryError(f"{place}.conditions is empty; leave the filter out")
    if operator == "NOT":
        return {"must_not": [{"must": clauses}]}
    return {"must" if operator == "AND" else "should": clauses}


def _comparison(condition: Mapping[str, Any], place: str) -> dict[str, Any]:
    field, operator, value = _read(condition, place, "field", "operator", "value")
    if not isinstance(field, str):
        raise QueryError(f"{place}.field is {field!r}; it must be text")
    if field in _OF_DOCUMENTS:
        raise QueryError(f"{place} is of {field}; only metadata can be filtered by, as meta.year")
    if operator not in _COMPARISONS:
        raise QueryError(
            f"{place} has the operator {operator!r}; there are {', '.join(_COMPARISONS)}"
        )
    if isinstance(value, list) != operator.endswith("in"):
        fits = "a list" if operator.endswith("in") else "one value"
        raise QueryError(f"{place}.value is {value!r}; {operator} takes {fits}")
    if operator in _BOUNDS and isinstance(value, str) and _is_number(value):
        raise QueryError(
            f"{place}.value is {value!r}, a number as text; {operator} takes numbers and ISO dates"
        )
    return {field.removeprefix("meta."): _condition(operator, value)}


def _condition(operator: str, value: Any) -> dict[str, Any]:
    if operator in _BOUNDS:
        return {_BOUNDS[operator]: value} if value is not None else _NOTHING
    if value is None:
        return {"exists": operator == "!="}
    values = {"any": value if isinstance(value, list) else [value]}
    return values if operator in ("==", "in") else {"not": values}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read(given: Mapping[str, Any], place: str, *names: str) -> list[Any]:
    for name in names:
        if name not in given:
            raise QueryError(f"{place} has no {name}; it needs {', '.join(names)}")
    for name in given:
        if name not in names:
            raise QueryError(f"{place} has {name!r}; it takes {', '.join(names)} only")
    return [given[name] for name in names]
