"""Documents as they come in: JSON read exactly, checked, and made operations of the log."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import orjson

from lsr.errors import ConflictError, InputError, NotFoundError
from lsr.files import is_text
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.operation import Operation
from lsr.service.collections.field_types import FieldTypes
from lsr.types import Document

__all__ = ["DocumentRules", "Sees", "check_doc_id", "read_json"]

_LONG_NUMBER = re.compile(rb"\d{17}")
_ID_BYTES = 1_024
_DEPTH = 32
_MOST_WEIGHTS = 16_384
_FLOAT32 = float(np.finfo(np.float32).max)


def read_json(data: bytes | memoryview) -> object:
    """A JSON value, numbers as they are written.

    Raises:
        InputError: it is not JSON in UTF-8, holds NaN or an infinity, or is nested too deeply.
    """
    data = bytes(data)
    try:
        if _LONG_NUMBER.search(data):  # orjson makes floats of long integers
            value = json.loads(data.decode("utf-8"), parse_constant=_refuse)
            if not is_text(json.dumps(value, ensure_ascii=False)):
                raise ValueError("it holds half a surrogate pair")
            return value
        value = orjson.loads(data)
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start + 1}") from error
    except (ValueError, RecursionError) as error:
        said = str(error)
        raise InputError(f"not valid JSON in UTF-8: {said[:1].lower()}{said[1:200]}") from error
    return value


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON number")


def check_doc_id(doc_id: str) -> None:
    """Check the id of a document that comes in.

    Raises:
        InputError: it is empty or too long, or a part of it between slashes is `.` or `..`, which
            clients and proxies take for folders and rewrite.
    """
    if not doc_id:
        raise InputError("the doc_id is empty; give every document an id")
    if not is_text(doc_id):
        raise InputError("the doc_id holds half a surrogate pair, which is not text")
    if len(doc_id.encode()) > _ID_BYTES:
        raise InputError(
            f"the doc_id has {len(doc_id.encode()):,} bytes; use at most {_ID_BYTES:,}"
        )
    if not {".", ".."}.isdisjoint(doc_id.split("/")):
        raise InputError(
            f"the doc_id {doc_id[:80]!r} has a part '.' or '..', which HTTP clients take for a "
            "folder, so that it could not be read again; choose another"
        )


Sees = Callable[[Mapping[str, object]], bool]
"""Whether documents with some metadata exist for whoever asks."""


class DocumentRules:
    """Rules of one collection for what comes in.

    Args:
        live: the collection.
        types: of its metadata fields.
        sees: the documents that the writer may read and write; None for all.
    """

    def __init__(self, live: LiveCollection, types: FieldTypes, sees: Sees | None = None) -> None:
        self._live = live
        self._reader = live.view
        self._types = types
        self._sees = sees

    def put(
        self,
        doc_id: str,
        text: str,
        title: str = "",
        metadata: Mapping[str, object] | None = None,
        *,
        sparse: Mapping[str, float] | None = None,
        dense: Sequence[float] | None = None,
        if_version: int | None = None,
    ) -> Operation:
        """A document to be stored, in place of what has its id.

        Raises:
            InputError: the id, the metadata or a vector cannot be taken.
        """
        check_doc_id(doc_id)
        metadata = metadata or {}
        self._check_metadata(metadata)
        self._check_vectors(sparse, dense)
        document = Document(doc_id, text, title, metadata)
        operation = Operation(
            "put", doc_id, document=document, sparse=sparse, dense=dense, if_version=if_version
        )
        return self._seen(operation, metadata)

    def patch(
        self, doc_id: str, fields: Mapping[str, object], *, if_version: int | None = None
    ) -> Operation:
        """A change of some fields: title, text, and fields of the metadata, null to remove one.

        Raises:
            InputError: the id or the metadata cannot be taken, or nothing is to be changed.
        """
        check_doc_id(doc_id)
        if not fields:
            raise InputError("nothing is to be changed; give title, text or metadata")
        metadata = fields.get("metadata", {})
        assert isinstance(metadata, Mapping)
        self._check_metadata(metadata)
        operation = Operation("patch", doc_id, fields=fields, if_version=if_version)
        return self._seen(operation, metadata)

    def delete(self, doc_id: str, *, if_version: int | None = None) -> Operation:
        """A deletion. Raises InputError when the id cannot be one."""
        if not doc_id or not is_text(doc_id):
            raise InputError("the doc_id is empty or not text; give the id of a document")
        return self._seen(Operation("delete", doc_id, if_version=if_version), {})

    def _seen(self, operation: Operation, metadata: Mapping[str, object]) -> Operation:
        """The operation, for the version of the document that the writer may change.

        Raises:
            NotFoundError, ConflictError: the document there is, or would be, is not the writer's.
        """
        if self._sees is None:
            return operation
        stored = self._live.stored(operation.doc_id)
        if stored is not None and not self._sees(stored.document.metadata):
            if operation.kind != "put":
                raise NotFoundError(f"there is no document {operation.doc_id!r}")
            raise ConflictError(
                f"the doc_id {operation.doc_id!r} is taken by a document that this key does not "
                "see; choose another"
            )
        if operation.kind == "patch":
            before = {} if stored is None else dict(stored.document.metadata)
            metadata = {k: v for k, v in {**before, **metadata}.items() if v is not None}
        if operation.kind != "delete" and not self._sees(metadata):
            raise ConflictError(
                "the document would be outside the filter of this key; give it the metadata that "
                "the key is for"
            )
        if operation.if_version is None and (stored is None or stored.version):
            return replace(operation, if_version=stored.version if stored else 0)
        return operation

    def _check_metadata(self, metadata: Mapping[str, object]) -> None:
        if metadata and _depth(metadata, _DEPTH) > _DEPTH:
            raise InputError(f"the metadata is nested deeper than {_DEPTH} levels; make it flatter")
        self._types.check(metadata)

    def _check_vectors(
        self, sparse: Mapping[str, float] | None, dense: Sequence[float] | None
    ) -> None:
        if dense is not None:
            self._check_dense(dense)
        if sparse is None:
            return
        if len(sparse) > _MOST_WEIGHTS:
            raise InputError(
                f"the sparse vector has {len(sparse):,} weights; give at most {_MOST_WEIGHTS:,}"
            )
        for term, weight in sparse.items():
            if not 0 < weight <= _FLOAT32:
                raise InputError(
                    f"the sparse vector has the weight {weight} for {term[:60]!r}; weights are "
                    "numbers above 0"
                )
        identity = self._reader.manifest.sparse
        if identity.kind != "precomputed":
            found = self._reader.encoder.find_terms(list(sparse))
            for term, known in zip(sparse, found, strict=True):
                if known is None:
                    raise InputError(
                        f"the sparse vector has the term {term[:60]!r}, which is not one of the "
                        f"{self._reader.encoder.n_terms:,} terms of {identity.name}; leave the "
                        "vector out, or make a collection for vectors made elsewhere"
                    )

    def _check_dense(self, dense: Sequence[float]) -> None:
        if self._reader.manifest.dense is None:
            raise InputError(
                f"the dense vector has {len(dense):,} numbers, and this collection has no dense "
                "vectors; leave it out, or make a collection with a dense model"
            )
        wanted = self._reader.segment.dimension
        if self._reader.segment.n_rows and len(dense) != wanted:
            raise InputError(
                f"the dense vector has {len(dense):,} numbers, and this collection's have "
                f"{wanted:,}; make it with {self._reader.manifest.dense.name}"
            )
        if not all(abs(number) <= _FLOAT32 for number in dense):
            raise InputError("the dense vector holds a number that is not finite")


def _depth(value: object, most: int) -> int:
    """Levels of lists and objects in a value, counted up to `most` + 1."""
    level, values = 0, [value]
    while values and level <= most:
        inside: list[object] = []
        for each in values:
            if isinstance(each, Mapping):
                inside += each.values()
            elif isinstance(each, list):
                inside += each
        values = [each for each in inside if isinstance(each, Mapping | list)]
        level += 1
    return level
