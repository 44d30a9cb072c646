"""`LiveCollection`: a collection that is fed and followed while it is searched."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lsr.encoders.dense_recipe import similarity_of
from lsr.encoders.protocols import CorpusEncoder
from lsr.errors import InputError, LsrError, NotFoundError, OverloadedError, StorageError
from lsr.index.collection.reader import CollectionReader
from lsr.index.live.committer import Committer
from lsr.index.live.encoding import checked_given, given_of
from lsr.index.live.follower import Follower
from lsr.index.live.keeper import Keeper
from lsr.index.live.log import LOG_FILE, OperationLog
from lsr.index.live.operation import Operation, Stored, Written, document_of
from lsr.index.live.worker import Worker
from lsr.index.storage.resident import Residence
from lsr.progress import Progress, no_progress

__all__ = ["MOST_WAITING", "CollectionState", "LiveCollection"]

MOST_WAITING = 1_000_000
"""Operations that may wait to be encoded; more are refused."""
_LOOKS_SECONDS = 0.1
"""Between two looks at what others have published or written."""
_TAKES_OVER_SECONDS = 1.0
_STUCK_SECONDS = 10.0
"""Nothing was encoded for this time: what is encoded is published without the rest."""
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
        damage: a sentence on a file that was changed in place while it is served, or None.
    """

    generation: int
    published: int
    searchable: int
    acknowledged: int
    is_keeper: bool
    error: str | None
    damage: str | None = None


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
        self._floor = 0
        self._opening = threading.Lock()
        self._closing = False
        self._error: str | None = None
        self._damage: str | None = None
        self._follower = Follower(published, self._open_log)
        self._worker = Worker(self.path)
        self._keeper = Keeper(
            self.path, self._follower, self._open_log, self._worker, self._look_now
        )
        self._committer: Committer | None = None
        self._looks = threading.Event()
        self._follower.follow()
        if keeper:
            self._keeper.take_over(address)
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        verify: bool = True,
        keeper: bool = True,
        address: str = "",
        residence: Residence = "mapped",
    ) -> LiveCollection:
        """Open the collection in a folder.

        Args:
            verify: compare every file with its checksum first.
            keeper, address: as the constructor.
            residence: as `CollectionReader.open`, also of generations to come.

        Raises:
            IndexMissingError, IndexVersionError, IndexCorruptError: the folder cannot be used.
        """
        published = CollectionReader.open(path, verify=verify, residence=residence)
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
            follower.shown,
            manifest.log_seq if log is None else log.state().last,
            self._keeper.is_keeper,
            self._error or self._keeper.error,
            self._damage,
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
        published, log = self._follower.published, self._open_log()
        if log is not None and log.trimmed() > published.manifest.log_seq:
            published = self._follower.follow_manifest()  # what the log lacks is in a newer one
        known = None if log is None else log.newest(doc_id, published.manifest.log_seq)
        if known is not None:
            seq, body = known
            return None if body is None else Stored(document_of(doc_id, body), seq)
        try:
            return Stored(*published.stored(doc_id))
        except NotFoundError:
            return None

    def wait_searchable(self, seq: int, timeout: float) -> bool:
        """Wait until searches see an operation; whether they do."""
        return self._follower.wait(seq, timeout)

    def follow(self) -> bool:
        """Look now at what others have changed; whether the view changed.

        Raises IndexStateError when the folder is gone or cannot be read; the view stays as it was.
        """
        return self._follower.follow()

    def publish(self, progress: Progress = no_progress) -> int:
        """Publish what is acknowledged, in a process of its own. Returns the generation.

        Operations that wait for their vectors are waited for, as long as the keeper gets on.

        Raises:
            StorageError: the disk is full, or another writer is at work.
            TaskCancelledError: it was cancelled.
        """
        self._wait_encoded(progress)
        return self._task("publish", progress)

    def merge(self, progress: Progress = no_progress) -> int:
        """Write all segments into one, in a process of its own. Returns the generation.

        Raises:
            StorageError: the disk is full, or another writer is at work.
            TaskCancelledError: it was cancelled.
        """
        self.publish(progress)
        return self._task("merge", progress)

    def cancel(self) -> None:
        """Kill the process of the task that runs, if there is one. Nothing it did is visible."""
        self._worker.cancel()

    def warm_up(self) -> None:
        """Compile kernels and load models that the first search needs."""
        self.view.warm_up()

    def close(self, *, publish: bool = True) -> None:
        """Commit what has queued, publish what is encoded, and stop. Views can still be read.

        Args:
            publish: whether to publish; what is not stays in the log.
        """
        self._closing = True
        if self._committer is not None:
            self._committer.close()
        self._looks.set()
        self._thread.join()  # at first, as it would take over what is let go
        try:
            if publish and self._keeper.is_keeper and self.state.searchable > self.state.published:
                self._worker.run("publish")
        except LsrError as error:
            _log.warning("%s: not published at the end: %s", self.path, error)
        self._worker.close()
        self._keeper.close()
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

    def _wait_encoded(self, progress: Progress) -> None:
        log = self._open_log()
        if log is None:
            return
        last, deadline, seen = log.state().last, time.monotonic() + _STUCK_SECONDS, -1
        while time.monotonic() < deadline and not self._closing:
            self.follow()
            manifest = self._follower.published.manifest
            is_known = log.knows_encoder(manifest.log_seq, manifest.sparse.sha256)
            encoded = max(manifest.log_seq, log.state().encoded if is_known else 0)
            if encoded >= last:
                return
            if encoded > seen:
                seen, deadline = encoded, time.monotonic() + _STUCK_SECONDS
            progress("encode", encoded, last)
            self._keeper.wake()
            time.sleep(_LOOKS_SECONDS / 5)

    def _check(self, operation: Operation) -> None:
        encoder, manifest = self._follower.encoder, self._follower.published.manifest
        given = given_of(operation)
        if given is not None:
            if operation.sparse is not None and isinstance(encoder, CorpusEncoder):
                raise InputError(
                    f"vectors.sparse: this collection's vectors are made by {manifest.sparse.name}"
                    " from the text, and made again with every merge; leave them out"
                )
            dimension = self._follower.published.segment.dimension
            checked_given(given, encoder, dimension, similarity_of(manifest.dense))
        if manifest.sparse.kind == "precomputed" and operation.kind != "delete":
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
        return 0 if log is None else log.last_appended - self._follower.shown

    def _open_log(self) -> OperationLog | None:
        """The log, where it was ever written to."""
        with self._opening:
            log = self._oplog
            if log is not None and not log.is_there:  # its folder was replaced
                log.close()
                self._oplog = None
            if self._oplog is None and (self.path / LOG_FILE).exists():
                self._oplog = self._made_log()
            return self._oplog

    def _log_to_write(self) -> OperationLog:
        log = self._open_log()
        with self._opening:
            if log is None:
                log = self._oplog = self._made_log()
            return log

    def _made_log(self) -> OperationLog:
        log = OperationLog(self.path / LOG_FILE, max(self._floor, self._published_seq))
        self._floor = max(self._floor, log.state().last)
        return log

    @property
    def _published_seq(self) -> int:
        return self._follower.published.manifest.log_seq

    def _open_committer(self) -> Committer:
        if not self._may_keep:
            raise StorageError(f"{self.path} is served for reading only; write to its main service")
        with self._opening:
            if self._committer is None:
                self._committer = Committer(
                    self._log_to_write, self._follower.follow_manifest, self._committed
                )
            return self._committer

    def _committed(self) -> None:
        log = self._oplog
        self._floor = max(self._floor, 0 if log is None else log.last_appended)
        self._keeper.wake()

    def _look_now(self) -> None:
        self._looks.set()

    def _look_at_files(self) -> None:
        """See whether a file that is served was changed in place, and say so once."""
        with suppress(LsrError):
            damage = self._follower.damage()
            if damage is not None and damage != self._damage:
                _log.error("%s; restore it from a snapshot, or build again", damage)
            self._damage = damage

    def _run(self) -> None:
        took_over, looked = time.monotonic(), 0.0
        while not self._closing:
            self._looks.wait(_LOOKS_SECONDS)
            self._looks.clear()
            try:
                self.follow()
                self._error = None
            except Exception as error:  # noqa: BLE001
                trace = None if isinstance(error, LsrError) else error
                if str(error) != self._error:
                    _log.error("%s: cannot follow: %s", self.path, error, exc_info=trace)
                self._error = str(error)
            now = time.monotonic()
            if now - looked > _TAKES_OVER_SECONDS:
                looked = now
                self._look_at_files()
            if self._may_keep and now - took_over > _TAKES_OVER_SECONDS and not self._closing:
                took_over = now
                self._keeper.take_over(self._address)
