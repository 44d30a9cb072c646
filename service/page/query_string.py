"""`PageQuery`: what the address of a search page asks for, and addresses of pages near it.

A filter is written `f.field=value`. A value that reads as a JSON number, `true` or `false` is one;
text that would be mistaken for one is written in quotes, as JSON. `t.word=0` leaves a word of the
query out, and `t.word=2` doubles its weight. What an address says of the plan is in `plan_form`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import quote, urlencode

from starlette.datastructures import QueryParams

from lsr.errors import QueryError
from lsr.files import is_text
from lsr.retrieval.plan import MODES, Mode, SearchPlan
from lsr.service.page.plan_form import PagePlan

__all__ = ["PageQuery", "Scalar", "filter_text", "filter_value"]

Scalar = str | int | float | bool
_FILTER = "f."
_FACTOR = "t."
_MOST_FACTOR = 100


@dataclass(frozen=True)
class PageQuery:
    """A search as its address says it.

    Attributes:
        plan: what differs from the collection's default.
        page: counts from 1.
        where: metadata values that hits must have.
        factors: what the weights of words are multiplied by, other than 1; 0 leaves a word out.
    """

    collection: str
    text: str = ""
    plan: PagePlan = field(default_factory=PagePlan)
    page: int = 1
    where: Mapping[str, Scalar] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)

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
        where = {
            key.removeprefix(_FILTER): filter_value(value)
            for key, value in parameters.items()
            if key.startswith(_FILTER)
        }
        return cls(
            collection,
            parameters.get("q", ""),
            PagePlan.of(parameters, default or SearchPlan(), modes),
            int(page),
            where,
            _factors(parameters),
        )

    @property
    def filters(self) -> list[tuple[str, str, str]]:
        """Of each filter: its field, its value, and the address without it."""
        return [
            (name, filter_text(value), self._address_with({**self.where}, without=name))
            for name, value in self.where.items()
        ]

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
        return replace(self, text=text, page=1, where={}, factors={}).address

    def meaning(self, text: str) -> str:
        """The address of the same search in other words."""
        return replace(self, text=text, page=1, factors={}).address

    def narrowed_to(self, name: str, value: Scalar) -> str:
        """The address of the same search with one more filter."""
        return self._address_with({**self.where, name: value})

    def weighing(self, word: str, factor: float) -> str:
        """The address of the same search with a word's weight multiplied; 1 leaves it as it is."""
        factors = {name: each for name, each in self.factors.items() if name != word}
        if factor != 1:
            factors[word] = factor
        return replace(self, page=1, factors=factors).address

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """What a form carries along besides the query and the plan."""
        pairs = [(_FILTER + name, filter_text(value)) for name, value in self.where.items()]
        return pairs + [(_FACTOR + word, f"{factor:.15g}") for word, factor in self.factors.items()]

    def document(self, doc_id: str) -> str:
        """The address of a document; it keeps the search, to mark its words and to go back."""
        path = f"/c/{quote(self.collection, safe='')}/documents/{quote(doc_id, safe='')}"
        return path + self._query

    def _address_with(self, where: dict[str, Scalar], without: str | None = None) -> str:
        if without is not None:
            del where[without]
        return replace(self, page=1, where=where).address


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
