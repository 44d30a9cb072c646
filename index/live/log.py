"""`OperationLog`: what was asked of a collection and is not in its segments yet, in SQLite.

An operation is durable when the transaction that holds it is committed (WAL, synchronous=FULL).
Its vectors come later; they can be made again, so they are not waited for. Several processes may
read and append at once: SQLite puts their transactions in order.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.errors import IndexCorruptError, StorageError
from lsr.index.live.operation import Stored, document_of

__all__ = ["LOG_FILE", "Entry", "LogState", "OperationLog", "Vectors"]

LOG_FILE = "log.sqlite"
"""In the collection's folder."""

_BUSY_SECONDS = 10.0
_KEYS_KEPT_SECONDS = 24 * 3_600

_SCHEMA = """
CREATE TABLE IF NOT EXISTS operations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    doc_id TEXT NOT NULL,
    body BLOB,
    given TEXT,
    terms BLOB,
    weights BLOB,
    dense BLOB,
    learned INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS operations_by_id ON operations (doc_id, seq);
CREATE TABLE IF NOT EXISTS encoders (seq INTEGER NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (seq, sha256)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (
    key TEXT PRIMARY KEY, digest TEXT NOT NULL, answer TEXT NOT NULL, time REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO state VALUES ('encoded', 0), ('epoch', 0);
"""


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
    """

    seq: int
    doc_id: str
    body: bytes | None
    given: str | None
    terms: bytes | None = None
    weights: bytes | None = None
    dense: bytes | None = None
    learned: int = 0


@dataclass(frozen=True)
class Vectors:
    """Vectors of an operation, as `Entry` has them."""

    seq: int
    terms: bytes | None
    weights: bytes | None
    dense: bytes | None
    learned: bool


@dataclass(frozen=True)
class LogState:
    """Progress of the log.

    Attributes:
        last: the last operation that was acknowledged.
        encoded: the last that has its vectors, as all before it have.
        epoch: counts how often vectors were thrown away, because the encoder was another.
    """

    last: int
    encoded: int
    epoch: int


class OperationLog:
    """The log of one collection. May be used from many threads; each has a connection of its own.

    Args:
        path: the database; made with the first use.
        applied: operations up to this number are in the collection's segments: numbers go on
            from there, also where the log is new.

    Raises:
        StorageError: it cannot be written to (also from every method).
        IndexCorruptError: it is damaged (also from every method).
    """

    def __init__(self, path: Path, applied: int) -> None:
        self.path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._writing = threading.Lock()  # threads queue here: SQLite would let them poll
        self.last_appended = 0
        """The last operation that this process appended."""
        with self._speaking():
            self._connection.executescript(_SCHEMA)
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO sqlite_sequence (name, seq) SELECT 'operations', 0 "
                "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'operations')"
            )
            connection.execute(
                "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'operations'", (applied,)
            )

    @property
    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            with self._lock:
                self._connections.append(connection)
            self._local.connection = connection
        return connection

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else writes in; an exception rolls it back.

        Args:
            durable: whether it is on disk when this ends; else perhaps some time later.
        """
        with self._writing, self._speaking():
            connection = self._connection
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StorageError(
                f"{self.path} cannot be written or read ({error}); nothing was changed, so free "
                "some space or get permission, and try again"
            ) from error
        except sqlite3.DatabaseError as error:
            raise IndexCorruptError(
                f"{self.path} is damaged ({error}); restore the collection from a snapshot"
            ) from error

    def _all(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._speaking():
            return self._connection.execute(statement, values).fetchall()

    def append(
        self, connection: sqlite3.Connection, doc_id: str, body: bytes | None, given: str | None
    ) -> int:
        """Note an operation within a transaction. Returns its number."""
        cursor = connection.execute(
            "INSERT INTO operations (doc_id, body, given) VALUES (?, ?, ?)", (doc_id, body, given)
        )
        assert cursor.lastrowid is not None
        self.last_appended = cursor.lastrowid
        return cursor.lastrowid

    def last(self, connection: sqlite3.Connection) -> int:
        """The number of the last operation, also within a transaction."""
        statement = "SELECT seq FROM sqlite_sequence WHERE name = 'operations'"
        return int(connection.execute(statement).fetchone()[0])

    def latest_version(self, doc_id: str) -> tuple[int, bool] | None:
        """Number of the last operation on a document, and whether it is there since then.

        None where the log says nothing of it.
        """
        found = self._all(
            "SELECT seq, body IS NOT NULL FROM operations WHERE doc_id = ? "
            "ORDER BY seq DESC LIMIT 1",
            (doc_id,),
        )
        return (found[0][0], bool(found[0][1])) if found else None

    def stored(self, doc_id: str) -> Stored | None:
        """The document as the log has it last; None where it is deleted, or not in the log."""
        found = self._all(
            "SELECT seq, body FROM operations WHERE doc_id = ? ORDER BY seq DESC LIMIT 1", (doc_id,)
        )
        if not found or found[0][1] is None:
            return None
        return Stored(document_of(doc_id, found[0][1]), found[0][0])

    def state(self) -> LogState:
        """The progress of the log; read in one step."""
        ((last, encoded, epoch),) = self._all(
            "SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'operations'),"
            " (SELECT value FROM state WHERE name = 'encoded'),"
            " (SELECT value FROM state WHERE name = 'epoch')"
        )
        return LogState(last, encoded, epoch)

    def data_version(self) -> int:
        """A number that changes when another connection has written."""
        ((version,),) = self._all("PRAGMA data_version")
        return int(version)

    def entries(self, after: int, until: int, limit: int = -1) -> list[Entry]:
        """Operations with numbers above `after`, up to `until`, in order; at most `limit`."""
        lines = self._all(
            "SELECT seq, doc_id, body, given, terms, weights, dense, learned FROM operations "
            "WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (after, until, limit),
        )
        return [Entry(*line) for line in lines]

    def keep_vectors(self, vectors: Iterable[Vectors], until: int) -> None:
        """Store the vectors of all operations up to `until`, which can be searched from now on."""
        lines = ((each.terms, each.weights, each.dense, each.learned, each.seq) for each in vectors)
        with self.transaction(durable=False) as connection:
            connection.executemany(
                "UPDATE operations SET terms = ?, weights = ?, dense = ?, learned = ? "
                "WHERE seq = ?",
                lines,
            )
            connection.execute(
                "UPDATE state SET value = max(value, ?) WHERE name = 'encoded'", (until,)
            )

    def unpublished(self, after: int) -> tuple[int, int]:
        """Number and bytes of operations above `after` that have their vectors."""
        ((count, n_bytes),) = self._all(
            "SELECT count(*), total(length(body)) FROM operations WHERE seq > ? "
            "AND seq <= (SELECT value FROM state WHERE name = 'encoded')",
            (after,),
        )
        return int(count), int(n_bytes)

    def forget_vectors(self, after: int, sha256: str) -> None:
        """Throw the vectors of all operations above `after` away: the encoder is another now."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE operations SET terms = NULL, weights = NULL, dense = NULL, learned = 0 "
                "WHERE seq > ?",
                (after,),
            )
            connection.execute("UPDATE state SET value = ? WHERE name = 'encoded'", (after,))
            connection.execute("UPDATE state SET value = value + 1 WHERE name = 'epoch'")
            connection.execute("INSERT OR REPLACE INTO encoders VALUES (?, ?)", (after, sha256))

    def note_encoder(self, seq: int, sha256: str) -> None:
        """Note what the encoder is when it has learned from all operations up to `seq`."""
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO encoders VALUES (?, ?)", (seq, sha256))

    def knows_encoder(self, seq: int, sha256: str) -> bool:
        """Whether vectors above `seq` were made by this encoder, or by what it grew to."""
        return bool(self._all("SELECT 1 FROM encoders WHERE seq = ? AND sha256 = ?", (seq, sha256)))

    def trim(self, applied: int) -> None:
        """Remove operations up to `applied`, which are in the segments, and old request keys."""
        with self.transaction(durable=False) as connection:
            connection.execute("DELETE FROM operations WHERE seq <= ?", (applied,))
            connection.execute("DELETE FROM encoders WHERE seq < ?", (applied,))
            connection.execute(
                "DELETE FROM requests WHERE time < ?", (time.time() - _KEYS_KEPT_SECONDS,)
            )

    def answered(self, key: str) -> tuple[str, Any] | None:
        """Digest and answer of the request that had a key, if there was one lately."""
        found = self._all("SELECT digest, answer FROM requests WHERE key = ?", (key,))
        return (found[0][0], json.loads(found[0][1])) if found else None

    def note_answer(
        self, connection: sqlite3.Connection, key: str, digest: str, answer: object
    ) -> None:
        """Note the answer to a request within its transaction."""
        connection.execute(
            "INSERT INTO requests VALUES (?, ?, ?, ?)",
            (key, digest, json.dumps(answer), time.time()),
        )

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
