"""Documents and their vectors in SQLite: the truth that segments are derived from.

Metadata is kept twice: as JSON with the document, to be given back as it came, and as
(field, value, row) lines, so that a filter on equality is a look-up.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.errors import IndexCorruptError, InputError, QueryError, StorageError
from lsr.sparse import CSR
from lsr.types import Document

__all__ = ["DocumentStore", "StoreWriter", "canonical"]

_SCHEMA = """
CREATE TABLE documents (
    row INTEGER PRIMARY KEY,
    doc_id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    metadata TEXT NOT NULL
);
CREATE TABLE metadata (
    field TEXT NOT NULL,
    value TEXT NOT NULL,
    row INTEGER NOT NULL,
    PRIMARY KEY (field, value, row)
) WITHOUT ROWID;
CREATE TABLE sparse_vectors (row INTEGER PRIMARY KEY, terms BLOB NOT NULL, weights BLOB NOT NULL);
CREATE TABLE dense_vectors (row INTEGER PRIMARY KEY, vector BLOB NOT NULL);
"""
_BATCH = 1_000


class StoreWriter:
    """Fills a new database. Nothing is durable before `close`.

    Raises:
        StorageError: the machine refuses to write (also from every method).
    """

    def __init__(self, path: Path) -> None:
        self.n_documents = 0
        with _refusals():
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = OFF")
            self._connection.execute("PRAGMA synchronous = OFF")
            self._connection.executescript(_SCHEMA)
            self._connection.execute("BEGIN")

    def add_documents(self, documents: Iterable[Document]) -> Iterator[int]:
        """Store documents as rows 0, 1, 2 …, yielding how many there are after each batch.

        Raises:
            InputError: an id is empty or was seen before, or metadata cannot be written as JSON.
        """
        stream = iter(documents)
        while batch := list(islice(stream, _BATCH)):
            for document in batch:
                self._add(document)
            yield self.n_documents

    def _add(self, document: Document) -> None:
        row = self.n_documents
        place = f"document {row + 1} of the source"
        if not document.doc_id:
            raise InputError(f"{place} has an empty doc_id; give every document an id")
        for field in document.metadata:
            if not isinstance(field, str):
                raise InputError(
                    f"{place} ({document.doc_id!r}) has a metadata field named {field!r}; "
                    "names must be text"
                )
        try:
            metadata = json.dumps(dict(document.metadata), ensure_ascii=False, allow_nan=False)
            fields = (document.doc_id, document.title, document.text, metadata)
            "".join(fields).encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{place} ({document.doc_id!r}) holds half a surrogate pair, which is not text"
            ) from error
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(
                f"{place} ({document.doc_id!r}) has metadata that JSON cannot hold: {error}"
            ) from error
        try:
            self._execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?)", (row, *fields))
        except sqlite3.IntegrityError as error:
            raise InputError(
                f"{place} repeats the doc_id {document.doc_id!r} of an earlier one; "
                "ids must be unique"
            ) from error
        lines = {
            (field, canonical(value), row)
            for field, values in document.metadata.items()
            for value in (values if isinstance(values, list | tuple) else [values])
            if isinstance(value, str | int | float)
        }
        with _refusals():
            self._connection.executemany("INSERT INTO metadata VALUES (?, ?, ?)", lines)
        self.n_documents += 1

    def texts(self) -> Iterator[list[str]]:
        """What encoders see, in row order, in batches."""
        cursor = self._connection.execute("SELECT title, text FROM documents ORDER BY row")
        while batch := cursor.fetchmany(_BATCH):
            yield [Document("", text, title).full_text for title, text in batch]

    def doc_ids(self) -> list[str]:
        """All ids in row order."""
        rows = self._connection.execute("SELECT doc_id FROM documents ORDER BY row")
        return [doc_id for (doc_id,) in rows]

    def add_sparse(self, documents: CSR) -> None:
        """Store the sparse vector of each row: terms int32, weights float32, little-endian."""
        vectors = (documents.row(row) for row in range(documents.n_rows))
        lines = (
            (row, vector.terms.astype("<i4").tobytes(), vector.weights.astype("<f4").tobytes())
            for row, vector in enumerate(vectors)
        )
        with _refusals():
            self._connection.executemany("INSERT INTO sparse_vectors VALUES (?, ?, ?)", lines)

    def add_dense(self, vectors: NDArray[np.float32]) -> None:
        """Store the dense vector of each row: float32, little-endian."""
        lines = ((row, vector.astype("<f4").tobytes()) for row, vector in enumerate(vectors))
        with _refusals():
            self._connection.executemany("INSERT INTO dense_vectors VALUES (?, ?)", lines)

    def close(self) -> None:
        """Commit, and leave one self-contained file."""
        with _refusals():
            self._connection.execute("COMMIT")
            self._connection.execute("ANALYZE")
        self._connection.close()

    def abandon(self) -> None:
        """Close without caring for what was written."""
        self._connection.close()

    def _execute(self, statement: str, values: Sequence[object]) -> None:
        with _refusals():
            self._connection.execute(statement, values)


class DocumentStore:
    """Reads a finished database; may be used from many threads at once.

    One connection serves them all, opened at once, so that a reader keeps its generation when a
    newer one replaces the file.

    Raises:
        IndexCorruptError: the file is not such a database (also from every method).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
            self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        except sqlite3.DatabaseError as error:
            raise self._unreadable(error) from error
        (self.n_documents,) = self._one("SELECT count(*) FROM documents", ())
        self.fields: tuple[str, ...] = tuple(
            field for (field,) in self._all("SELECT DISTINCT field FROM metadata", ())
        )

    def documents(self, rows: Sequence[int]) -> list[Document]:
        """The documents in rows, in their order. Raises IndexCorruptError when one is missing."""
        found: dict[int, Document] = {}
        for start in range(0, len(rows), _BATCH):  # a statement takes so many variables only
            part = tuple(rows[start : start + _BATCH])
            marks = ", ".join("?" * len(part))
            for row, doc_id, title, text, metadata in self._all(
                f"SELECT row, doc_id, title, text, metadata FROM documents WHERE row IN ({marks})",
                part,
            ):
                found[row] = Document(doc_id, text, title, json.loads(metadata))
        if any(row not in found for row in rows):
            raise self._incomplete()
        return [found[row] for row in rows]

    def document(self, row: int) -> Document:
        """The document in a row. Raises IndexCorruptError when there is none."""
        return self.documents([row])[0]

    def sparse_vectors(self, rows: Sequence[int], n_terms: int) -> CSR:
        """The sparse vectors of rows, in their order. Raises IndexCorruptError for a missing one.

        Args:
            n_terms: the width of the vocabulary.
        """
        found: dict[int, tuple[bytes, bytes]] = {}
        for start in range(0, len(rows), _BATCH):
            part = tuple(rows[start : start + _BATCH])
            marks = ", ".join("?" * len(part))
            for row, terms, weights in self._all(
                f"SELECT row, terms, weights FROM sparse_vectors WHERE row IN ({marks})", part
            ):
                found[row] = (terms, weights)
        if any(row not in found for row in rows):
            raise self._incomplete()
        vectors = [found[row] for row in rows]
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(terms) // 4 for terms, _ in vectors], out=indptr[1:])
        terms = np.frombuffer(b"".join(terms for terms, _ in vectors), "<i4").astype(np.int32)
        weights = np.frombuffer(b"".join(each for _, each in vectors), "<f4").astype(np.float32)
        if len(terms) and terms.max() >= n_terms:
            raise InputError(f"a stored vector has a term outside 0..{n_terms - 1}")
        return CSR(indptr, terms, weights, n_terms)

    def row(self, doc_id: str) -> int | None:
        """The row of an id, or None."""
        if not _is_text(doc_id):
            return None
        found = self._all("SELECT row FROM documents WHERE doc_id = ?", (doc_id,))
        return int(found[0][0]) if found else None

    def mask(self, where: Mapping[str, object]) -> NDArray[np.bool_]:
        """Which rows have all these metadata values; a list field matches by any element.

        Returns:
            bool, shape (n_documents,).

        Raises:
            QueryError: a field occurs in no document, or a value is not a scalar.
        """
        mask = np.ones(self.n_documents, bool)
        for field, value in where.items():
            if field not in self.fields:
                known = ", ".join(sorted(self.fields)) or "none"
                raise QueryError(f"no document has a metadata field {field!r}; fields: {known}")
            if not isinstance(value, str | int | float):
                raise QueryError(f"the filter on {field!r} needs text, a number, true or false")
            matching = np.zeros(self.n_documents, bool)
            if _is_text(canonical(value)):
                rows = self._all(
                    "SELECT row FROM metadata WHERE field = ? AND value = ?",
                    (field, canonical(value)),
                )
                matching[[row for (row,) in rows]] = True
            mask &= matching
        return mask

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    def _one(self, statement: str, values: tuple[object, ...]) -> tuple[Any, ...]:
        lines = self._all(statement, values)
        if len(lines) != 1:
            raise self._incomplete()
        return lines[0]

    def _all(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._unreadable(error) from error

    def _incomplete(self) -> IndexCorruptError:
        return IndexCorruptError(f"{self._path}: a document is missing; run: lsr index verify")

    def _unreadable(self, error: sqlite3.DatabaseError) -> IndexCorruptError:
        return IndexCorruptError(
            f"{self._path} cannot be read ({error}); run lsr index verify, and build again"
        )


def canonical(value: str | int | float) -> str:
    """A scalar as text such that 2 and 2.0 are the same, and 2, "2" and true are not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


def _is_text(text: str) -> bool:
    """Whether a string is free of half surrogate pairs, which SQLite cannot be asked for."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


class _refusals:  # noqa: N801
    """Turns SQLite's word for a full or read-only disk into a StorageError."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.OperationalError):
            raise StorageError(
                f"the documents cannot be stored ({error}); free some space or choose another place"
            ) from error
