"""`Committer`: operations of many callers, put into the log by one thread.

It takes what has queued while the last transaction was written, so one fsync serves all who wait.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import astuple, dataclass

from lsr.errors import ConflictError, LsrError, StorageError
from lsr.index.live.encoding import given_of
from lsr.index.live.log import OperationLog
from lsr.index.live.operation import Operation, Stored, Written, body_of, checked, patched

__all__ = ["Committer"]

_MOST_OPERATIONS = 2_000
_MOST_BYTES = 8 << 20


@dataclass(frozen=True)
class _Request:
    operations: tuple[Operation, ...]
    bodies: tuple[bytes | None, ...]
    key: str | None
    answer: Future[list[Written]]

    @property
    def n_bytes(self) -> int:
        return sum(len(body or b"") + 256 for body in self.bodies)

    def digest(self) -> str:
        """Hash of what is asked for."""
        content = [
            (each.kind, each.doc_id, (body or b"").decode(), each.if_version, given_of(each))
            for each, body in zip(self.operations, self.bodies, strict=True)
        ]
        fields = [dict(each.fields or {}) for each in self.operations]
        return hashlib.sha256(json.dumps([content, fields]).encode()).hexdigest()


class Committer:
    """The one thread of a process that appends to a log.

    Args:
        log: the log.
        version: of a document in the segments, by id; None when there is none.
        published: the document itself.
        committed: called after each transaction.
    """

    def __init__(
        self,
        log: OperationLog,
        version: Callable[[str], int | None],
        published: Callable[[str], Stored | None],
        committed: Callable[[], None],
    ) -> None:
        self._log = log
        self._version = version
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
        for each in operations:
            checked(each)
        bodies = tuple(
            None if each.document is None else body_of(each.document) for each in operations
        )
        request = _Request(tuple(operations), bodies, key, Future())
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
        outcomes: list[list[Written] | LsrError] = []
        try:
            with self._log.transaction() as connection:
                outcomes = [self._answer(request, connection) for request in requests]
        except Exception as error:
            for request in requests:
                request.answer.set_exception(error)
            if not isinstance(error, LsrError):
                raise
            return
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(outcome, LsrError):
                request.answer.set_exception(outcome)
            else:
                request.answer.set_result(outcome)
        self._committed()

    def _answer(
        self, request: _Request, connection: sqlite3.Connection
    ) -> list[Written] | LsrError:
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
        written = [
            self._written(operation, body, connection)
            for operation, body in zip(request.operations, request.bodies, strict=True)
        ]
        if request.key is not None:
            answer = [astuple(each) for each in written]
            self._log.note_answer(connection, request.key, digest, answer)
        return written

    def _written(
        self, operation: Operation, body: bytes | None, connection: sqlite3.Connection
    ) -> Written:
        doc_id = operation.doc_id
        last = self._log.last(connection)
        known = self._log.latest_version(doc_id)
        if known is None:
            published = self._version(doc_id)
            version, is_there = published or 0, published is not None
        else:
            version, is_there = known if known[1] else (0, False)
        wanted = operation.if_version
        if wanted is not None and (wanted != version or (wanted == 0 and is_there)):
            reason = f"its version is {version}, not {wanted}; read it, and try again"
            return Written(doc_id, "conflict", version, last, reason)
        if operation.kind != "put" and not is_there:
            return Written(doc_id, "missing", 0, last, "there is no such document")
        if operation.kind == "patch":
            stored = self._log.stored(doc_id) if known else self._published(doc_id)
            if stored is None:
                return Written(doc_id, "missing", 0, last, "there is no such document")
            body = body_of(patched(stored.document, operation.fields or {}))
        seq = self._log.append(connection, doc_id, body, given_of(operation))
        if operation.kind == "delete":
            return Written(doc_id, "deleted", 0, seq)
        return Written(doc_id, "replaced" if is_there else "created", seq, seq)
