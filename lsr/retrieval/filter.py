"""Filters: what the metadata of a hit must be, as an immutable tree.

    {"year": 2020, "lang": {"any": ["en", "de"]}}
    {"must": [{"year": {"gte": 2019}}], "must_not": [{"draft": true}]}

`parse_filter` reads a tree from such a mapping, `as_json` writes it back. When two values are equal
is told in `lsr.retrieval.scalar`; evaluation is in `lsr.index.metadata`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from typing import Any

from lsr.errors import QueryError
from lsr.files import is_text
from lsr.retrieval.bounds import bound_of, finite, is_list, named
from lsr.retrieval.scalar import Scalar, matching

__all__ = [
    "AnyOf",
    "Clause",
    "Condition",
    "Exists",
    "FieldClause",
    "Filter",
    "FilterLimits",
    "NoneOf",
    "Range",
    "both",
    "parse_filter",
    "range_of",
]

_GROUPS = ("must", "should", "must_not")
_BOUNDS = ("gte", "gt", "lte", "lt")
_CONDITIONS = ("any", "exists", "not", *_BOUNDS)
_SCALARS = "text, a number, true, false or null"


@dataclass(frozen=True)
class FilterLimits:
    """Limits of a filter: levels of nesting, clauses in all, values in all."""

    depth: int = 8
    clauses: int = 256
    values: int = 10_000


@dataclass(frozen=True)
class AnyOf:
    """The field has one of some values.

    Attributes:
        keys: canonical forms of all stored scalars that are meant, as `matching` gives them.
        values: as they were given; they count for nothing but to be written back.
    """

    keys: tuple[str, ...]
    values: tuple[Scalar | None, ...] = attribute(compare=False)


@dataclass(frozen=True)
class Range:
    """The field has a value between bounds.

    Attributes:
        is_time: whether the bounds are microseconds since 1970, and the field's dates count;
            otherwise its numbers.
        low, high: None where there is none.
        low_open, high_open: whether the bound itself is outside.
        given: the bounds as they were given, to be written back.
    """

    is_time: bool
    low: int | float | None
    high: int | float | None
    low_open: bool
    high_open: bool
    given: tuple[tuple[str, Scalar], ...] = attribute(compare=False)


@dataclass(frozen=True)
class Exists:
    """The field has a value, or, if not `wanted`, is missing, null or an empty list."""

    wanted: bool


@dataclass(frozen=True)
class NoneOf:
    """The field has none of some values; it may be missing."""

    values: AnyOf


Condition = AnyOf | Range | Exists | NoneOf


@dataclass(frozen=True)
class FieldClause:
    """All of some conditions on one field; a list meets one when any of its elements does.

    Attributes:
        checked: whether a field that no document has is an error.
    """

    field: str
    conditions: tuple[Condition, ...]
    checked: bool = attribute(default=True, compare=False)


@dataclass(frozen=True)
class Filter:
    """Clauses that must all hold, of which one must hold, and of which none may hold.

    Without any it passes everything. Filters that mean the same and are written alike are equal.

    Example:
        >>> from lsr.retrieval.filter import parse_filter
        >>> parse_filter({"year": {"gte": 2019}}).as_json()
        {'year': {'gte': 2019}}
    """

    must: tuple[Clause, ...] = ()
    should: tuple[Clause, ...] = ()
    must_not: tuple[Clause, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.must or self.should or self.must_not)

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it names and that have to be known."""
        return frozenset(clause.field for clause in _leaves(self) if clause.checked)

    @property
    def is_narrowed(self) -> bool:
        """Whether `both` added a filter that is not the caller's word."""
        return any(not clause.checked for clause in _leaves(self))

    def as_json(self) -> dict[str, Any]:
        """The filter as `parse_filter` reads it."""
        plain = all(isinstance(clause, FieldClause) for clause in self.must)
        names = [clause.field for clause in self.must if isinstance(clause, FieldClause)]
        alone = not (self.should or self.must_not) and len(set(names)) == len(names)
        if plain and alone:
            return {name: part for clause in self.must for name, part in _json(clause).items()}
        groups = zip(_GROUPS, (self.must, self.should, self.must_not), strict=True)
        return {name: [_json(clause) for clause in group] for name, group in groups if group}


