"""`FacetPanel`: fields of the documents found, as a form that narrows and orders them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsr.retrieval.answer import FacetCounts
from lsr.retrieval.scalar import instants
from lsr.service.page.query_string import PageQuery, Scalar, filter_text, values_of

__all__ = ["MOST_VALUES", "FacetField", "FacetPanel", "facet_panel"]

MOST_VALUES = 8
"""Values of a field that are listed; numbers and dates with more become a range."""


@dataclass(frozen=True)
class FacetField:
    """A field: values with the number of documents each would give, or the bounds of a range.

    Attributes:
        values: of each, as an address writes it, as it is read, its count, and whether it is
            chosen. Empty for a range.
        low, high: bounds in the address.
        least, greatest: of the documents found, as hints; empty where they are unknown.
        n_more: values that are not listed.
    """

    name: str
    values: list[tuple[str, str, int, bool]]
    is_range: bool
    low: str
    high: str
    least: str
    greatest: str
    n_more: int


@dataclass(frozen=True)
class FacetPanel:
    """The form. `orders` are values of `sort` with their names; `carried` is sent along."""

    fields: list[FacetField]
    orders: list[tuple[str, str]]
    order: str
    carried: list[tuple[str, str]]
    is_used: bool


def facet_panel(query: PageQuery, facets: Sequence[FacetCounts]) -> FacetPanel | None:
    """View of counts; None where no field tells documents apart."""
    fields = [field for facet in facets if (field := _field(query, facet)) is not None]
    orders = []
    for facet in facets:
        if facet.n_values > 1 and _has_order(facet):
            orders += [
                (f"{facet.field}:asc", f"{facet.field}, lowest first"),
                (f"{facet.field}:desc", f"{facet.field}, highest first"),
            ]
    if query.sort and query.sort not in dict(orders):
        orders.append((query.sort, query.sort))
    if not fields and not orders:
        return None
    carried = [("q", query.text), *query.plan.pairs]
    carried += [(name, value) for name, value in query.order if name != "sort"]
    used = bool(query.where or query.sort)
    return FacetPanel(fields, orders, query.sort, carried, used)


def _field(query: PageQuery, facet: FacetCounts) -> FacetField | None:
    condition = query.where.get(facet.field)
    chosen = [] if condition is None else values_of(condition)
    low, high = (query.bound(facet.field, start) for start in ("from.", "to."))
    is_range = not chosen and _has_order(facet) and (facet.n_values > MOST_VALUES or low or high)
    told = facet.n_values > 1 and bool(facet.values) and facet.values[0].count > 1
    if not (is_range or told or chosen):
        return None
    values = []
    if not is_range:
        counts = {filter_text(each.value): each for each in facet.values}
        for value in chosen:
            text = filter_text(value)
            if text not in counts:
                values.append((text, _spoken(value), 0, True))
        values += [
            (text, _spoken(each.value), each.count, each.value in chosen)
            for text, each in counts.items()
        ]
    return FacetField(
        facet.field,
        values,
        bool(is_range),
        low,
        high,
        "" if facet.least is None else f"{facet.least:g}",
        "" if facet.greatest is None else f"{facet.greatest:g}",
        0 if is_range else max(0, facet.n_values - len(facet.values)),
    )


def _has_order(facet: FacetCounts) -> bool:
    """Whether values are numbers or dates."""
    if facet.least is not None:
        return True
    texts = [each.value for each in facet.values if isinstance(each.value, str)]
    return bool(texts) and all(instants(text) is not None for text in texts)


def _spoken(value: Scalar) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if str(value).strip() else "(empty)"
