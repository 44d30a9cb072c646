"""Vectors in JSON: objects of token to weight, read strictly.

What goes wrong is a ValueError whose text is part of a sentence; the caller knows the place.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

import orjson

__all__ = ["parse_object", "token_weights"]

_NUMBERS = {int, float}
_MOST = 2**1000
"""No weight is near it; what is above cannot become a float, or has become infinite."""


def parse_object(line: bytes) -> dict[str, object]:
    """The object that a line in UTF-8 is.

    Raises:
        ValueError: it is no JSON or another kind of value, or a key stands twice in an object.
    """
    record = _parse_fast(line)
    return _parse_strictly(line) if record is None else record


def token_weights(vector: object) -> Mapping[str, float]:
    """A value of a parsed object as token to weight. Signs and sizes are not looked at.

    Raises:
        ValueError: it is no object, or a weight is no number or has too many digits.
    """
    if not isinstance(vector, dict):
        raise ValueError(f"a vector must be an object of token to weight and is {_kind(vector)}")
    if not set(map(type, vector.values())) <= _NUMBERS:  # bool is a type of its own
        token, weight = next(pair for pair in vector.items() if type(pair[1]) not in _NUMBERS)
        raise ValueError(f"the weight of {token[:64]!r} must be a number and is {_kind(weight)}")
    if max(vector.values(), default=0) > _MOST or min(vector.values(), default=0) < -_MOST:
        token = next(token for token, weight in vector.items() if abs(weight) > _MOST)
        raise ValueError(f"the weight of {token[:64]!r} is not a number that float32 holds")
    return vector


def _parse_fast(line: bytes) -> dict[str, object] | None:
    """The object, when it is a plain one with all keys different; None otherwise.

    orjson takes a seventh of the time, but keeps the last of equal keys and does not say so. There
    is a colon for every pair that was written, besides those in strings: if the pairs and strings
    that came out account for all of them, no pair was dropped.
    """
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(record, dict) or b"\\u003" in line:  # an escaped colon would be miscounted
        return None
    n_colons = len(record) + "".join(record).count(":")
    for value in record.values():
        if isinstance(value, str):
            n_colons += value.count(":")
        elif isinstance(value, dict) and set(map(type, value.values())) <= _NUMBERS:
            n_colons += len(value) + "".join(value).count(":")
        elif value is not None and not isinstance(value, int):
            return None
    return record if n_colons == line.count(b":") else None


class _RepeatedKeyError(ValueError):
    pass


def _parse_strictly(line: bytes) -> dict[str, object]:
    try:
        record = _DECODER.decode(line.decode())
    except _RepeatedKeyError:
        raise
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} of the line is not UTF-8; convert it") from error
    except ValueError as error:
        raise ValueError(f"this is not valid JSON ({error})") from error
    except RecursionError as error:
        raise ValueError("this is JSON nested too deeply") from error
    if not isinstance(record, dict):
        raise ValueError(f"a JSON object is needed and this is {_kind(record)}")
    return record


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) != len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise _RepeatedKeyError(f"{twice[:64]!r} stands twice in one object; keep one of them")
    return record


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON value")


def _kind(value: object) -> str:
    if isinstance(value, str):
        return "text"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else "a number"


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)
