"""`OperationLog`: what was asked of a collection and is not in its segments yet, in SQLite.

An operation is durable when the transaction that holds it is committed (WAL, synchronous=FULL).
Its vectors come later; they can be made again, so they are not waited for. Several processes may
read and append at once: SQLite puts their transactions in order.
"""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lsr.index.live.log_database import LogDatabase
from lsr.index.live.operation import document_of
from lsr.types import Document

__all__ = [
    "LOG_FILE",
    "Asked",
    "Entry",
    "LogState",
    "OperationLog",
    "Vectors",
    "operation_checksum",
]

LOG_FILE = "log.sqlite"
"""In the collection's folder."""

_KEYS_KEPT_SECONDS = 24 * 3_600
_IDS_AT_ONCE = 500

Asked = tuple[int, str, bytes | None, str | None]
"""An operation's number, document, body and vectors of the caller's, as `Entry` has them."""


@dataclass(frozen=True)
class Entry:
    """An operation in the log.

    Attributes:
        seq: its number.
        body: the document as `body_of` writes it; None for a deletion.
        given: vectors of the caller's, as JSON, or None.
        terms, weights, dense: its vectors in little-endian bytes (int32, float32, float32), where
            they are made; None for deletions, and for versions that were replaced meanwhile.
        learned: whether the encoder has learned from it.
        passages: where its vectors are of passages, one after the other: which, as
            `lsr.index.live.passaged` writes them.
    """

    seq: int
    doc_id: str
    body: bytes | None
    given: str | None
    terms: bytes | None = None
    weights: bytes | None = None
    dense: bytes | None = None
    learned: int = 0
    passages: bytes | None = None

    @cached_property
    def document(self) -> Document:
        """The document of a body."""
        return document_of(self.doc_id, self.body or b"")


@dataclass(frozen=True)
class Vectors:
    """Vectors of an operation, as `Entry` has them."""

    seq: int
    terms: bytes | None
    weights: bytes | None
    dense: bytes | None
    learned: bool
    passages: bytes | None = None


@dataclass(frozen=True)
class LogState:
    """Progress of the log.

    Attributes:
        last: the last operation that was acknowledged.
        encoded: the last that has its vectors, as all before it have.
        epoch: changes when vectors are thrown away, because the encoder was another; two logs
            begin with different ones.
    """

    last: int
    encoded: int
    epoch: int