Clause = FieldClause | Filter


def both(first: Filter, added: Filter) -> Filter:
    """Conjunction of two filters: what passes both.

    A field of `added` that no document has is no error: what a key adds is not the caller's word.
    """
    parts = [part for part in (first, _unchecked(added)) if part]
    if len(parts) < 2:
        return parts[0] if parts else Filter()
    return Filter(must=tuple(parts))


def _unchecked(clause: Filter) -> Filter:
    def free(each: Clause) -> Clause:
        if isinstance(each, FieldClause):
            return replace(each, checked=False)
        return _unchecked(each)

    return Filter(*(tuple(map(free, group)) for group in _groups(clause)))


def _groups(clause: Filter) -> tuple[tuple[Clause, ...], ...]:
    return clause.must, clause.should, clause.must_not


def _leaves(clause: Filter) -> Iterator[FieldClause]:
    for group in _groups(clause):
        for each in group:
            if isinstance(each, FieldClause):
                yield each
            else:
                yield from _leaves(each)


def _json(clause: Clause) -> dict[str, Any]:
    if isinstance(clause, Filter):
        return clause.as_json()
    written: dict[str, Any] = {}
    for condition in clause.conditions:
        if isinstance(condition, AnyOf):
            written["any"] = list(condition.values)
        elif isinstance(condition, NoneOf):
            written["not"] = {"any": list(condition.values.values)}
        elif isinstance(condition, Exists):
            written["exists"] = condition.wanted
        else:
            written.update(condition.given)
    if list(written) == ["any"] and len(written["any"]) == 1:
        return {clause.field: written["any"][0]}
    return {clause.field: written}


def parse_filter(
    where: Mapping[str, object], limits: FilterLimits | None = None, path: str = "filter"
) -> Filter:
    """Read a filter.

    Args:
        where: fields with what they must be, and `must`, `should`, `must_not` with lists of such
            mappings; all of it must hold.
        limits: how large a filter may be.
        path: what stands for it in messages.

    Raises:
        QueryError: names the place in the filter, and what belongs there.
    """
    return _Parser(limits or FilterLimits()).filter(where, path, 1)


