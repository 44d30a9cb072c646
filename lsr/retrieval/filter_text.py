"""Filters as people write them on a command line.

    year=2020    year!=2020    lang=en|de    year>=2019    price<9.90    !draft    author.name=Kim

Words are taken as they are written: `year=2020` finds the number and the text (see
`lsr.retrieval.scalar`), `zip=01234` finds the text "01234" alone. In quotes, as JSON, a value may
hold `|`. `null` is a field that is missing. A JSON object is a filter of the REST API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from lsr.errors import QueryError
from lsr.retrieval.filter import Filter, parse_filter

__all__ = ["filter_from_texts"]

_OPERATORS = {"=": "any", "!=": "not", ">=": "gte", ">": "gt", "<=": "lte", "<": "lt"}
_PARTS = re.compile(r"([^=<>!]+?)\s*(!=|>=|<=|=|<|>)\s*(.*)", re.DOTALL)
_VALUE = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^|]*?)\s*(?:\||\Z)', re.DOTALL)


def filter_from_texts(texts: Sequence[str]) -> Filter:
    """Read filters that must all hold, each written as above.

    Raises:
        QueryError: names the text, and what is wrong with it.
    """
    parts = tuple(_filter(text) for text in texts)
    return parts[0] if len(parts) == 1 else Filter(must=parts)


def _filter(text: str) -> Filter:
    if text.lstrip().startswith("{"):
        return parse_filter(_object(text))
    if text.startswith("!") and not _PARTS.fullmatch(text[1:]) and text[1:].strip():
        return parse_filter({text[1:].strip(): {"not": True}})
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise QueryError(
            f"{text!r} is not a filter; write field=value, field!=value, field>=value, !field, or "
            "a JSON object"
        )
    field, operator, value = parts.groups()
    condition = _OPERATORS[operator]
    values = _values(value)
    if condition in ("any", "not"):
        any_of = {"any": values}
        return parse_filter({field: any_of if condition == "any" else {"not": any_of}})
    if len(values) != 1:
        raise QueryError(f"the filter {text!r} compares with several values; give one")
    return parse_filter({field: {condition: values[0]}})


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text, parse_constant=_no_number)
    except RecursionError as error:
        raise QueryError("the filter is nested too deep; write it flatter") from error
    except ValueError as error:
        raise QueryError(f"the filter {text[:80]!r} is no JSON object: {error}") from error
    if not isinstance(value, dict):
        raise QueryError(f"the filter {text[:80]!r} is no JSON object")
    return value


def _no_number(word: str) -> object:
    raise ValueError(f"{word} is no number of JSON")


def _values(text: str) -> list[str | None]:
    """The values between bars; quoted ones as JSON texts."""
    values: list[str | None] = []
    place = 0
    while True:
        found = _VALUE.match(text, place)
        if found is None:
            return [text]  # a quote that does not end, or something after it: a text as it stands
        word = found.group(1)
        values.append(None if word == "null" else _text(word))
        place = found.end()
        if not found.group().endswith("|"):
            return values
        if place == len(text):
            return [*values, ""]


def _text(word: str) -> str:
    if len(word) > 1 and word[0] == word[-1] == '"':
        try:
            value: str = json.loads(word)
        except ValueError:
            return word
        return value
    return word
