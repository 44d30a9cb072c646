"""`Committer`: operations of many callers, put into the log by one thread.

It takes what has queued while the last transaction was written, so one fsync serves all who wait.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import astuple, dataclass

from lsr.errors import ConflictError, InputError, LsrError, StorageError
from lsr.files import is_text
from lsr.index.collection.reader import CollectionReader
from lsr.index.live.encoding import given_of
from lsr.index.live.log import Asked, OperationLog
from lsr.index.live.operation import (
    Operation,
    Written,
    body_of,
    checked,
    document_of,
    patched,
)
from lsr.types import Document

__all__ = ["Committer"]

_MOST_OPERATIONS = 2_000
_MOST_BYTES = 8 << 20


_TRIES = 5
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Request:
    operations: tuple[Operation, ...]
    bodies: tuple[bytes | None, ...]
    given: tuple[str | None, ...]
    key: str | None
    answer: Future[list[Written]]

    @property
    def n_bytes(self) -> int:
        return sum(len(body or b"") + 256 for body in self.bodies)

    def digest(self) -> str:
        """Hash of what is asked for."""
        content = [
            (each.kind, each.doc_id, (body or b"").decode(), each.if_version, given)
            for each, body, given in zip(self.operations, self.bodies, self.given, strict=True)
        ]
        fields = [dict(each.fields or {}) for each in self.operations]
        return hashlib.sha256(json.dumps([content, fields]).encode()).hexdigest()


class _OvertakenError(Exception):
    """The log lacks operations that are in a generation which is not open here yet."""


class Committer:
    """The one thread of a process that appends to a log.

    Args:
        log: gives the log, made if need be.
        published: gives the newest generation, opened.
        committed: called after each transaction.
    """

    def __init__(
        self,
        log: Callable[[], OperationLog],
        published: Callable[[], CollectionReader],
        committed: Callable[[], None],
    ) -> None:
        self._log = log
        self._published = published
        self._committed = committed
        self._queue: deque[_Request] = deque()
        self._wakes = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def submit(self, operations: Sequence[Operation], key: str | None) -> Future[list[Written]]:
        """Queue operations, which become durable together; the future is their outcomes.

        Args:
            key: the caller's name for this request: sent again, it gives the first answer again.

        Raises:
            InputError: an operation is one that no collection could carry out.
            StorageError: the collection is closed. From the future also when it cannot be written.
        """
        if key is not None and not is_text(key):
            raise InputError("the idempotency key holds half a surrogate pair, which is not text")
        bodies = tuple(map(checked, operations))
        given = tuple(map(given_of, operations))
        request = _Request(tuple(operations), bodies, given, key, Future())
        with self._wakes:
            if self._closing:
                raise StorageError("the collection is being closed; write to it again later")
            self._queue.append(request)
            self._wakes.notify()
        return request.answer

    def close(self) -> None:
        """Commit what has queued, and stop."""
        with self._wakes:
            self._closing = True
            self._wakes.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wakes:
                while not self._queue and not self._closing:
                    self._wakes.wait()
                taken = self._taken()
            if not taken:
                return
            self._commit(taken)

    def _taken(self) -> list[_Request]:
        taken: list[_Request] = []
        n_operations = n_bytes = 0
        while self._queue and n_operations < _MOST_OPERATIONS and n_bytes < _MOST_BYTES:
            taken.append(self._queue.popleft())
            n_operations += len(taken[-1].operations)
            n_bytes += taken[-1].n_bytes
        return taken

    def _commit(self, requests: list[_Request]) -> None:
        requests = [each for each in requests if each.answer.set_running_or_notify_cancel()]
        try:
            outcomes = self._outcomes(requests)
        except Exception as error:  # noqa: BLE001
            if not isinstance(error, LsrError):
                _log.exception("operations could not be committed")
            for request in requests:
                request.answer.set_exception(error)
            return
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(outcome, LsrError):
                request.answer.set_exception(outcome)
            else:
                request.answer.set_result(outcome)
        self._committed()

    def _outcomes(self, requests: Sequence[_Request]) -> list[list[Written] | LsrError]:
        for _ in range(_TRIES):
            published, log = self._published(), self._log()
            try:
                with log.transaction() as connection:
                    if log.trimmed() > published.manifest.log_seq:
                        raise _OvertakenError
                    group = _Group(log, published, connection, requests)
                    answers = [group.answer(request) for request in requests]
                    group.write()
                    return answers
            except _OvertakenError:
                continue
        raise StorageError("the collection is published faster than it can be read; try again")


class _Group:
    """Requests that share a transaction.

    What they find is read at once, and what they do is written at once, when all are answered.
    """

    def __init__(
        self,
        log: OperationLog,
        published: CollectionReader,
        connection: sqlite3.Connection,
        requests: Sequence[_Request],
    ) -> None:
        self._log = log
        self._published = published
        self._applied = published.manifest.log_seq
        self._connection = connection
        self._last = log.last(connection)
        self._asked: list[Asked] = []
        doc_ids = {each.doc_id for request in requests for each in request.operations}
        self._versions = self._found(list(doc_ids))
        self._bodies: dict[str, bytes | None] = {}

    def _found(self, doc_ids: list[str]) -> dict[str, int]:
        """The versions of those documents that are there."""
        known = self._log.newest_of(doc_ids, self._applied)
        store = self._published.store
        rows = store.rows([doc_id for doc_id in doc_ids if doc_id not in known])
        versions = dict(zip(rows, store.versions(list(rows.values())), strict=True))
        return versions | {doc_id: seq for doc_id, (seq, is_there) in known.items() if is_there}

    def answer(self, request: _Request) -> list[Written] | LsrError:
        """The outcomes of a request, whose operations are written by `write`."""
        if request.key is not None:
            digest = request.digest()
            known = self._log.answered(request.key)
            if known is not None and known[0] != digest:
                return ConflictError(
                    f"the idempotency key {request.key[:64]!r} belongs to another request; give "
                    "every request a key of its own"
                )
            if known is not None:
                return [Written(*each) for each in known[1]]
        parts = zip(request.operations, request.bodies, request.given, strict=True)
        written = [self._written(*part) for part in parts]
        if request.key is not None:
            answer = [astuple(each) for each in written]
            self._log.note_answer(self._connection, request.key, digest, answer)
        return written

    def write(self) -> None:
        """Append the operations of all requests that were answered."""
        self._log.append(self._connection, self._asked)

    def _written(self, operation: Operation, body: bytes | None, given: str | None) -> Written:
        doc_id, wanted = operation.doc_id, operation.if_version
        is_there = doc_id in self._versions
        version, last = self._versions.get(doc_id, 0), self._last
        if wanted == 0 and is_there:
            reason = f"it is there already, with version {version}; give that one to replace it"
            return Written(doc_id, "conflict", version, last, reason)
        if wanted is not None and wanted != version:
            reason = f"its version is {version}, not {wanted}; read it, and try again"
            return Written(doc_id, "conflict", version, last, reason)
        if operation.kind != "put" and not is_there:
            return Written(doc_id, "missing", 0, last, "there is no such document")
        if operation.kind == "patch":
            try:
                body = body_of(patched(self._document(doc_id), operation.fields or {}))
            except InputError as error:
                return Written(doc_id, "invalid", version, last, str(error))
        self._last = seq = last + 1
        self._asked.append((seq, doc_id, body, given))
        self._bodies[doc_id] = body
        if operation.kind == "delete":
            del self._versions[doc_id]
            return Written(doc_id, "deleted", 0, seq)
        self._versions[doc_id] = seq
        return Written(doc_id, "replaced" if is_there else "created", seq, seq)

    def _document(self, doc_id: str) -> Document:
        """A document that is there, as it is now."""
        body = self._bodies.get(doc_id)
        if body is None:
            known = self._log.newest(doc_id, self._applied)
            body = None if known is None else known[1]
        return self._published.document(doc_id) if body is None else document_of(doc_id, body)
