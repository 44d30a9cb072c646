"""Documents of a collection in order of their ids, page by page; and all of them as a stream."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError, QueryError
from lsr.index.collection.reader import CollectionReader
from lsr.retrieval.filter import Filter
from lsr.types import Document

__all__ = ["Page", "exported", "list_documents", "matching_ids", "picked"]

_ROWS_AT_ONCE = 500

_FIELDS = ("title", "text", "metadata")


@dataclass(frozen=True)
class Page:
    """Some documents with their versions, and where the next page begins; None at the end."""

    documents: list[tuple[Document, int]]
    cursor: str | None


def list_documents(
    reader: CollectionReader,
    limit: int,
    cursor: str | None = None,
    where: Mapping[str, object] | Filter | None = None,
) -> Page:
    """A page of documents, ordered by doc_id.

    Args:
        limit: most documents.
        cursor: of the page before.
        where: a filter that all must pass.

    Raises:
        InputError: the cursor is not one of ours.
        QueryError: the filter does not fit the collection.
    """
    alive = np.zeros(reader.segment.n_rows, bool)
    alive[_rows(reader, where)] = True
    by_id = np.empty(reader.segment.n_rows, np.int32)
    by_id[reader.segment.tie_order] = np.arange(reader.segment.n_rows, dtype=np.int32)
    by_id = by_id[alive[by_id]]
    start = 0 if cursor is None else _first_after(reader, by_id, _decoded(cursor))
    rows = by_id[start : start + limit]
    documents = reader.store.stored(rows.tolist())
    more = start + limit < len(by_id)
    return Page(documents, _encoded(documents[-1][0].doc_id) if more and documents else None)


def matching_ids(
    reader: CollectionReader, where: Mapping[str, object] | Filter
) -> Iterator[list[tuple[str, int]]]:
    """Ids and versions of the documents that pass a filter, in batches. Raises QueryError."""
    rows = _rows(reader, where)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        stored = reader.store.stored(rows[start : start + _ROWS_AT_ONCE].tolist())
        yield [(document.doc_id, version) for document, version in stored]


def exported(
    reader: CollectionReader, where: Mapping[str, object] | Filter | None = None
) -> Iterator[bytes]:
    """Every document of one state as a line of JSON, in parts of several lines.

    Args:
        where: a filter that all must pass.
    """
    rows = _rows(reader, where)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        stored = reader.store.stored(rows[start : start + _ROWS_AT_ONCE].tolist())
        lines = (_line(document, version) for document, version in stored)
        yield "".join(lines).encode()


def picked(document: Document, version: int, fields: Sequence[str] | None) -> dict[str, object]:
    """A document as an answer has it, with all fields or those that are named.

    Raises:
        InputError: a field is none of title, text, metadata, or metadata.NAME.
    """
    whole = {"title": document.title, "text": document.text, "metadata": dict(document.metadata)}
    if fields is None:
        return {"doc_id": document.doc_id, **whole, "version": version}
    found: dict[str, object] = {"doc_id": document.doc_id}
    metadata: dict[str, object] = {}
    for name in fields:
        if name in _FIELDS:
            found[name] = whole[name]
        elif name.startswith("metadata."):
            inner = name.removeprefix("metadata.")
            if inner in document.metadata:
                metadata[inner] = document.metadata[inner]
            found.setdefault("metadata", metadata)
        else:
            raise InputError(
                f"there is no field {name[:80]!r}; choose title, text, metadata or metadata.NAME"
            )
    return {**found, "version": version}


def _line(document: Document, version: int) -> str:
    return json.dumps(picked(document, version, None), ensure_ascii=False) + "\n"


def _rows(
    reader: CollectionReader, where: Mapping[str, object] | Filter | None
) -> NDArray[np.int32]:
    rows = reader.live_rows()
    return rows[reader.metadata.mask(where)[rows]] if where else rows


def _first_after(reader: CollectionReader, by_id: NDArray[np.int32], doc_id: str) -> int:
    """The place of the first document whose id comes after `doc_id`."""
    low, high = 0, len(by_id)
    while low < high:
        middle = (low + high) // 2
        (found,) = reader.segment.doc_ids(by_id[middle : middle + 1])
        if found <= doc_id:
            low = middle + 1
        else:
            high = middle
    return low


def _encoded(doc_id: str) -> str:
    return base64.urlsafe_b64encode(doc_id.encode()).decode().rstrip("=")


def _decoded(cursor: str) -> str:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return base64.b64decode(padded, b"-_", validate=True).decode("utf-8")
    except ValueError as error:
        raise QueryError(
            f"the cursor {cursor[:40]!r} is not one of an answer; begin without one"
        ) from error
