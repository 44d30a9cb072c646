"""Refinements of a search: facets, orders by field, groups, and a least score.

They are over the true matches of the query under its filter, not over a page of them. The parsers
read what REST and Python take: names, `"year:desc"`, or objects.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lsr.errors import QueryError
from lsr.retrieval.bounds import finite, is_list, named
from lsr.retrieval.filter import Range, range_of

__all__ = [
    "Collapse",
    "Facet",
    "Refinement",
    "SortKey",
    "parse_collapse",
    "parse_facets",
    "parse_min_score",
    "parse_sort",
]

MOST_FACETS = 20
MOST_VALUES = 1_000
MOST_RANGES = 100
MOST_SORT_KEYS = 8
MOST_INNER = 100
DEFAULT_VALUES = 10


@dataclass(frozen=True)
class Facet:
    """Counts of documents by a field's values, or by ranges of them.

    Attributes:
        limit: values listed at most, those with most documents first.
        ranges: from a bound, which belongs to it, to before another; values are not listed then.
        stats: whether to find the least and the greatest number.
    """

    field: str
    limit: int = DEFAULT_VALUES
    ranges: tuple[Range, ...] = ()
    stats: bool = False


@dataclass(frozen=True)
class SortKey:
    """A field to sort by. Of a list, the value counts that stands first in that order."""

    field: str
    descending: bool = False
    missing_first: bool = False


@dataclass(frozen=True)
class Collapse:
    """One hit for each value of a field, with up to `inner` further ones of that value."""

    field: str
    inner: int = 0


@dataclass(frozen=True)
class Refinement:
    """Everything that is asked of the matches of a search beyond the best of them.

    Facets, sort and count are over all that matches. So is collapse, but in a hybrid search, where
    it is over the candidates of the window.

    Attributes:
        min_score: hits with a lower score do not count; in a hybrid search, of the fused score.
        count: whether to count the matches.
    """

    facets: tuple[Facet, ...] = ()
    sort: tuple[SortKey, ...] = ()
    collapse: Collapse | None = None
    min_score: float | None = None
    count: bool = False

    @classmethod
    def of(
        cls,
        facets: object = (),
        sort: object = (),
        collapse: object = None,
        min_score: object = None,
        count: bool = False,
    ) -> Refinement:
        """Read all parts. Raises QueryError, which names the part and what belongs there."""
        if not (facets or sort or collapse is not None or min_score is not None or count):
            return _PLAIN
        return cls(
            parse_facets(facets),
            parse_sort(sort),
            parse_collapse(collapse),
            parse_min_score(min_score),
            count,
        )

    @property
    def is_plain(self) -> bool:
        """Whether nothing is asked."""
        return self is _PLAIN or self == _PLAIN

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that it names."""
        collapsed = (self.collapse.field,) if self.collapse else ()
        keys = (*(facet.field for facet in self.facets), *(key.field for key in self.sort))
        return (*keys, *collapsed)


_PLAIN = Refinement()


def parse_facets(given: object, path: str = "facets") -> tuple[Facet, ...]:
    """Read facets: names of fields, or objects with `field`, `limit`, `ranges` and `stats`.

    Raises:
        QueryError: names the place, and what belongs there.
    """
    return tuple(
        each if isinstance(each, Facet) else _facet(each, f"{path}[{i}]")
        for i, each in enumerate(_list(given, path, MOST_FACETS))
    )


def _facet(given: object, path: str) -> Facet:
    if isinstance(given, str):
        return Facet(given)
    parts = _object(given, path, ("field", "limit", "ranges", "stats"))
    limit = _whole(parts.get("limit", DEFAULT_VALUES), f"{path}.limit", 1, MOST_VALUES)
    stats = parts.get("stats", False)
    if not isinstance(stats, bool):
        raise QueryError(f"{path}.stats is {named(stats)}; it must be true or false")
    ranges = _list(parts.get("ranges", ()), f"{path}.ranges", MOST_RANGES)
    return Facet(
        _field(parts, path),
        limit,
        tuple(_bucket(each, f"{path}.ranges[{i}]") for i, each in enumerate(ranges)),
        stats,
    )


