"""`FieldTypes`: the types that a collection's metadata fields must have, as its maker said."""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.errors import IndexCorruptError, InputError, StorageError
from lsr.files import read_signed, signed, write_atomically
from lsr.index.collection.reader import CollectionReader

__all__ = ["FIELDS_FILE", "FIELD_TYPES", "FieldTypes", "field_kinds", "type_of"]

FIELDS_FILE = "fields.json"
FIELD_TYPES = ("text", "number", "boolean", "date")

_FIRST_BYTES = (
    (b'"', b"#", "text"),
    (b"-", b":", "number"),
    (b"f", b"g", "boolean"),
    (b"t", b"u", "boolean"),
)
_NAME_CHARACTERS = 256
_MOST = 1_000
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?"
)


@dataclass(frozen=True)
class FieldTypes:
    """Types by field. A field that is not named may hold anything.

    A date is text, such as `2026-11-30` or `2026-11-30T21:00:00Z`. A list holds values of the type,
    and null stands for no value.
    """

    types: Mapping[str, str]

    @classmethod
    def of(cls, types: Mapping[str, str]) -> FieldTypes:
        """Check the types that somebody wants.

        Raises:
            InputError: an unknown type, a name that is none, or too many.
        """
        if len(types) > _MOST:
            raise InputError(f"{len(types):,} fields have types; give types to at most {_MOST:,}")
        for name, kind in types.items():
            if not 1 <= len(name) <= _NAME_CHARACTERS:
                raise InputError(
                    f"a field cannot be named {name[:80]!r}; use 1 to {_NAME_CHARACTERS} characters"
                )
            if kind not in FIELD_TYPES:
                raise InputError(
                    f"the field {name!r} has the type {str(kind)[:80]!r}; choose "
                    f"{', '.join(FIELD_TYPES)}"
                )
        return cls(dict(types))

    @classmethod
    def read(cls, collection: Path) -> FieldTypes:
        """The types of a collection; none where nobody gave any.

        Raises:
            IndexCorruptError: the file is not what was written.
        """
        path = collection / FIELDS_FILE
        try:
            content, is_intact = read_signed(path.read_bytes())
            if not is_intact:
                raise ValueError("its checksum differs")
            return cls.of(content["fields"])
        except (FileNotFoundError, NotADirectoryError):
            return cls({})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
            raise IndexCorruptError(f"{path} is damaged ({error}); restore it") from error

    def save(self, collection: Path) -> None:
        """Write them into a collection's folder, if there are any. Raises StorageError."""
        if not self.types:
            return
        path = collection / FIELDS_FILE
        try:
            write_atomically(path, signed({"fields": dict(self.types)}))
        except OSError as error:
            raise StorageError(f"{path} cannot be written ({error.strerror})") from error

    def check(self, metadata: Mapping[str, object]) -> None:
        """Compare a document's metadata with the types.

        Raises:
            InputError: a field has a value of another type; says which.
        """
        for name, wanted in self.types.items():
            values = metadata.get(name)
            for value in values if isinstance(values, list) else [values]:
                if value is not None and not _is(value, wanted):
                    raise InputError(
                        f"metadata.{name} is {json.dumps(value)[:60]}, and this collection's field "
                        f"{name!r} is of type {wanted}"
                    )


def type_of(value: object) -> str:
    """The type of a metadata value: text, number, boolean, or object for all others."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "object"


def field_kinds(
    reader: CollectionReader, rows: NDArray[np.bool_] | None = None
) -> dict[str, set[str]]:
    """The types of the values that each metadata field has, those of deleted documents included.

    Args:
        rows: mask of the documents that count, shape (n_rows,); None for all.
    """
    found: dict[str, set[str]] = {}
    for segment, own in reader.metadata.parts():
        for name in segment.fields:
            column = segment.column(name)
            values = column.values  # ascending, in canonical JSON
            counts = None if rows is None else column.counts(rows[own])
            for first, end, kind in _FIRST_BYTES:
                place = slice(bisect_left(values, first), bisect_left(values, end))
                if place.start < place.stop and (counts is None or counts[place].any()):
                    found.setdefault(name, set()).add(kind)
            if rows is None:
                found.setdefault(name, set())
    return found


def _is(value: object, wanted: str) -> bool:
    if wanted == "date":
        return isinstance(value, str) and _DATE.fullmatch(value) is not None
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return type_of(value) == wanted
