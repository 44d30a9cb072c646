"""Documents and their vectors in SQLite: the truth that segments are derived from."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from sys import getsizeof
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lsr.bounded_memory import BoundedMemory
from lsr.errors import IndexCorruptError
from lsr.files import is_text
from lsr.index.storage.row_checksums import document_checksum, field_checksum, vector_checksum
from lsr.passages.passage import Passage, unpacked
from lsr.sparse import CSR
from lsr.types import Document

__all__ = ["CHECKED_METADATA", "FLAT_METADATA", "WITH_PASSAGES", "DocumentStore", "Table"]

FLAT_METADATA = 1
"""SQLite's `user_version` of databases whose metadata lines have nested fields by dotted names."""
CHECKED_METADATA = 2
"""The same of those that have a checksum for each field, too."""
WITH_PASSAGES = 3
"""The same of those that have a table of passages, whose numbers vectors then go by."""

Table = Literal["documents", "passages", "metadata", "sparse_vectors", "dense_vectors"]

_BATCH = 1_000
_SAMPLES = 100
_MOST_REMEMBERED = 100
"""Documents fetched together that are remembered; more are read to be written elsewhere."""
_OBJECTS_BYTES = 600
"""What the parts of a document take beside its texts and its metadata."""
_METADATA_FACTOR = 3
"""Bytes that metadata take as objects, for each of a text that says the same."""
_TYPES = (('"', "#"), ("-", ":"), ("f", "g"), ("t", "u"))
"""Beginnings of texts, numbers, false and true in canonical JSON, and what follows each."""

_KEYS: dict[Table, str] = {
    "documents": "row",
    "passages": "row",
    "metadata": "field, value, row",
    "sparse_vectors": "row",
    "dense_vectors": "row",
}
_DAMAGE = (sqlite3.Error, MemoryError, OverflowError, ValueError)
"""What SQLite and its texts in UTF-8 raise over a damaged page."""
_DOCUMENT = "row, doc_id, title, text, metadata"
_CHECKED = f"{_DOCUMENT}, version, crc"


_decoded = json.JSONDecoder().decode
"""As `json.loads` of a text, without its choices, which take longer than a small one."""


