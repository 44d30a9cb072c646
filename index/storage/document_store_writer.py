"""Fills the database of documents and vectors of one segment.

Metadata is kept twice: as JSON with the document, to be given back as it came, and as
(field, value, row) lines, so that a filter on equality is a look-up.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.errors import IndexCorruptError, InputError, StorageError
from lsr.files import is_text
from lsr.index.storage.document_store import WITH_PASSAGES, DocumentStore, Table
from lsr.index.storage.row_checksums import document_checksum, field_checksum, vector_checksum
from lsr.passages.passage import Passage, PassagedText, Split, packed, passaged_text, unpacked
from lsr.retrieval.scalar import canonical, flat_values
from lsr.sparse import CSR
from lsr.types import Document

__all__ = ["StoreWriter", "readable", "repeated_id", "stored_fields"]

_SCHEMA = f"""
PRAGMA user_version = {WITH_PASSAGES};
CREATE TABLE documents (
    row INTEGER PRIMARY KEY,
    doc_id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    metadata TEXT NOT NULL,
    version INTEGER NOT NULL,
    crc INTEGER NOT NULL
);
CREATE TABLE passages (
    row INTEGER PRIMARY KEY,
    spans BLOB NOT NULL,
    headings BLOB NOT NULL,
    crc INTEGER NOT NULL
);
CREATE TABLE metadata (
    field TEXT NOT NULL,
    value TEXT NOT NULL,
    row INTEGER NOT NULL,
    PRIMARY KEY (field, value, row)
) WITHOUT ROWID;
CREATE TABLE metadata_fields (field TEXT NOT NULL PRIMARY KEY, crc INTEGER NOT NULL);
CREATE TABLE sparse_vectors (
    row INTEGER PRIMARY KEY,
    terms BLOB NOT NULL,
    weights BLOB NOT NULL,
    crc INTEGER NOT NULL
);
CREATE TABLE dense_vectors (
    row INTEGER PRIMARY KEY,
    vector BLOB NOT NULL,
    crc INTEGER NOT NULL
);
"""
_INSERT: dict[Table, str] = {
    "documents": "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)",
    "passages": "INSERT INTO passages VALUES (?, ?, ?, ?)",
    "metadata": "INSERT INTO metadata VALUES (?, ?, ?)",
    "sparse_vectors": "INSERT INTO sparse_vectors VALUES (?, ?, ?, ?)",
    "dense_vectors": "INSERT INTO dense_vectors VALUES (?, ?, ?)",
}
_BATCH = 1_000


class StoreWriter:
    """Fills a new database. Nothing is durable before `close`.

    Args:
        path: the file to make; None for a database in memory.

    Raises:
        StorageError: the machine refuses to write (also from every method).
    """

    def __init__(self, path: Path | None) -> None:
        self.n_documents = 0
        self._counts = array("q")
        with _refusals():
            self._connection = sqlite3.connect(
                path or ":memory:", isolation_level=None, check_same_thread=path is not None
            )
            self._connection.execute("PRAGMA journal_mode = OFF")
            self._connection.execute("PRAGMA synchronous = OFF")
            self._connection.executescript(_SCHEMA)
            self._connection.execute("BEGIN")

    def add_documents(
        self,
        documents: Iterable[Document],
        versions: Iterable[int] | None = None,
        split: Split | None = None,
    ) -> Iterator[int]:
        """Store documents as rows 0, 1, 2 …, yielding how many there are after each batch.

        Args:
            split: gives the passages of a document; default: all stay whole.
            versions: one for each document, as `DocumentStore.versions` has them; default: 0.

        Raises:
            ValueError: there are more or fewer versions than documents.
            InputError: something is no document, an id is empty or was seen before, or metadata
                cannot be written as JSON.
        """
        stream = (
            ((document, 0) for document in documents)
            if versions is None
            else zip(documents, versions, strict=True)
        )
        while batch := list(islice(stream, _BATCH)):
            for document, version in batch:
                self._add(document, version)
                self._add_passages(split(document) if split is not None else ())
            yield self.n_documents

    def _add(self, document: Document, version: int) -> None:
        row = self.n_documents
        place = f"document {row + 1} of the source"
        fields = stored_fields(document, place)
        try:
            self._execute(_INSERT["documents"], _summed("documents", (row, *fields, version)))
        except sqlite3.IntegrityError as error:
            raise repeated_id(document.doc_id, place) from error
        lines = {(field, canonical(value), row) for field, value in flat_values(document.metadata)}
        with _refusals():
            self._connection.executemany(_INSERT["metadata"], lines)
        self.n_documents += 1

    def _add_passages(self, passages: Sequence[Passage]) -> None:
        """Those of the document that was added last."""
        row = len(self._counts)
        self._counts.append(max(1, len(passages)))
        if len(passages) > 1:
            self._execute(_INSERT["passages"], _summed("passages", (row, *packed(passages))))

    @property
    def passage_counts(self) -> NDArray[np.int64]:
        """Number of passages of each row, at least 1, shape (n_documents,)."""
        return np.array(self._counts, np.int64)

    @property
    def has_passages(self) -> bool:
        """Whether any document has several."""
        return max(self._counts, default=1) > 1

    def texts(self) -> Iterator[list[str]]:
        """Texts as encoders see them, in row order, in batches."""
        cursor = self._connection.execute("SELECT title, text FROM documents ORDER BY row")
        while batch := cursor.fetchmany(_BATCH):
            yield [Document("", text, title).full_text for title, text in batch]

    def passaged_texts(self) -> Iterator[list[PassagedText]]:
        """Texts with those of their passages, in row order, in batches."""
        cursor = self._connection.execute(
            "SELECT title, text, spans, headings FROM documents LEFT JOIN passages USING (row) "
            "ORDER BY row"
        )
        while batch := cursor.fetchmany(_BATCH):
            yield [
                passaged_text(Document("", text, title), unpacked(spans, headings))
                for title, text, spans, headings in batch
            ]

    def doc_ids(self) -> list[str]:
        """All ids in row order."""
        rows = self._connection.execute("SELECT doc_id FROM documents ORDER BY row")
        return [doc_id for (doc_id,) in rows]

    def add_sparse(self, documents: CSR) -> None:
        """Store the sparse vector of each passage: terms int32, weights float32, little-endian."""
        vectors = (documents.row(row) for row in range(documents.n_rows))
        lines = (
            (row, vector.terms.astype("<i4").tobytes(), vector.weights.astype("<f4").tobytes())
            for row, vector in enumerate(vectors)
        )
        self._add_vectors("sparse_vectors", lines)

    def add_dense(self, vectors: NDArray[np.float32]) -> None:
        """Store the dense vector of each passage: float32, little-endian."""
        lines = ((row, vector.astype("<f4").tobytes()) for row, vector in enumerate(vectors))
        self._add_vectors("dense_vectors", lines)

    def _add_vectors(self, table: Table, lines: Iterable[tuple[object, ...]]) -> None:
        with _refusals():
            self._connection.executemany(_INSERT[table], (_summed(table, line) for line in lines))

    def copy(
        self, store: DocumentStore, rows: NDArray[np.int32], *, sparse: bool, dense: bool
    ) -> Iterator[int]:
        """Take rows of a finished database over as the next rows, with metadata and versions.

        Args:
            rows: in any order; the order of the other database is kept.
            sparse, dense: whether to take these vectors over too.

        Yields:
            How many of `rows` are there, after each batch.

        Raises:
            IndexCorruptError: the other database cannot be read, or repeats an id of this one.
        """
        first = self.n_documents
        wanted = np.full(store.n_documents, -1, np.int64)
        wanted[np.sort(rows)] = first + np.arange(len(rows))
        counts = store.passage_counts()
        taken = np.repeat(wanted >= 0, counts)
        of_passages = np.full(len(taken), -1, np.int64)
        of_passages[taken] = sum(self._counts) + np.arange(np.count_nonzero(taken))
        self._counts.extend(counts[np.sort(rows)].tolist())
        by_row, by_passage = wanted.tolist(), of_passages.tolist()
        tables: list[Table] = ["documents", "metadata"]
        if store.has_passages:
            tables.append("passages")
        if sparse:
            tables.append("sparse_vectors")
        if dense:
            tables.append("dense_vectors")
        for table in tables:
            at = 2 if table == "metadata" else 0
            places = by_passage if table.endswith("vectors") else by_row
            lines = (
                _summed(table, (*line[:at], places[line[at]], *line[at + 1 :]))
                for line in (_nested_lines(store) if table == "metadata" else store.lines(table))
                if places[line[at]] >= 0
            )
            while batch := list(islice(lines, _BATCH)):
                with _refusals():
                    self._insert(_INSERT[table], batch)
                if table == "documents":
                    self.n_documents += len(batch)
                    yield self.n_documents - first

    def _insert(self, statement: str, lines: Sequence[Sequence[object]]) -> None:
        try:
            self._connection.executemany(statement, lines)
        except sqlite3.IntegrityError as error:
            raise IndexCorruptError(
                f"two segments hold the same document ({error}); run lsr index verify, and build "
                "the index again"
            ) from error

    def sparse_vectors(self, n_terms: int) -> CSR:
        """All sparse vectors that were stored, in their order; the width is `n_terms`."""
        lengths = self._connection.execute(
            "SELECT length(terms) / 4 FROM sparse_vectors ORDER BY row"
        ).fetchall()
        indptr = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum([length for (length,) in lengths], out=indptr[1:])
        terms, weights = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.float32)
        lines = self._connection.execute("SELECT terms, weights FROM sparse_vectors ORDER BY row")
        edges = indptr.tolist()
        for (start, end), (some_terms, some_weights) in zip(pairwise(edges), lines, strict=True):
            terms[start:end] = np.frombuffer(some_terms, "<i4")
            weights[start:end] = np.frombuffer(some_weights, "<f4")
        return CSR(indptr, terms, weights, n_terms)

    def close(self) -> None:
        """Commit, and leave one self-contained file."""
        self._sum_metadata()
        with _refusals():
            self._connection.execute("COMMIT")
            self._connection.execute("ANALYZE")
        self._connection.close()

    def reader(self) -> DocumentStore:
        """The finished database, of one that is in memory."""
        self._sum_metadata()
        self._execute("COMMIT", ())
        return DocumentStore(None, self._connection)

    def _sum_metadata(self) -> None:
        """Store the checksum of each metadata field."""
        lines = self._connection.execute(
            "SELECT field, value, group_concat(row) FROM metadata GROUP BY field, value "
            "ORDER BY field, value"
        )
        sums = [
            (field, field_checksum(field, ((value, rows) for _, value, rows in each)))
            for field, each in groupby(lines, itemgetter(0))
        ]
        with _refusals():
            self._connection.executemany("INSERT INTO metadata_fields VALUES (?, ?)", sums)

    def abandon(self) -> None:
        """Close without caring for what was written."""
        self._connection.close()

    def _execute(self, statement: str, values: Sequence[object]) -> None:
        with _refusals():
            self._connection.execute(statement, values)


def stored_fields(document: Document, place: str) -> tuple[str, str, str, str]:
    """A document's doc_id, title, text and metadata as they are stored; metadata as JSON.

    Args:
        place: where it stands in its source, for the errors.

    Raises:
        InputError: something is no document, its id is empty, or its metadata cannot be JSON.
    """
    for name in ("doc_id", "title", "text"):
        value = getattr(document, name, None)
        if not isinstance(value, str):
            raise InputError(
                f"{place} is a {type(document).__name__} whose {name} is {str(value)[:40]!r}; "
                "give an lsr.Document, with text for doc_id, title and text"
            )
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
        are_text = is_text("".join(fields))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{place} ({document.doc_id!r}) has metadata that JSON cannot hold: {error}"
        ) from error
    if not are_text:
        raise InputError(
            f"{place} ({document.doc_id!r}) holds half a surrogate pair, which is not text"
        )
    return fields


def repeated_id(doc_id: str, place: str) -> InputError:
    """The error of an id that was seen before."""
    return InputError(
        f"{place} repeats the doc_id {doc_id!r} of an earlier one; ids must be unique"
    )


def _summed(table: Table, line: tuple[Any, ...]) -> tuple[Any, ...]:
    """A line as it is stored: with its checksum."""
    if table == "metadata":
        return line
    if table == "documents":
        return (*line, document_checksum(*line))
    return (*line, vector_checksum(*line))


def _nested_lines(store: DocumentStore) -> Iterator[tuple[Any, ...]]:
    """The metadata lines of a database, with nested fields also where it was made without them."""
    nested = {
        (field, canonical(value), row)
        for row, metadata in store.nested_metadata()
        for field, value in flat_values(metadata)
    }
    yield from nested
    for line in store.lines("metadata"):
        if line not in nested:
            yield line


def readable(documents: Iterable[Document], source: str) -> Iterator[Document]:
    """The documents; what goes wrong with reading is not taken for trouble with writing."""
    try:
        yield from documents
    except OSError as error:
        raise InputError(
            f"{source or 'the source'} cannot be read ({error.strerror or error}); check it, "
            "and try again"
        ) from error


class _refusals:  # noqa: N801
    """Turns SQLite's word for a full or read-only disk into a StorageError."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.OperationalError):
            raise StorageError(
                f"the documents cannot be stored ({error}); free some space or choose another place"
            ) from error
