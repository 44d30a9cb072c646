"""Filters, facets, orders and groups over the wire.

The schemas check shape and type; `lsr.retrieval.filter` and `lsr.retrieval.refinement` read them
further, and their sentences name the place that is wrong.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

__all__ = [
    "Bound",
    "CollapseField",
    "CollapsedHits",
    "FacetAnswer",
    "FacetField",
    "FacetFields",
    "FacetRangeCount",
    "FacetRangeField",
    "FacetValueCount",
    "FilterFields",
    "SortField",
    "SortFields",
]

_FORBIDDING = ConfigDict(extra="forbid", strict=True, populate_by_name=True)
_SCALAR = {"anyOf": [{"type": kind} for kind in ("string", "number", "boolean", "null")]}
_BOUND = {"anyOf": [{"type": kind} for kind in ("number", "string")]}
_VALUES = {"type": "array", "items": _SCALAR}
_CONDITION = {
    "anyOf": [
        *_SCALAR["anyOf"],
        {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {
                "any": _VALUES,
                "not": {
                    "anyOf": [
                        *_SCALAR["anyOf"],
                        {
                            "type": "object",
                            "required": ["any"],
                            "additionalProperties": False,
                            "properties": {"any": _VALUES},
                        },
                    ]
                },
                "exists": {"type": "boolean"},
                **dict.fromkeys(("gte", "gt", "lte", "lt"), _BOUND),
            },
        },
    ]
}
_CLAUSES = {
    "type": "array",
    "items": {"type": "object", "minProperties": 1, "additionalProperties": True},
}
_FILTER = {
    "type": "object",
    "properties": dict.fromkeys(("must", "should", "must_not"), _CLAUSES),
    "additionalProperties": _CONDITION,
}

Bound = Annotated[JsonValue, WithJsonSchema(_BOUND)]
"""A number, or a text that writes one or an ISO 8601 date."""

FilterFields = Annotated[dict[str, JsonValue], WithJsonSchema(_FILTER)]
"""A filter as `lsr.retrieval.filter.parse_filter` reads it."""


class FacetRangeField(BaseModel):
    """A range of a facet."""

    model_config = _FORBIDDING

    low: Bound | None = Field(
        default=None, alias="from", description="Its first number or date; none: from below."
    )
    high: Bound | None = Field(
        default=None, alias="to", description="Where it ends: the bound itself is outside."
    )


class FacetField(BaseModel):
    """Counts of documents by a field's values, or by ranges of them."""

    model_config = _FORBIDDING

    field: str = Field(description="The field; nested ones with dots.", examples=["lang"])
    limit: int = Field(
        default=10,
        description="Values listed at most, those of most documents first.",
        json_schema_extra={"minimum": 1, "maximum": 1_000},
    )
    ranges: list[FacetRangeField] = Field(
        default_factory=list,
        description="Ranges to count in place of values.",
        json_schema_extra={"maxItems": 100},
    )
    stats: bool = Field(default=False, description="Whether to find the least and greatest number.")


class SortField(BaseModel):
    """A field to sort by."""

    model_config = _FORBIDDING

    field: str = Field(description="The field; nested ones with dots.", examples=["year"])
    order: Literal["asc", "desc"] = Field(default="asc", description="Which end comes first.")
    missing: Literal["first", "last"] = Field(
        default="last", description="Where documents without a value stand."
    )


class CollapseField(BaseModel):
    """One hit for each value of a field."""

    model_config = _FORBIDDING

    field: str = Field(description="The field; nested ones with dots.", examples=["parent_id"])
    inner: int = Field(
        default=0,
        description="Further hits of the same value to give with the best.",
        json_schema_extra={"minimum": 0, "maximum": 100},
    )


FacetFields = Annotated[
    list[str | FacetField], Field(json_schema_extra={"maxItems": 20}, examples=[["lang"]])
]
"""Facets: names of fields, or objects."""

SortFields = Annotated[
    list[str | SortField], Field(json_schema_extra={"maxItems": 8}, examples=[["year:desc"]])
]
"""Sort keys, the first first: `field`, `field:desc`, or objects."""


class FacetValueCount(BaseModel):
    """A value, and how many matching documents have it."""

    value: Any = Field(description="Text, number or boolean.", examples=["en"])
    count: int = Field(description="Documents.", examples=[12])


class FacetRangeCount(BaseModel):
    """A range, and how many matching documents have a value in it."""

    model_config = ConfigDict(populate_by_name=True)

    low: Any = Field(alias="from", description="As it was asked for, or null.")
    high: Any = Field(alias="to", description="As it was asked for, or null.")
    count: int = Field(description="Documents.")


class FacetAnswer(BaseModel):
    """Counts of the documents that match, by a field."""

    field: str = Field(description="The field.")
    values: list[FacetValueCount] = Field(description="Most documents first, then by value.")
    ranges: list[FacetRangeCount] = Field(description="In the order asked for.")
    n_values: int = Field(description="Different values among the matching documents.")
    n_missing: int = Field(description="Matching documents without a value.")
    least: int | float | None = Field(description="Of the numbers, if stats were asked for.")
    greatest: int | float | None = Field(description="Likewise.")


class CollapsedHits(BaseModel):
    """Hits of one value, of which the best stands for all; `hits` are of the type of hits."""

    value: Any = Field(description="The value; null for a document without one.")
    n_hits: int = Field(description="Hits with this value, the best included.")
    hits: list[dict[str, Any]] = Field(description="Those after the best.")
