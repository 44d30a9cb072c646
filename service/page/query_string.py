"""`PageQuery`: what the address of a search page asks for, and addresses of pages near it.

A filter is written `f.field=value`, more than once for one value of several; `from.field=low` and
`to.field=high` are ranges, `sort=field:desc` is an order. A value that reads as a JSON number,
`true` or `false` is one; text that would be mistaken for one is written in quotes, as JSON.
`t.word=0` leaves a word of the query out, and `t.word=2` doubles its weight. What an address says
of the plan is in `plan_form`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import quote, urlencode

from starlette.datastructures import QueryParams

from lsr.errors import QueryError
from lsr.files import is_text
from lsr.retrieval.plan import MODES, Mode, SearchPlan
from lsr.service.page.plan_form import PagePlan

__all__ = ["Condition", "PageQuery", "Scalar", "filter_text", "filter_value", "values_of"]

Scalar = str | int | float | bool
Condition = Scalar | Mapping[str, Any]
_FILTER = "f."
_BOUNDS = {"from.": "gte", "to.": "lte"}
_FACTOR = "t."
_MOST_FACTOR = 100


@dataclass(frozen=True)
class PageQuery:
    """A search as its address says it.

    Attributes:
        plan: what differs from the collection's default.
        page: counts from 1.
        where: metadata that hits must have, as the REST API takes filters.
        sort: an order as the REST API takes it; empty for the best first.
        factors: what the weights of words are multiplied by, other than 1; 0 leaves a word out.
    """

    collection: str
    text: str = ""
    plan: PagePlan = field(default_factory=PagePlan)
    page: int = 1
    where: Mapping[str, Condition] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)
    sort: str = ""

    @classmethod
    def of(
        cls,
        collection: str,
        parameters: QueryParams,
        default: SearchPlan | None = None,
        modes: tuple[Mode, ...] = MODES,
    ) -> Self:
        """Read an address of a collection that has this default plan and these modes.

        Raises:
            QueryError: the page is not a number from 1 on, or a word's factor none up to 100.
        """
        page = parameters.get("page") or "1"
        if not (page.isascii() and page.isdigit() and len(page) < 10 and int(page) >= 1):
            raise QueryError(f"the page is {page[:32]!r}; it must be a number from 1 on")
        return cls(
            collection,
            parameters.get("q", ""),
            PagePlan.of(parameters, default or SearchPlan(), modes),
            int(page),
            _where(parameters),
            _factors(parameters),
            parameters.get("sort", ""),
        )

    @property
    def filters(self) -> list[tuple[str, str, str]]:
        """Of each value and each range: its field, itself, and the address without it."""
        found = []
        for name, condition in self.where.items():
            values, bounds = values_of(condition), _bounds_of(condition)
            for value in values:
                rest = [each for each in values if each is not value]
                without = self._address_with(name, _condition(rest, bounds))
                found.append((name, filter_text(value), without))
            if bounds:
                low, high = (filter_text(bounds.get(each, "")) for each in _BOUNDS.values())
                told = f"{low} – {high}" if low and high else f"from {low}" if low else f"to {high}"
                found.append((name, told, self._address_with(name, _condition(values, {}))))
        return found

    @property
    def address(self) -> str:
        """The path and query of this page."""
        return f"/c/{quote(self.collection, safe='')}{self._query}"

    @property
    def _query(self) -> str:
        pairs = [("q", self.text)] if self.text else []
        pairs += self.plan.pairs
        pairs += self.hidden
        pairs += [("page", str(self.page))] if self.page > 1 else []
        return f"?{urlencode(pairs)}" if pairs else ""

    @property
    def by_default(self) -> str:
        """The address of the same search by the collection's default plan, in the same mode."""
        return replace(self, page=1, plan=PagePlan(self.plan.mode)).address

    def turned_to(self, page: int) -> str:
        """The address of another page of the same search."""
        return replace(self, page=page).address

    def asking(self, text: str) -> str:
        """The address of a search for other words."""
        return replace(self, text=text, page=1, where={}, factors={}, sort="").address

    def meaning(self, text: str) -> str:
        """The address of the same search in other words."""
        return replace(self, text=text, page=1, factors={}).address

    @property
    def with_all_words(self) -> str:
        """The address of the same search with every word as it is written."""
        return replace(self, page=1, factors={}).address

    def narrowed_to(self, name: str, value: Scalar) -> str:
        """The address of the same search with one more filter."""
        return self._address_with(name, value)

    def weighing(self, word: str, factor: float) -> str:
        """The address of the same search with a word's weight multiplied; 1 leaves it as it is."""
        factors = {name: each for name, each in self.factors.items() if name != word}
        if factor != 1:
            factors[word] = factor
        return replace(self, page=1, factors=factors).address

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """Fields that a form carries along besides the query and the plan."""
        return self.narrowing + self.order

    @property
    def narrowing(self) -> list[tuple[str, str]]:
        """The filters, as an address names and writes them."""
        pairs = []
        for name, condition in self.where.items():
            pairs += [(_FILTER + name, filter_text(value)) for value in values_of(condition)]
            pairs += [
                (start + name, filter_text(_bounds_of(condition)[bound]))
                for start, bound in _BOUNDS.items()
                if bound in _bounds_of(condition)
            ]
        return pairs

    @property
    def order(self) -> list[tuple[str, str]]:
        """The same without filters, for the form that has those itself."""
        pairs = [("sort", self.sort)] if self.sort else []
        return pairs + [(_FACTOR + word, f"{factor:.15g}") for word, factor in self.factors.items()]

    def document(self, doc_id: str) -> str:
        """The address of a document; it keeps the search, to mark its words and to go back."""
        path = f"/c/{quote(self.collection, safe='')}/documents/{quote(doc_id, safe='')}"
        return path + self._query

    def bound(self, name: str, start: str) -> str:
        """A bound of a field's range as an address writes it; `start` is `from.` or `to.`."""
        bounds = _bounds_of(self.where.get(name, ""))
        return filter_text(bounds[_BOUNDS[start]]) if _BOUNDS[start] in bounds else ""

    def _address_with(self, name: str, condition: Condition | None) -> str:
        where = {**self.where}
        if condition is None:
            del where[name]
        else:
            where[name] = condition
        return replace(self, page=1, where=where).address