class OperationLog(LogDatabase):
    """The log of one collection. May be used from many threads.

    Args:
        path, applied: as `LogDatabase`.

    Attributes:
        last_appended: the last operation that this process appended.

    Raises:
        StorageError: it cannot be written to, or was removed (also from every method).
        IndexCorruptError: it is damaged (also from every method).
    """

    def __init__(self, path: Path, applied: int) -> None:
        super().__init__(path, applied)
        self.last_appended = 0

    def append(self, connection: sqlite3.Connection, operations: Iterable[Asked]) -> None:
        """Note operations within a transaction; their numbers go on from `last`."""
        lines = [(*each, operation_checksum(*each)) for each in operations]
        if lines:
            connection.executemany(
                "INSERT INTO operations (seq, doc_id, body, given, crc) VALUES (?, ?, ?, ?, ?)",
                lines,
            )
            self.last_appended = lines[-1][0]

    def last(self, connection: sqlite3.Connection) -> int:
        """The number of the last operation, also within a transaction."""
        statement = "SELECT seq FROM sqlite_sequence WHERE name = 'operations'"
        return int(connection.execute(statement).fetchone()[0])

    def newest(self, doc_id: str, after: int) -> tuple[int, bytes | None] | None:
        """The last operation on a document among those above `after`: number and body.

        None where there is none: then the segments know the document, or nobody does.
        """
        found = self.all(
            "SELECT seq, doc_id, body, given, crc FROM operations WHERE doc_id = ? AND seq > ? "
            "ORDER BY seq DESC LIMIT 1",
            (doc_id, after),
        )
        if not found:
            return None
        seq, _, body, *_ = self._checked(found[0])
        return seq, body

    def newest_of(self, doc_ids: Sequence[str], after: int) -> dict[str, tuple[int, bool]]:
        """As `newest` of many documents: numbers, and whether there is a body, by id."""
        found = {}
        for start in range(0, len(doc_ids), _IDS_AT_ONCE):
            part = doc_ids[start : start + _IDS_AT_ONCE]
            lines = self.all(
                "SELECT doc_id, max(seq), body IS NOT NULL FROM operations WHERE seq > ? "
                f"AND doc_id IN ({', '.join('?' * len(part))}) GROUP BY doc_id",
                (after, *part),
            )
            found.update({doc_id: (seq, bool(has_body)) for doc_id, seq, has_body in lines})
        return found

    def trimmed(self) -> int:
        """Operations up to this number may be missing: they are in the segments."""
        ((seq,),) = self.all("SELECT value FROM state WHERE name = 'trimmed'")
        return int(seq)

    def _checked(self, line: tuple[Any, ...]) -> tuple[Any, ...]:
        """A line that begins with what `append` wrote and its checksum, without that."""
        seq, doc_id, body, given, crc, *rest = line
        try:
            is_whole = operation_checksum(seq, doc_id, body, given) == crc
        except (TypeError, AttributeError):
            is_whole = False
        if not is_whole:
            raise self.damaged(f"operation {seq} has changed since it was written")
        return seq, doc_id, body, given, *rest

    def state(self) -> LogState:
        """The progress of the log; read in one step."""
        ((last, encoded, epoch),) = self.all(
            "SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'operations'),"
            " (SELECT value FROM state WHERE name = 'encoded'),"
            " (SELECT value FROM state WHERE name = 'epoch')"
        )
        return LogState(last, encoded, epoch)

    def entries(self, after: int, until: int, limit: int = -1) -> list[Entry]:
        """Operations with numbers above `after`, up to `until`, in order; at most `limit`."""
        lines = self.all(
            "SELECT seq, doc_id, body, given, crc, terms, weights, dense, learned, passages, "
            "vectors_crc FROM operations WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (after, until, limit),
        )
        found = []
        for line in lines:
            *fields, crc = self._checked(line)
            if _sum_of_vectors(*fields[4:7], fields[8]) != crc:
                raise self.damaged(f"the vectors of operation {fields[0]} have changed")
            found.append(Entry(*fields))
        return found

    def keep_vectors(self, vectors: Iterable[Vectors], until: int) -> None:
        """Store the vectors of all operations up to `until`, which can be searched from now on."""
        lines = (
            (
                each.terms,
                each.weights,
                each.dense,
                each.learned,
                _sum_of_vectors(each.terms, each.weights, each.dense, each.passages),
                each.passages,
                each.seq,
            )
            for each in vectors
        )
        with self.transaction(durable=False) as connection:
            connection.executemany(
                "UPDATE operations SET terms = ?, weights = ?, dense = ?, learned = ?, "
                "vectors_crc = ?, passages = ? WHERE seq = ?",
                lines,
            )
            connection.execute(
                "UPDATE state SET value = max(value, ?) WHERE name = 'encoded'", (until,)
            )

    def unpublished(self, after: int) -> tuple[int, int]:
        """Number and bytes of operations above `after` that have their vectors."""
        ((count, n_bytes),) = self.all(
            "SELECT count(*), total(length(body)) FROM operations WHERE seq > ? "
            "AND seq <= (SELECT value FROM state WHERE name = 'encoded')",
            (after,),
        )
        return int(count), int(n_bytes)

    def forget_vectors(self, after: int, sha256: str) -> None:
        """Throw the vectors of all operations above `after` away: the encoder is another now."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE operations SET terms = NULL, weights = NULL, dense = NULL, learned = 0, "
                "vectors_crc = 0, passages = NULL WHERE seq > ?",
                (after,),
            )
            connection.execute("UPDATE state SET value = ? WHERE name = 'encoded'", (after,))
            connection.execute("UPDATE state SET value = value + 1 WHERE name = 'epoch'")
            connection.execute("DELETE FROM encoders")
            connection.execute("INSERT INTO encoders VALUES (?, ?)", (after, sha256))

    def note_encoder(self, seq: int, sha256: str) -> None:
        """Note what the encoder is when it has learned from all operations up to `seq`."""
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO encoders VALUES (?, ?)", (seq, sha256))

    def knows_encoder(self, seq: int, sha256: str) -> bool:
        """Whether vectors above `seq` were made by this encoder, or by what it grew to."""
        return bool(self.all("SELECT 1 FROM encoders WHERE seq = ? AND sha256 = ?", (seq, sha256)))

    def trim(self, applied: int) -> None:
        """Remove operations up to `applied`, which are in the segments, and old request keys."""
        with self.transaction(durable=False) as connection:
            connection.execute("DELETE FROM operations WHERE seq <= ?", (applied,))
            connection.execute("DELETE FROM encoders WHERE seq < ?", (applied,))
            connection.execute(
                "UPDATE state SET value = max(value, ?) WHERE name = 'trimmed'", (applied,)
            )
            connection.execute(
                "DELETE FROM requests WHERE time < ?", (time.time() - _KEYS_KEPT_SECONDS,)
            )

    def answered(self, key: str) -> tuple[str, Any] | None:
        """Digest and answer of the request that had a key, if there was one lately."""
        found = self.all("SELECT digest, answer FROM requests WHERE key = ?", (key,))
        return (found[0][0], json.loads(found[0][1])) if found else None

    def note_answer(
        self, connection: sqlite3.Connection, key: str, digest: str, answer: object
    ) -> None:
        """Note the answer to a request within its transaction."""
        connection.execute(
            "INSERT INTO requests VALUES (?, ?, ?, ?)",
            (key, digest, json.dumps(answer), time.time()),
        )


def operation_checksum(seq: int, doc_id: str, body: bytes | None, given: str | None) -> int:
    """CRC-32 of an operation; a deletion differs from a document without content."""
    crc = zlib.crc32(f"{seq} {len(doc_id)} {doc_id}".encode())
    crc = crc if body is None else zlib.crc32(body, zlib.crc32(b"body", crc))
    return crc if given is None else zlib.crc32(given.encode(), crc)


def _sum_of_vectors(*parts: bytes | None) -> int:
    """CRC-32 of vectors, and of which passages they are; 0 where there are none."""
    crc = 0
    for part in parts:
        crc = zlib.crc32(part or b"", crc)
    return crc
