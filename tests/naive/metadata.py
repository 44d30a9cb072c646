"""Plain twins of filters: a document's metadata against a filter, by dicts and lists."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["equal", "facet", "grouped", "order_key", "ordered", "passes", "values_of"]


def _named(metadata: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Every scalar with its dotted name; names of real keys are not taken by nested ones."""

    def below(value: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
        if isinstance(value, dict):
            return [pair for key, each in value.items() for pair in below(each, (*path, key))]
        if isinstance(value, list):
            return [pair for each in value for pair in below(each, path)]
        return [] if value is None else [(path, value)]

    return [
        (".".join(path), value)
        for path, value in below(dict(metadata), ())
        if len(path) == 1 or ".".join(path) not in metadata
    ]


def values_of(metadata: Mapping[str, Any], field: str) -> list[Any]:
    """The scalars of a field: lists by element, dotted names into objects unless one is real."""
    return [value for name, value in _named(metadata) if name == field]


def _written(text: str) -> Any:
    """What a text writes in JSON, if that is a number or a boolean."""
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", text, re.ASCII):
        number = json.loads(text)
        return None if number in (float("inf"), float("-inf")) else number
    return None


def equal(wanted: Any, stored: Any) -> bool:
    """The typing rule."""
    if isinstance(wanted, bool) and isinstance(stored, bool):
        return wanted is stored
    if isinstance(wanted, str) and isinstance(stored, str):
        return wanted == stored
    if isinstance(wanted, str):
        written = _written(wanted)
        return written is not None and equal(written, stored)
    if isinstance(stored, str):
        written = _written(stored)
        return written is not None and equal(wanted, written)
    return not isinstance(wanted, bool) and not isinstance(stored, bool) and wanted == stored


def _span(text: str) -> tuple[datetime, datetime] | None:
    try:
        if re.fullmatch(r"\d{4}-\d\d", text, re.ASCII):
            first = datetime.fromisoformat(f"{text}-01").replace(tzinfo=UTC)
            last = (first + timedelta(days=40)).replace(day=1)
            return first, last
        if not re.fullmatch(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?", text, re.ASCII):
            return None
        first = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    first = first if first.tzinfo else first.replace(tzinfo=UTC)
    if len(text) == 10:
        return first, first + timedelta(days=1)
    clock = re.split(r"[-+Z]", text[11:])[0]
    if "." in clock:
        return first, first + timedelta(microseconds=1)
    return first, first + timedelta(seconds=60 if clock.count(":") == 1 else 1)


def _within(value: Any, bounds: Mapping[str, Any]) -> bool:
    for name, bound in bounds.items():
        wanted = bound
        if isinstance(bound, str):
            wanted = _written(bound)
        if wanted is None:
            if not isinstance(value, str) or (stored := _span(value)) is None:
                return False
            span = _span(bound)
            assert span is not None
            at = stored[0]
            holds = {
                "gte": at >= span[0],
                "gt": at >= span[1],
                "lte": at < span[1],
                "lt": at < span[0],
            }
        else:
            at = _written(value) if isinstance(value, str) else value
            if at is None or isinstance(at, bool):
                return False
            holds = {
                "gte": at >= wanted,
                "gt": at > wanted,
                "lte": at <= wanted,
                "lt": at < wanted,
            }
        if not holds[name]:
            return False
    return True


def _meets(metadata: Mapping[str, Any], field: str, condition: Any) -> bool:
    values = values_of(metadata, field)
    if condition is None:
        return not _exists(metadata, field)
    if not isinstance(condition, dict):
        return any(equal(condition, value) for value in values)
    for name, wanted in condition.items():
        if name == "any":
            holds = any(_meets(metadata, field, each) for each in wanted)
        elif name == "not":
            holds = not _meets(metadata, field, wanted)
        elif name == "exists":
            holds = _exists(metadata, field) is wanted
        else:
            continue
        if not holds:
            return False
    bounds = {name: condition[name] for name in ("gte", "gt", "lte", "lt") if name in condition}
    return not bounds or any(_within(value, bounds) for value in values)


def _exists(metadata: Mapping[str, Any], field: str) -> bool:
    return any(name == field or name.startswith(f"{field}.") for name, _ in _named(metadata))


def passes(where: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
    """Whether a document passes a filter."""
    for name, value in where.items():
        if name == "must" and isinstance(value, list):
            holds = all(passes(each, metadata) for each in value)
        elif name == "should" and isinstance(value, list):
            holds = any(passes(each, metadata) for each in value)
        elif name == "must_not" and isinstance(value, list):
            holds = not any(passes(each, metadata) for each in value)
        else:
            holds = _meets(metadata, name, value)
        if not holds:
            return False
    return True


def order_key(value: Any) -> tuple[int, Any]:
    """Booleans, numbers and texts that write one, dates, other texts."""
    if isinstance(value, bool):
        return 0, value
    if isinstance(value, str):
        written = _written(value)
        if isinstance(written, bool) or written is None:
            span = _span(value)
            return (3, value) if span is None else (2, span[0])
        return 1, written
    return 1, value


def facet(
    documents: Sequence[Mapping[str, Any]], field: str, limit: int
) -> tuple[list[tuple[Any, int]], int, int]:
    """Values with counts, the number of different values, and of documents without one."""
    counts: dict[str, int] = {}
    for document in documents:
        for value in {_json(value) for value in values_of(document, field)}:
            counts[value] = counts.get(value, 0) + 1
    ordered = sorted(
        counts.items(),
        key=lambda pair: (-pair[1], order_key(json.loads(pair[0])), pair[0].encode()),
    )
    found = [(json.loads(value), count) for value, count in ordered[:limit]]
    return found, len(counts), sum(not _exists(document, field) for document in documents)


def _json(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


def ordered(
    documents: Sequence[Mapping[str, Any]],
    keys: Sequence[tuple[str, bool, bool]],
    scores: Sequence[float],
    ties: Sequence[int],
) -> list[int]:
    """Places of documents by keys of (field, descending, missing first), then score, then tie."""
    places = sorted(range(len(documents)), key=lambda i: (-scores[i], ties[i]))
    for field, descending, missing_first in reversed(keys):
        found = [
            [order_key(value) for value in values_of(document, field) if value != ""]
            for document in documents
        ]
        there = [i for i in places if found[i]]
        there.sort(key=lambda i: max(found[i]) if descending else min(found[i]), reverse=descending)
        if descending:  # equal ones keep their order
            there = [
                i
                for key in dict.fromkeys(max(found[i]) for i in there)
                for i in places
                if found[i] and max(found[i]) == key
            ]
        missing = [i for i in places if not found[i]]
        places = [*missing, *there] if missing_first else [*there, *missing]
    return places


def grouped(
    documents: Sequence[Mapping[str, Any]], field: str, ranked: Sequence[int]
) -> list[list[int]]:
    """Ranked places by the first value in JSON; those without one are alone."""
    groups: dict[object, list[int]] = {}
    for place in ranked:
        values = sorted((_json(v) for v in values_of(documents[place], field)), key=str.encode)
        groups.setdefault(values[0] if values else place, []).append(place)
    return list(groups.values())