def values_of(condition: Condition) -> list[Scalar]:
    """The values of which a filter asks for one."""
    return list(condition.get("any", ())) if isinstance(condition, Mapping) else [condition]


def _bounds_of(condition: Condition) -> dict[str, Scalar]:
    if not isinstance(condition, Mapping):
        return {}
    return {name: condition[name] for name in _BOUNDS.values() if name in condition}


def _condition(values: Sequence[Scalar], bounds: Mapping[str, Scalar]) -> Condition | None:
    if len(values) == 1 and not bounds:
        return values[0]
    found = {**({"any": list(values)} if values else {}), **bounds}
    return found or None


def _where(parameters: QueryParams) -> dict[str, Condition]:
    """Filters of an address. A blank bound, as an empty field of a form sends it, is none."""
    values: dict[str, list[Scalar]] = {}
    bounds: dict[str, dict[str, Scalar]] = {}
    for key, text in parameters.multi_items():
        if key.startswith(_FILTER):
            values.setdefault(key.removeprefix(_FILTER), []).append(filter_value(text))
        for start, bound in _BOUNDS.items():
            if key.startswith(start) and text.strip():
                name = key.removeprefix(start)
                bounds.setdefault(name, {})[bound] = filter_value(text.strip())
    found = {
        name: _condition(values.get(name, ()), bounds.get(name, {})) for name in values | bounds
    }
    return {name: condition for name, condition in found.items() if condition is not None}


def _factors(parameters: QueryParams) -> dict[str, float]:
    factors = {}
    for key, value in parameters.items():
        if key.startswith(_FACTOR) and len(key) > len(_FACTOR):
            factors[key.removeprefix(_FACTOR)] = _factor(key, value)
    return {word: factor for word, factor in factors.items() if factor != 1}


def _factor(key: str, text: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not 0 <= factor <= _MOST_FACTOR:
        raise QueryError(
            f"{key[:64]} is {text[:32]!r}; it must be a number from 0, which leaves the word out, "
            f"to {_MOST_FACTOR}"
        )
    return factor


def filter_value(text: str) -> Scalar:
    """The scalar that a filter's text stands for."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, float) and not math.isfinite(value):
        return text
    if isinstance(value, str) and not is_text(value):
        return text  # no address holds it
    return value if isinstance(value, str | int | float) else text


def filter_text(value: Scalar) -> str:
    """The text that stands for a scalar: the inverse of `filter_value`."""
    if isinstance(value, str) and filter_value(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)
