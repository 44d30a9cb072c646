"""`Call`: a request to be sent, and how its answer is read. Nothing here sends anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from lsr.client.records import read_record
from lsr.errors import InputError, ServiceError

__all__ = [
    "JSON",
    "NDJSON",
    "TAR",
    "Call",
    "Flow",
    "Pause",
    "RawAnswer",
    "part",
    "record",
    "to_json",
]

JSON = "application/json"
NDJSON = "application/x-ndjson"
TAR = "application/x-tar"

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class RawAnswer:
    """An answer as it came: status, headers by their names in lower case, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body read as JSON. Raises ServiceError when it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise ServiceError(
                f"the answer (status {self.status}) is not JSON; is there an lsr service at this "
                "address?"
            ) from error


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request.

    Attributes:
        path: quoted, from the service's root.
        read: makes the result of an answer that is no problem.
        params: those that are None are left out.
        content: the body; None for none.
        upload: a file that is the body.
        repeatable: whether sending it twice does no harm.
    """

    method: str
    path: str
    read: Callable[[RawAnswer], T]
    params: Mapping[str, str | int | None] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    upload: Path | None = None
    repeatable: bool = False


@dataclass(frozen=True)
class Pause:
    """A wait of some seconds between two requests."""

    seconds: float


Flow = Generator["Call[Any] | Pause", Any, T]
"""Requests and pauses in a row, each decided by the answers before; ends with a result."""


def part(text: str) -> str:
    """One part of a path. Raises InputError when a name is no text."""
    try:
        quoted = quote(text, safe="")
    except UnicodeEncodeError as error:
        raise InputError(f"{text[:64]!r} is not text that UTF-8 can hold") from error
    return quoted.replace(".", "%2E") if set(text) == {"."} else quoted


def record(kind: type[R]) -> Callable[[RawAnswer], R]:
    """A reader of answers that are one JSON object."""
    return lambda answer: read_record(kind, answer.json())


def to_json(value: object) -> bytes:
    """A body in JSON. Raises InputError when a value has no place in JSON."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"this cannot be sent as JSON: {error}") from error
