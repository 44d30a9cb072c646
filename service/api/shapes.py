"""Shapes of JSON that a description of the API names: filters, facets, orders, and any value.

The models of requests take these as plain objects, which the parsers of `lsr.retrieval` check and
complain about. Here is what they look like, for clients that are generated from the description.
"""

from __future__ import annotations

from typing import Any

from lsr.service.api.schemas.documents import BulkDocument

__all__ = ["SHAPES", "Schema", "write_shapes"]

Schema = dict[str, Any]

_REF = "#/components/schemas/"


def _ref(name: str) -> Schema:
    return {"$ref": _REF + name}


def _object(properties: Schema, required: list[str], **more: Any) -> Schema:
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, **({"required": required} if required else {}), **more}


def _any_of(*kinds: Schema) -> Schema:
    return {"anyOf": list(kinds)}


_TEXT, _NUMBER, _BOOLEAN = ({"type": kind} for kind in ("string", "number", "boolean"))
_BOUND = _any_of(_NUMBER, _TEXT)
_FIELD = {"type": "string", "description": "A metadata field; dots reach into objects."}

SHAPES: dict[str, Schema] = {
    "JsonValue": {
        "description": "Any value of JSON.",
        **_any_of(
            _TEXT,
            _NUMBER,
            _BOOLEAN,
            {"type": "null"},
            {"type": "array", "items": _ref("JsonValue")},
            {"type": "object", "additionalProperties": _ref("JsonValue")},
        ),
    },
    "Filter": {
        "description": "What documents must be: fields that all hold, or clauses.",
        **_any_of(_ref("FilterFields"), _ref("FilterClauses")),
    },
    "FilterFields": {
        "description": "Conditions by metadata field; all must hold.",
        "type": "object",
        "additionalProperties": _ref("FilterCondition"),
    },
    "FilterClauses": {
        "description": "All of `must` hold, one at least of `should`, none of `must_not`.",
        **_object(
            {
                name: {"type": "array", "items": _ref("Filter")}
                for name in ("must", "should", "must_not")
            },
            [],
            minProperties=1,
        ),
    },
    "FilterValue": {
        "description": "A value of a field; null: missing, null or empty.",
        **_any_of(_TEXT, _NUMBER, _BOOLEAN, {"type": "null"}),
    },
    "FilterCondition": {
        "description": "What a field must be.",
        **_any_of(
            _ref("FilterValue"),
            _ref("FilterAny"),
            _ref("FilterNot"),
            _ref("FilterRange"),
            _ref("FilterExists"),
        ),
    },
    "FilterAny": {
        "description": "One of these values.",
        **_object({"any": {"type": "array", "items": _ref("FilterValue")}}, ["any"]),
    },
    "FilterNot": {
        "description": "None of these values; the field may be missing.",
        **_object({"not": _any_of(_ref("FilterValue"), _ref("FilterAny"))}, ["not"]),
    },
    "FilterRange": {
        "description": "A number, or a date in ISO 8601, within these bounds.",
        **_object(dict.fromkeys(("gte", "gt", "lte", "lt"), _BOUND), [], minProperties=1),
    },
    "FilterExists": {
        "description": "Whether the field has a value.",
        **_object({"exists": _BOOLEAN}, ["exists"]),
    },
    "Facet": {
        "description": "A field whose values, or ranges of them, are counted.",
        **_any_of(
            _TEXT,
            _object(
                {
                    "field": _FIELD,
                    "limit": {"type": "integer", "minimum": 1, "maximum": 1_000},
                    "ranges": {"type": "array", "items": _ref("FacetBounds")},
                    "stats": _BOOLEAN,
                },
                ["field"],
            ),
        ),
    },
    "FacetBounds": {
        "description": "From a bound, which belongs to it, to before another.",
        **_object({"from": _BOUND, "to": _BOUND}, [], minProperties=1),
    },
    "SortKey": {
        "description": "A field to sort by, as `year:desc` or as an object.",
        **_any_of(
            _TEXT,
            _object(
                {
                    "field": _FIELD,
                    "order": {"enum": ["asc", "desc"]},
                    "missing": {"enum": ["first", "last"]},
                },
                ["field"],
            ),
        ),
    },
}
"""Schemas by name."""


_FIELDS = {"filter": "Filter", "facets": "Facet", "sort": "SortKey", "documents": "BulkDocument"}
"""Fields of requests that have one of the shapes wherever they are open, or a list of it."""


def write_shapes(description: Schema) -> None:
    """Put the shapes into a description of the API, where the models leave it open.

    Refusals that FastAPI describes as its own become the problems that they are.
    """
    schemas = description.setdefault("components", {}).setdefault("schemas", {})
    schemas.update({name: {"title": name, **schema} for name, schema in SHAPES.items()})
    bulk = BulkDocument.model_json_schema(ref_template=f"{_REF}{{model}}")
    schemas.update({**bulk.pop("$defs", {}), "BulkDocument": bulk})
    _shape(description)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)


def _shape(value: Any) -> None:
    if isinstance(value, list):
        for each in value:
            _shape(each)
    if not isinstance(value, dict):
        return
    for name, schema in value.get("properties", {}).items():
        if name in _FIELDS and isinstance(schema, dict):
            _shape_field(schema, _ref(_FIELDS[name]))
    if value.get("additionalProperties") is True:
        value["additionalProperties"] = _ref("JsonValue")
    if value.get("$ref") == _REF + "HTTPValidationError":
        value["$ref"] = _REF + "Problem"
    for key, each in value.items():
        if key not in ("example", "examples", "default"):
            _shape(each)


def _shape_field(schema: Schema, shape: Schema) -> None:
    """Give an open object, one that may be null, or a list of them, its shape."""
    if schema.get("type") == "array":
        if "$ref" not in schema.get("items", {}) or schema["items"] == _ref("JsonValue"):
            schema["items"] = shape
    elif schema.get("type") == "object":
        del schema["type"]
        schema.pop("additionalProperties", None)
        schema.update(shape)
    for part in schema.get("anyOf", ()):
        if part.get("type") == "object":
            part.clear()
            part.update(shape)
