"""Dataclasses made of JSON: what a newer service adds is passed over, what is missing is named."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from lsr.errors import ServiceError

__all__ = ["read_record"]

R = TypeVar("R")

_WHOLE = "raw"
"""A field of this name takes the JSON object as it came."""


def read_record(kind: type[R], value: object) -> R:
    """A dataclass of a JSON object, with what its fields hold.

    A field of the name `raw` is the object itself.

    Raises:
        ServiceError: the object lacks a field without default, or one is of another type.
    """
    return cast(R, _read(kind, value, kind.__name__))


@lru_cache(maxsize=256)
def _hints(kind: Hashable) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: Any, value: object, path: str) -> object:
    if kind is Any or kind is object:
        return value
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _choice(parts, value, path)
    if origin is Literal:
        return value if isinstance(value, str) else _refuse(path, "text", value)
    if origin is list:
        if not isinstance(value, list):
            return _refuse(path, "a list", value)
        return [_read(parts[0], each, f"{path}[{i}]") for i, each in enumerate(value)]
    if origin in (dict, Mapping):
        if not isinstance(value, dict):
            return _refuse(path, "an object", value)
        return {name: _read(parts[1], each, f"{path}.{name}") for name, each in value.items()}
    if is_dataclass(kind):
        return _record(kind, value, path)
    if kind is float and type(value) is int:
        return float(value)
    return value if type(value) is kind else _refuse(path, kind.__name__, value)


def _choice(kinds: tuple[Any, ...], value: object, path: str) -> object:
    if value is None and NoneType in kinds:
        return None
    others = [kind for kind in kinds if kind is not NoneType]
    if len(others) > 1:
        exact = next((kind for kind in others if type(value) is kind), None)
        return _read(exact or others[0], value, path)
    return _read(others[0], value, path)


def _record(kind: Any, value: object, path: str) -> object:
    if not isinstance(value, dict):
        return _refuse(path, "an object", value)
    hints = _hints(kind)
    given: dict[str, object] = {}
    for field in fields(kind):
        if field.name == _WHOLE:
            given[_WHOLE] = value
        elif field.name in value:
            given[field.name] = _read(hints[field.name], value[field.name], f"{path}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ServiceError(
                f"the answer lacks {path}.{field.name}; is the service of another version?"
            )
    return kind(**given)


def _refuse(path: str, wanted: str, value: object) -> object:
    raise ServiceError(
        f"the answer has {type(value).__name__} at {path}, where {wanted} belongs; is the service "
        "of another version?"
    )
