"""`LiveCollection`: a collection that is fed and followed while it is searched."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lsr.encoders.protocols import CorpusEncoder
from lsr.errors import (
    InputError,
    LsrError,
    NotFoundError,
    OverloadedError,
    StorageError,
)
from lsr.index.collection.reader import CollectionReader
from lsr.index.live.committer import Committer
from lsr.index.live.encoding import checked_given, given_of
from lsr.index.live.follower import Follower
from lsr.index.live.keeper import Keeper
from lsr.index.live.log import LOG_FILE, OperationLog
from lsr.index.live.operation import Operation, Stored, Written
from lsr.index.live.worker import Worker
from lsr.progress import Progress, no_progress

__all__ = ["MOST_WAITING", "CollectionState", "LiveCollection"]

MOST_WAITING = 1_000_000
"""Operations that may wait to be encoded; more are refused."""
_LOOKS_SECONDS = 0.1
"""Between two looks at what others have published or written."""
_TAKES_OVER_SECONDS = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CollectionState:
    """Progress of a collection.

    Attributes:
        generation: what is published.
        published: the last operation that is in its segments.
        searchable: the last operation that searches see.
        acknowledged: the last operation that is durable.
        is_keeper: whether this process encodes and publishes.
        error: why following, encoding or publishing does not get on, or None.
    """

    generation: int
    published: int
    searchable: int
    acknowledged: int
    is_keeper: bool
    error: str | None


class LiveCollection:
    """A handle around an immutable view, which is replaced when anything changes.

    Several processes may have the same collection open. All of them follow and may write; one of
    them is the keeper, which encodes and publishes.

    Args:
        published: the newest generation; the handle closes it.
        keeper: whether this process may become the keeper. One that may not writes nothing.
        address: where others reach this service, for those that find the collection kept.
    """

    def __init__(
        self, published: CollectionReader, *, keeper: bool = True, address: str = ""
    ) -> None:
        self.path = published.path
        self._may_keep = keeper
        self._address = address
        self._oplog: OperationLog | None = None
        self._opening = threading.Lock()
        self._closing = False
        self._error: str | None = None
        self._follower = Follower(published, self._open_log)
        self._worker = Worker(self.path)
        self._keeper = Keeper(
            self.path, self._follower, self._open_log, self._worker, self._look_now
        )
        self._committer: Committer | None = None
        self._looks = threading.Event()
        self._follower.follow()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls, path: Path, *, verify: bool = True, keeper: bool = True, address: str = ""
    ) -> LiveCollection:
        """Open the collection in a folder.

        Args:
            verify: compare every file with its checksum first.
            keeper, address: as the constructor.

        Raises:
            IndexMissingError, IndexVersionError, IndexCorruptError: the folder cannot be used.
        """
        published = CollectionReader.open(path, verify=verify)
        try:
            return cls(published, keeper=keeper, address=address)
        except BaseException:
            published.close()
            raise

    @property
    def view(self) -> CollectionReader:
        """The collection of this moment. Take it once for each request; it does not change."""
        return self._follower.view

    @property
    def seen(self) -> tuple[int, int]:
        """Generation and last operation of the view, or of one before it; without a look at disk.

        While they stay the same, so does what searches find.
        """
        return self._follower.seen

    @property
    def state(self) -> CollectionState:
        """The progress of the collection, now."""
        follower, log = self._follower, self._open_log()
        manifest = follower.published.manifest
        return CollectionState(
            manifest.generation,
            manifest.log_seq,
            follower.searchable,
            manifest.log_seq if log is None else log.state().last,
            self._keeper.is_keeper,
            self._error or self._keeper.error,
        )

    def write(
        self, operations: Sequence[Operation], *, idempotency_key: str | None = None
    ) -> list[Written]:
        """Make operations durable; see `submit`."""
        return self.submit(operations, idempotency_key=idempotency_key).result()

    def submit(
        self, operations: Sequence[Operation], *, idempotency_key: str | None = None
    ) -> Future[list[Written]]:
        """Queue operations. When the future has their outcomes, they survive a kill.

        They are searchable a moment later; see `wait_searchable`.

        Args:
            idempotency_key: a name for this request: sent again within a day, it changes nothing
                and gives the first answer again.

        Raises:
            InputError: an operation that this collection cannot carry out; none is.
            StorageError: the collection is opened for reading. From the future also when the
                disk is full; nothing was changed then.
            OverloadedError: too many operations wait to be encoded.
        """
        for each in operations:
            self._check(each)
        waiting = self._waiting()
        if waiting > MOST_WAITING:
            raise OverloadedError(
                f"{waiting:,} operations wait to be encoded; wait a while, then try again"
            )
        return self._open_committer().submit(operations, idempotency_key)

    def stored(self, doc_id: str) -> Stored | None:
        """A document as it was last written, also before searches see it; None without one."""
        log = self._open_log()
        if log is not None and log.latest_version(doc_id) is not None:
            return log.stored(doc_id)
        return self._published(doc_id)

    def wait_searchable(self, seq: int, timeout: float) -> bool:
        """Wait until searches see an operation; whether they do."""
        return self._follower.wait(seq, timeout)

    def follow(self) -> bool:
        """Look now at what others have changed; whether the view changed.

        Raises:
            IndexStateError: the folder is gone or cannot be read; the view stays as it was.
        """
        return self._follower.follow()

    def publish(self, progress: Progress = no_progress) -> int:
        """Publish what is encoded, in a process of its own. Returns the generation.

        Raises:
            StorageError: the disk is full, or another writer is at work.
            TaskCancelledError: it was cancelled.
        """
        return self._task("publish", progress)

    def merge(self, progress: Progress = no_progress) -> int:
        """Write all segments into one, in a process of its own. Returns the generation.

        Raises:
            StorageError: the disk is full, or another writer is at work.
            TaskCancelledError: it was cancelled.
        """
        self._task("publish", progress)
        return self._task("merge", progress)

    def cancel(self) -> None:
        """Kill the process of the task that runs, if there is one. Nothing it did is visible."""
        self._worker.cancel()

    def warm_up(self) -> None:
        """Compile kernels and load models that the first search needs."""
        self.view.warm_up()

    def close(self) -> None:
        """Commit what has queued, publish what is encoded, and stop. Views can still be read."""
        self._closing = True
        if self._committer is not None:
            self._committer.close()
        if self._keeper.is_keeper and self.state.searchable > self.state.published:
            try:
                self._worker.run("publish")
            except LsrError as error:
                _log.warning("%s: not published at the end: %s", self.path, error)
        self._worker.close()
        self._keeper.close()
        self._looks.set()
        self._thread.join()
        if self._oplog is not None:
            self._oplog.close()

    def __enter__(self) -> LiveCollection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _task(self, task: str, progress: Progress) -> int:
        result = self._worker.run(task, progress=progress)
        self.follow()
        return int(result["generation"])

    def _check(self, operation: Operation) -> None:
        encoder = self._follower.encoder
        given = given_of(operation)
        if given is not None:
            if operation.sparse is not None and isinstance(encoder, CorpusEncoder):
                raise InputError(
                    f"vectors.sparse: this collection's vectors are made by {encoder.identity.name}"
                    " from the text, and made again with every merge; leave them out"
                )
            checked_given(given, encoder, self._follower.published.segment.dimension)
        if encoder.identity.kind == "precomputed" and operation.kind != "delete":
            if operation.kind == "patch":
                raise InputError(
                    "this collection is of vectors made elsewhere, so that a document cannot be "
                    "changed in part; put it whole, with its vectors"
                )
            if operation.sparse is None:
                raise InputError(
                    f"document {operation.doc_id[:64]!r} has no vectors.sparse, and this "
                    "collection is of vectors made elsewhere; give them"
                )

    def _waiting(self) -> int:
        """Operations that are durable and not searchable yet."""
        log = self._oplog
        return 0 if log is None else log.last_appended - self._follower.searchable

    def _published(self, doc_id: str) -> Stored | None:
        try:
            return Stored(*self._follower.published.stored(doc_id))
        except NotFoundError:
            return None

    def _published_version(self, doc_id: str) -> int | None:
        store = self._follower.published.store
        row = store.row(doc_id)
        return None if row is None else store.versions([row])[0]

    def _open_log(self) -> OperationLog | None:
        """The log, where it was ever written to."""
        with self._opening:
            if self._oplog is None and (self.path / LOG_FILE).exists():
                self._oplog = self._made_log()
            return self._oplog

    def _made_log(self) -> OperationLog:
        return OperationLog(self.path / LOG_FILE, self._follower.published.manifest.log_seq)

    def _open_committer(self) -> Committer:
        if not self._may_keep:
            raise StorageError(f"{self.path} is served for reading only; write to its main service")
        with self._opening:
            if self._oplog is None:
                self._oplog = self._made_log()
            if self._committer is None:
                self._committer = Committer(
                    self._oplog, self._published_version, self._published, self._keeper.wake
                )
            return self._committer

    def _look_now(self) -> None:
        self._looks.set()

    def _run(self) -> None:
        took_over = 0.0
        while not self._closing:
            self._looks.wait(_LOOKS_SECONDS)
            self._looks.clear()
            try:
                self.follow()
                self._error = None
            except LsrError as error:
                if str(error) != self._error:
                    _log.error("%s: cannot follow: %s", self.path, error)
                self._error = str(error)
            now = time.monotonic()
            if self._may_keep and now - took_over > _TAKES_OVER_SECONDS and not self._closing:
                took_over = now
                self._keeper.take_over(self._address)