class DocumentStore:
    """Reads a finished database; may be used from many threads at once.

    One connection serves them all, opened at once, so that a reader keeps its generation when a
    newer one replaces the file. Each document and vector is compared with its checksum when it is
    fetched; databases of index format 2 have none, and their documents have version 0.

    Args:
        path: the file; None for a database in memory.
        connection: to that; may be used from many threads, one at a time.
        find: gives the rows of ids, instead of the database.
        memory_bytes: of documents that were fetched and are remembered, as their rows never change;
            all who fetch one share it, its metadata too, which nobody may change.

    Raises:
        IndexCorruptError: the file is not such a database (also from every method).
    """

    def __init__(
        self,
        path: Path | None,
        connection: sqlite3.Connection | None = None,
        find: Callable[[Sequence[str]], dict[str, int]] | None = None,
        memory_bytes: int = 0,
    ) -> None:
        self._find = find
        self._remembered: BoundedMemory[int, tuple[Document, int]] = BoundedMemory(memory_bytes)
        self._path = path or Path(":memory:")
        self._lock = threading.Lock()
        try:
            if connection is None:
                uri = f"{self._path.resolve().as_uri()}?mode=ro&immutable=1"
                connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
            self._connection = connection
            self._connection.execute("PRAGMA mmap_size = 0")  # a truncated map is a SIGBUS
        except _DAMAGE as error:
            raise self._unreadable(error) from error
        columns = self._all("SELECT name FROM pragma_table_info('documents')", ())
        names = ", ".join(str(name) for (name,) in columns)
        if names not in (_DOCUMENT, _CHECKED):
            raise self._unreadable(ValueError(f"a table with the columns {names}"))
        self._has_checksums = names == _CHECKED
        (version,) = self._one("PRAGMA user_version", ())
        self.is_flat = version >= FLAT_METADATA
        self.has_passages = version >= WITH_PASSAGES
        self._field_checksums: dict[str, int] | None = None
        if version >= CHECKED_METADATA:
            self._field_checksums = dict(self._all("SELECT field, crc FROM metadata_fields", ()))
        (last,) = self._one("SELECT max(row) FROM documents", ())
        self.n_documents = 0 if last is None else last + 1
        fields = self._field_checksums
        if fields is None:
            fields = dict.fromkeys(
                (field for (field,) in self._all("SELECT DISTINCT field FROM metadata", ())), 0
            )
        self.fields: tuple[str, ...] = tuple(fields)

    def documents(self, rows: Sequence[int]) -> list[Document]:
        """The documents in rows, in their order.

        Raises:
            IndexCorruptError: one is missing, or has changed since it was written.
        """
        return [document for document, _ in self.stored(rows)]

    def document(self, row: int) -> Document:
        """The document in a row. Raises as `documents`."""
        return self.documents([row])[0]

    def versions(self, rows: Sequence[int]) -> list[int]:
        """The versions of the documents in rows: the number of the last operation of the log on
        each, or 0 when there was none. Raises as `documents`."""
        return [version for _, version in self.stored(rows)]

    def stored(self, rows: Sequence[int]) -> list[tuple[Document, int]]:
        """Documents and versions together. Raises as `documents`."""
        if len(rows) > _MOST_REMEMBERED:
            return self._fetched(rows)
        known = self._remembered.several(rows)
        if None in known:
            lacking = [row for row, each in zip(rows, known, strict=True) if each is None]
            fetched = dict(zip(lacking, self._fetched(lacking), strict=True))
            for row, each in fetched.items():
                self._remembered.put(row, each, _size(each[0]))
            known = [each or fetched[row] for row, each in zip(rows, known, strict=True)]
        return [each for each in known if each is not None]

    def _fetched(self, rows: Sequence[int]) -> list[tuple[Document, int]]:
        columns = _CHECKED if self._has_checksums else f"{_DOCUMENT}, 0"
        found = self._by_row(f"SELECT {columns} FROM documents", rows)
        return [self._document(found[row]) for row in rows]

    def passages(self, rows: Sequence[int]) -> list[tuple[Passage, ...]]:
        """The passages of rows, in their order; none of a document that was not split.

        Raises:
            IndexCorruptError: they have changed since they were written.
        """
        if not self.has_passages:
            return [()] * len(rows)
        found = self._by_row("SELECT * FROM passages", rows, may_lack=True)
        return [self._passages(found[row]) if row in found else () for row in rows]

    def passage_counts(self) -> NDArray[np.int64]:
        """Number of passages of each row, at least 1, shape (n_documents,)."""
        counts = np.ones(self.n_documents, np.int64)
        if self.has_passages:
            lines = self._all("SELECT row, length(spans) / 8 FROM passages", ())
            counts[[row for row, _ in lines]] = [count for _, count in lines]
        return counts

    def _passages(self, line: tuple[Any, ...]) -> tuple[Passage, ...]:
        _, spans, headings = self._checked("passages", line)
        return unpacked(spans, headings)

    def sparse_vectors(self, rows: Sequence[int], n_terms: int) -> CSR:
        """The sparse vectors of rows, or of passages where documents have several, in their order.

        Args:
            n_terms: the width of the vocabulary.

        Raises:
            IndexCorruptError: one is missing, has changed, or does not fit the vocabulary.
        """
        found = self._by_row("SELECT * FROM sparse_vectors", rows)
        vectors = [self._checked("sparse_vectors", found[row]) for row in rows]
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(terms) // 4 for _, terms, _ in vectors], out=indptr[1:])
        terms = np.frombuffer(b"".join(terms for _, terms, _ in vectors), "<i4").astype(np.int32)
        weights = np.frombuffer(b"".join(each for _, _, each in vectors), "<f4").astype(np.float32)
        if len(terms) and not 0 <= terms.min() <= terms.max() < n_terms:
            raise IndexCorruptError(
                f"{self._path}: a stored vector has a term outside 0..{n_terms - 1}; run lsr index "
                "verify, and build again"
            )
        return CSR(indptr, terms, weights, n_terms)

    def row(self, doc_id: str) -> int | None:
        """The row of an id, or None."""
        return self.rows([doc_id]).get(doc_id)

    def rows(self, doc_ids: Sequence[str]) -> dict[str, int]:
        """The rows of those ids that there are, by id."""
        if self._find is not None:
            return self._find(doc_ids)
        found: dict[str, int] = {}
        for start in range(0, len(doc_ids), _BATCH):
            part = tuple(filter(is_text, doc_ids[start : start + _BATCH]))
            marks = ", ".join("?" * len(part))
            statement = f"SELECT doc_id, row FROM documents WHERE doc_id IN ({marks})"
            found.update(self._all(statement, part))
        return found

    def lines(self, table: Table) -> Iterator[tuple[Any, ...]]:
        """Every line of a table, checked, without its checksum, ordered by key.

        Documents end with their version. For one thread at a time.

        Raises:
            IndexCorruptError: a line has changed since it was written.
        """
        columns = "*"
        if table == "documents" and not self._has_checksums:
            columns = f"{_DOCUMENT}, 0"
        try:
            lines = self._connection.execute(
                f"SELECT {columns} FROM {table} ORDER BY {_KEYS[table]}"
            )
            for line in lines:
                yield self._checked(table, line)
        except _DAMAGE as error:
            raise self._unreadable(error) from error

    def field_values(self, field: str) -> list[tuple[str, str]]:
        """The distinct values of a metadata field, ascending, and the rows that have each.

        Values are in canonical JSON, see `lsr.retrieval.scalar`; rows are numbers between commas.

        Raises:
            IndexCorruptError: they have changed since they were written.
        """
        lines = self._all(
            "SELECT value, group_concat(row) FROM metadata WHERE field = ? GROUP BY value "
            "ORDER BY value",
            (field,),
        )
        try:
            known = self._field_checksums
            if not lines and known is not None and field not in known:
                return []
            if known is not None and field_checksum(field, lines) != known.get(field):
                raise ValueError("not what was written")
        except (TypeError, ValueError) as error:
            raise IndexCorruptError(
                f"{self._path}: the metadata field {field!r} has changed since it was written; "
                "restore the file from a copy, or build again"
            ) from error
        return lines

    def field_samples(self, field: str) -> list[str]:
        """Some values of a metadata field, of every type that it has, in canonical JSON."""
        samples: set[str] = set()
        for low, high in _TYPES:
            for order in ("", "DESC"):
                found = self._all(
                    "SELECT DISTINCT value FROM metadata WHERE field = ? AND value >= ? "
                    f"AND value < ? ORDER BY value {order} LIMIT {_SAMPLES}",
                    (field, low, high),
                )
                samples.update(value for (value,) in found)
        return sorted(samples)

    def nested_metadata(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Rows and metadata of documents whose nested fields are not among `fields`.

        They are in databases of version 0.1 only.
        """
        if self.is_flat:
            return
        for row, metadata in self._all(
            "SELECT row, metadata FROM documents WHERE instr(substr(metadata, 2), '{') "
            "OR instr(metadata, '[[') ORDER BY row",
            (),
        ):
            try:
                yield row, json.loads(metadata)
            except (TypeError, ValueError, RecursionError) as error:
                raise self._unreadable(error) from error

    def close(self) -> None:
        """Close the database, and forget its documents."""
        self._remembered = BoundedMemory(0)
        with self._lock:
            self._connection.close()

    def _document(self, line: tuple[Any, ...]) -> tuple[Document, int]:
        _, doc_id, title, text, metadata, version = self._checked("documents", line)[:6]
        try:
            return Document(doc_id, text, title, _decoded(metadata)), version
        except (TypeError, ValueError, RecursionError) as error:
            raise self._changed("documents", line) from error

    def _checked(self, table: Table, line: tuple[Any, ...]) -> tuple[Any, ...]:
        """A line as it was written, without its checksum if it has one."""
        if table == "metadata":
            return line
        try:
            if table == "sparse_vectors" and (len(line[1]) % 4 or len(line[1]) != len(line[2])):
                raise ValueError("lengths")
            if not self._has_checksums:
                return line
            *fields, crc = line
            found = (
                document_checksum(*fields)
                if table == "documents"
                else vector_checksum(fields[0], *fields[1:])
            )
        except (TypeError, ValueError) as error:
            raise self._changed(table, line) from error
        if found != crc:
            raise self._changed(table, line)
        return tuple(fields)

    def _by_row(
        self, statement: str, rows: Sequence[int], *, may_lack: bool = False
    ) -> dict[int, tuple[Any, ...]]:
        """Lines that begin with their row, by it. Raises IndexCorruptError when one is missing."""
        found: dict[int, tuple[Any, ...]] = {}
        for start in range(0, len(rows), _BATCH):  # a statement takes no more variables
            part = tuple(rows[start : start + _BATCH])
            marks = ", ".join("?" * len(part))
            for line in self._all(f"{statement} WHERE row IN ({marks})", part):
                found[line[0]] = line
        if not may_lack and any(row not in found for row in rows):
            raise self._incomplete()
        return found

    def _one(self, statement: str, values: tuple[object, ...]) -> tuple[Any, ...]:
        lines = self._all(statement, values)
        if len(lines) != 1:
            raise self._incomplete()
        return lines[0]

    def _all(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._connection.execute(statement, values).fetchall()
        except _DAMAGE as error:
            raise self._unreadable(error) from error

    def _incomplete(self) -> IndexCorruptError:
        return IndexCorruptError(f"{self._path}: a document is missing; run: lsr index verify")

    def _changed(self, table: Table, line: tuple[Any, ...]) -> IndexCorruptError:
        name = f" {str(line[1])[:60]!r}" if table == "documents" else ""
        names = {"documents": "document", "passages": "passages of the document"}
        what = names.get(table, "vector of the document")
        return IndexCorruptError(
            f"{self._path}: the {what}{name} in row {line[0]} has changed since it was written; "
            "restore the file from a copy, or build again"
        )

    def _unreadable(self, error: Exception) -> IndexCorruptError:
        return IndexCorruptError(
            f"{self._path} cannot be read ({error}); run lsr index verify, and build again"
        )


def _size(document: Document) -> int:
    """Bytes of a document in memory, roughly."""
    metadata = len(str(document.metadata)) * _METADATA_FACTOR
    return getsizeof(document.text) + getsizeof(document.title) + metadata + _OBJECTS_BYTES