class _Parser:
    """Reads one filter, and counts what is in it."""

    def __init__(self, limits: FilterLimits) -> None:
        self._limits = limits
        self._n_clauses = 0
        self._n_values = 0

    def filter(self, where: object, path: str, depth: int) -> Filter:
        if not isinstance(where, Mapping):
            raise QueryError(
                f'{path} is {named(where)}; it must be an object such as {{"year": 2020}}'
            )
        if depth > self._limits.depth:
            raise QueryError(
                f"{path[:200]} is nested deeper than {self._limits.depth} levels; write it flatter"
            )
        groups: dict[str, tuple[Clause, ...]] = {}
        own: list[Clause] = []
        for name, value in where.items():
            if not isinstance(name, str) or not is_text(name):
                raise QueryError(f"{path} names a field {name!r}; names must be text")
            if name in _GROUPS:
                groups[name] = self._group(value, f"{path}.{name}", depth)
                continue
            self._count()
            own.append(FieldClause(name, self._conditions(value, f"{path}.{name}")))
        return Filter(
            (*own, *groups.get("must", ())), groups.get("should", ()), groups.get("must_not", ())
        )

    def _group(self, value: object, path: str, depth: int) -> tuple[Clause, ...]:
        if not isinstance(value, Sequence) or not is_list(value):
            raise QueryError(
                f"{path} is {named(value)}; it must be a list of clauses, and no field can be "
                "filtered by that name"
            )
        if not value and path.endswith(".should"):
            raise QueryError(f"{path} is empty, so nothing could hold; leave it out")
        clauses: list[Clause] = []
        for i, each in enumerate(value):
            clause = self.filter(each, f"{path}[{i}]", depth + 1)
            if not clause:
                raise QueryError(f"{path}[{i}] is empty; name a field, or leave it out")
            alone = len(clause.must) == 1 and not (clause.should or clause.must_not)
            clauses.append(clause.must[0] if alone else clause)
        return tuple(clauses)

    def _count(self) -> None:
        self._n_clauses += 1
        if self._n_clauses > self._limits.clauses:
            raise QueryError(
                f"the filter has more than {self._limits.clauses} clauses; put values of one field "
                "together with any"
            )

    def _conditions(self, value: object, path: str) -> tuple[Condition, ...]:
        if not isinstance(value, Mapping):
            if is_list(value):
                raise QueryError(f'{path} is a list; write {{"any": [...]}} for any of its values')
            return (self._any_of([value], path),)
        if not value:
            raise QueryError(f"{path} is empty; give {_SCALARS}, or {', '.join(_CONDITIONS)}")
        conditions: list[Condition] = []
        for name, each in value.items():
            place = f"{path}.{name}"
            if name == "any":
                conditions.append(self._any_of(_listed(each, place), place))
            elif name == "not":
                conditions.append(self._none_of(each, place))
            elif name == "exists":
                if not isinstance(each, bool):
                    raise QueryError(f"{place} is {named(each)}; it must be true or false")
                conditions.append(Exists(each))
            elif name not in _BOUNDS:
                raise QueryError(
                    f"{path} has the condition {name!r}; there are {', '.join(_CONDITIONS)}; "
                    "write a nested field by a name with dots"
                )
        bounds = {name: each for name, each in value.items() if name in _BOUNDS}
        if bounds:
            conditions.append(range_of(bounds, path))
        return tuple(conditions)

    def _none_of(self, value: object, path: str) -> NoneOf:
        if isinstance(value, Mapping):
            if set(value) != {"any"}:
                raise QueryError(f'{path} must be a value or {{"any": [...]}}')
            return NoneOf(self._any_of(_listed(value["any"], f"{path}.any"), f"{path}.any"))
        return NoneOf(self._any_of([value], path))

    def _any_of(self, values: Sequence[object], path: str) -> AnyOf:
        checked = tuple(_scalar(value, path) for value in values)
        self._n_values += len(checked)
        if self._n_values > self._limits.values:
            raise QueryError(f"the filter has more than {self._limits.values:,} values")
        return AnyOf(tuple(dict.fromkeys(key for v in checked for key in matching(v))), checked)


def range_of(bounds: Mapping[str, object], path: str) -> Range:
    """Read a range of `gte` or `gt`, and `lte` or `lt`.

    Raises:
        QueryError: a bound is neither number nor date, or bounds do not go together.
    """
    read = {name: bound_of(value, f"{path}.{name}") for name, value in bounds.items()}
    for pair in (("gte", "gt"), ("lte", "lt")):
        if set(pair) <= set(read):
            raise QueryError(f"{path} has both {pair[0]} and {pair[1]}; give one of them")
    if len({bound.is_time for bound in read.values()}) > 1:
        raise QueryError(f"{path} has a number and a date for bounds; give two of one kind")
    low = high = None
    low_open, high_open = "gt" in read, "lt" in read
    is_time = next(iter(read.values())).is_time
    for name, bound in read.items():
        if name in ("gte", "gt"):
            low = bound.last if name == "gt" and is_time else bound.first
        else:
            high = bound.last if name == "lte" and is_time else bound.first
    if is_time:  # a date is a span: after it is from its end on, up to it is until its end
        low_open, high_open = False, True
    given = tuple((name, bound.given) for name, bound in read.items())
    return Range(is_time, low, high, low_open, high_open, given)


def _listed(value: object, path: str) -> Sequence[object]:
    if not is_list(value) or not isinstance(value, Sequence):
        raise QueryError(f"{path} is {named(value)}; it must be a list of values")
    return value


def _scalar(value: object, path: str) -> Scalar | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if not is_text(value):
            raise QueryError(f"{path} holds half a surrogate pair, which is not text")
        return value
    if isinstance(value, int | float):
        return finite(value, path)
    raise QueryError(f"{path} is {named(value)}; it needs {_SCALARS}")
