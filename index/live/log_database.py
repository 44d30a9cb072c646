"""`LogDatabase`: the SQLite database of a log, with connections for many threads."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lsr.errors import IndexCorruptError, InputError, StorageError

__all__ = ["LogDatabase"]

_BUSY_SECONDS = 10.0
_IDLE_CONNECTIONS = 8

_SCHEMA = """
CREATE TABLE IF NOT EXISTS operations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    doc_id TEXT NOT NULL,
    body BLOB,
    given TEXT,
    crc INTEGER NOT NULL,
    terms BLOB,
    weights BLOB,
    dense BLOB,
    learned INTEGER NOT NULL DEFAULT 0,
    vectors_crc INTEGER NOT NULL DEFAULT 0,
    passages BLOB
);
CREATE INDEX IF NOT EXISTS operations_by_id ON operations (doc_id, seq);
CREATE TABLE IF NOT EXISTS encoders (seq INTEGER NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (seq, sha256)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (
    key TEXT PRIMARY KEY, digest TEXT NOT NULL, answer TEXT NOT NULL, time REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO state VALUES ('encoded', 0), ('epoch', abs(random() / 2)), ('trimmed', 0);
"""


class LogDatabase:
    """Tables of a log, and transactions in them. May be used from many threads.

    Args:
        path: the database; made with the first use.
        applied: operations up to this number are in the collection's segments: numbers go on
            from there, also where the log is new.

    Raises:
        StorageError: it cannot be written to, or was removed (also from every method).
        IndexCorruptError: it is damaged (also from every method).
    """

    def __init__(self, path: Path, applied: int) -> None:
        self.path = path
        self._own = threading.local()
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._writing = threading.Lock()  # threads queue here: SQLite would let them poll
        self._closed = False
        self._file: tuple[int, int] | None = None
        with self.speaking(), self._borrowed() as connection:
            _make(connection)
            self._file = _identity(path)
        with self.transaction() as connection:
            connection.execute(
                "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'operations'", (applied,)
            )

    @property
    def is_there(self) -> bool:
        """Whether the file that is open is still the one of that name."""
        return self._file == _identity(self.path)

    def _connect(self) -> sqlite3.Connection:
        mode = "rwc" if self._file is None else "rw"
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    @contextmanager
    def _borrowed(self) -> Iterator[sqlite3.Connection]:
        """A connection: that of the thread's transaction, or one that nobody else uses now."""
        own: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if own is not None:
            yield own
            return
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        try:
            yield connection
        finally:
            with self._lock:
                keeps = not self._closed and len(self._idle) < _IDLE_CONNECTIONS
                if keeps:
                    self._idle.append(connection)
            if not keeps:
                connection.close()

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else writes in; an exception rolls it back.

        Args:
            durable: whether it is on disk when this ends; else perhaps some time later.
        """
        with self._writing, self.speaking(), self._borrowed() as connection:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            self._own.connection = connection
            try:
                yield connection
                if not self.is_there:
                    raise StorageError(
                        f"{self.path} was removed while it was open; nothing was written"
                    )
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            finally:
                self._own.connection = None

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Turns what SQLite raises into errors of this package."""
        try:
            yield
        except sqlite3.DataError as error:
            raise InputError(f"{self.path} cannot hold the operation ({error})") from error
        except sqlite3.OperationalError as error:
            if "decode" in str(error):
                raise self.damaged(str(error)) from error
            raise StorageError(
                f"{self.path} cannot be written or read ({error}); nothing was changed, so free "
                "some space or get permission, and try again"
            ) from error
        except sqlite3.DatabaseError as error:
            raise self.damaged(str(error)) from error

    def damaged(self, what: str) -> IndexCorruptError:
        """The error that says so."""
        return IndexCorruptError(
            f"{self.path} is damaged ({what}); restore the collection from a snapshot"
        )

    def all(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All lines that a statement gives."""
        with self.speaking(), self._borrowed() as connection:
            return connection.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close all connections; one that is in use when it is given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def _make(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log, and make the tables that are missing."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:  # SQLite does not wait for this one
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'state'"
    if connection.execute(tables).fetchone() == (1,):
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(operations)")]
        if "passages" not in columns:  # of a log that was made before there were passages
            connection.execute("ALTER TABLE operations ADD COLUMN passages BLOB")
        return
    connection.executescript(
        f"BEGIN IMMEDIATE; {_SCHEMA}"
        "INSERT INTO sqlite_sequence (name, seq) SELECT 'operations', 0 "
        "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'operations'); COMMIT;"
    )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