def _bucket(given: object, path: str) -> Range:
    parts = _object(given, path, ("from", "to"))
    bounds = {
        ("gte" if name == "from" else "lt"): each
        for name, each in parts.items()
        if each is not None
    }
    if not bounds:
        raise QueryError(f"{path} is without bounds; give from, to, or both")
    try:
        return range_of(bounds, path)
    except QueryError as error:
        said = str(error).replace(f"{path}.gte", f"{path}.from").replace(f"{path}.lt", f"{path}.to")
        raise QueryError(said) from error


def parse_sort(given: object, path: str = "sort") -> tuple[SortKey, ...]:
    """Read sort keys: `"year"`, `"year:desc"`, or objects with `field`, `order` and `missing`.

    Raises:
        QueryError: names the place, and what belongs there.
    """
    given = [given] if isinstance(given, str) else given
    return tuple(
        each if isinstance(each, SortKey) else _sort_key(each, f"{path}[{i}]")
        for i, each in enumerate(_list(given, path, MOST_SORT_KEYS))
    )


def _sort_key(given: object, path: str) -> SortKey:
    if isinstance(given, str):
        field, colon, order = given.rpartition(":")
        if not colon or order not in ("asc", "desc"):
            field, order = given, "asc"
        return SortKey(_field({"field": field}, path), order == "desc")
    parts = _object(given, path, ("field", "order", "missing"))
    for name, words in (("order", ("asc", "desc")), ("missing", ("first", "last"))):
        if parts.get(name, words[0]) not in words:
            raise QueryError(
                f"{path}.{name} is {named(parts[name])}; it must be {words[0]} or {words[1]}"
            )
    return SortKey(
        _field(parts, path), parts.get("order") == "desc", parts.get("missing") == "first"
    )


def parse_collapse(given: object, path: str = "collapse") -> Collapse | None:
    """Read a group: the name of a field, or an object with `field` and `inner`.

    Raises:
        QueryError: names the place, and what belongs there.
    """
    if given is None or isinstance(given, Collapse):
        return given
    if isinstance(given, str):
        return Collapse(_field({"field": given}, path))
    parts = _object(given, path, ("field", "inner"))
    inner = _whole(parts.get("inner", 0), f"{path}.inner", 0, MOST_INNER)
    return Collapse(_field(parts, path), inner)


def parse_min_score(given: object, path: str = "min_score") -> float | None:
    """Read a least score. Raises QueryError when it is no finite number."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise QueryError(f"{path} is {named(given)}; it must be a number")
    try:
        return float(finite(given, path))
    except OverflowError:
        return math.copysign(math.inf, given)


def _list(given: object, path: str, most: int) -> Sequence[object]:
    if given is None:
        return ()
    if not is_list(given) or not isinstance(given, Sequence):
        raise QueryError(f"{path} is {named(given)}; it must be a list")
    if len(given) > most:
        raise QueryError(f"{path} has {len(given):,} entries; give at most {most}")
    return given


def _object(given: object, path: str, known: tuple[str, ...]) -> Mapping[str, object]:
    if not isinstance(given, Mapping):
        raise QueryError(f"{path} is {named(given)}; it must be text or an object")
    for name in given:
        if name not in known:
            raise QueryError(f"{path} has {name!r}; there are {', '.join(known)}")
    return given


def _field(parts: Mapping[str, object], path: str) -> str:
    field = parts.get("field")
    if not isinstance(field, str) or not field:
        raise QueryError(f"{path}.field is {named(field)}; it must be the name of a field")
    return field


def _whole(given: object, path: str, low: int, high: int) -> int:
    if isinstance(given, bool) or not isinstance(given, int | float) or not low <= given <= high:
        raise QueryError(f"{path} is {named(given)}; it must be from {low} to {high:,}")
    if given != int(given):
        raise QueryError(f"{path} is {named(given)}; it must be a whole number")
    return int(given)
