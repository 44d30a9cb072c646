"""`Operation`: one change of one document, and the answer to it; how it lies in the log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lsr.errors import InputError
from lsr.files import is_text
from lsr.types import Document

__all__ = [
    "Kind",
    "Operation",
    "Status",
    "Stored",
    "Written",
    "body_of",
    "checked",
    "document_of",
    "patched",
]

Kind = Literal["put", "delete", "patch"]
Status = Literal["created", "replaced", "deleted", "missing", "conflict", "invalid"]

_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_PATCHED = ("title", "text", "metadata")


@dataclass(frozen=True)
class Operation:
    """A change of one document.

    Attributes:
        kind: put a document, delete it, or change some of its fields.
        document: the new one, of a put.
        fields: of a patch: any of title, text and metadata; metadata is merged field by field,
            and null removes a field.
        sparse: the document's weight of each term, where it was encoded elsewhere.
        dense: its dense vector, likewise; brought to unit length where cosines are compared.
        if_version: what the document's version must be; 0: it must not be there.
    """

    kind: Kind
    doc_id: str
    document: Document | None = None
    fields: Mapping[str, object] | None = None
    sparse: Mapping[str, float] | None = None
    dense: Sequence[float] | None = None
    if_version: int | None = None

    @classmethod
    def put(cls, document: Document, if_version: int | None = None) -> Operation:
        """The document, new or in place of an older version."""
        return cls("put", document.doc_id, document, if_version=if_version)

    @classmethod
    def delete(cls, doc_id: str, if_version: int | None = None) -> Operation:
        """No document of this id any more."""
        return cls("delete", doc_id, if_version=if_version)


@dataclass(frozen=True)
class Written:
    """Outcome of an operation.

    Attributes:
        status: `missing`: there was nothing to delete or change; `conflict`: the version was
            another; `invalid`: it cannot be done, and `error` says why. These change nothing.
        version: of the document as it is now; 0 where there is none.
        seq: the operation's number in the log, or, where nothing changed, the last one before it.
    """

    doc_id: str
    status: Status
    version: int
    seq: int
    error: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether the collection is as the operation wanted it."""
        return self.status in ("created", "replaced", "deleted")


@dataclass(frozen=True)
class Stored:
    """A document as it was last written, and its version: the number of that operation."""

    document: Document
    version: int


def checked(operation: Operation) -> bytes | None:
    """The body of a document that is put, None of other operations.

    Raises:
        InputError: no collection could carry it out: an id, a text or metadata cannot be kept, or
            a vector is not one.
    """
    if not operation.doc_id or not is_text(operation.doc_id):
        raise InputError(f"the doc_id {operation.doc_id[:64]!r} is empty or is not text")
    body: bytes | None = None
    if operation.kind == "put":
        if operation.document is None or operation.document.doc_id != operation.doc_id:
            raise InputError(f"document {operation.doc_id!r} is missing from the operation")
        body = body_of(operation.document)
    elif operation.kind == "patch":
        _check_fields(operation)
    most = float(np.finfo(np.float32).max)
    for term, weight in (operation.sparse or {}).items():
        if not is_text(term) or not 0 < weight <= most:
            raise InputError(f"the weight of {term[:64]!r} must be above 0 and finite")
    if operation.dense is not None:
        dense = np.array(operation.dense, float)
        if not (np.abs(dense) <= most).all():
            raise InputError("the dense vector holds a number that is not finite")
    return body


def _check_fields(operation: Operation) -> None:
    fields = operation.fields or {}
    for name, value in fields.items():
        if name not in _PATCHED:
            raise InputError(f"a document has no field {name[:64]!r}; there are: {_PATCHED}")
        if not isinstance(value, Mapping if name == "metadata" else str):
            kind = "an object" if name == "metadata" else "text"
            raise InputError(f"{name} must be {kind}")
    body_of(patched(Document(operation.doc_id, ""), fields))


def body_of(document: Document) -> bytes:
    """A document without its id as JSON in UTF-8.

    Raises:
        InputError: title or text is no text, or JSON cannot hold the metadata.
    """
    doc_id = document.doc_id
    for name in ("title", "text"):
        if not isinstance(getattr(document, name), str):
            raise InputError(f"{name} of document {doc_id!r} must be text")
    metadata = dict(document.metadata)
    if not all(isinstance(field, str) for field in metadata):
        raise InputError(f"metadata of document {doc_id!r} has a field whose name is not text")
    content = {"title": document.title, "text": document.text, "metadata": metadata}
    try:
        return _JSON.encode(content).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"document {doc_id!r} holds half a surrogate pair, which is not text"
        ) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"metadata of document {doc_id!r} cannot be kept as JSON: {error}"
        ) from error


def document_of(doc_id: str, body: bytes) -> Document:
    """The document that `body_of` wrote of this id."""
    content: dict[str, Any] = json.loads(body.decode())
    return Document(doc_id, content["text"], content["title"], content["metadata"])


def patched(document: Document, fields: Mapping[str, Any]) -> Document:
    """The document with some fields changed; see `Operation.fields`."""
    metadata = dict(document.metadata) | dict(fields.get("metadata", {}))
    kept = {name: value for name, value in metadata.items() if value is not None}
    text, title = fields.get("text", document.text), fields.get("title", document.title)
    return Document(document.doc_id, text, title, kept)
