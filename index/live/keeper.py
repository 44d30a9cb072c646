"""`Keeper`: the one process of a collection that encodes what is written, and publishes it.

It holds a lock beside the log. When it ends, another process takes its place.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from lsr.encoders.dense_recipe import similarity_of
from lsr.encoders.protocols import Encoder
from lsr.errors import LsrError, TaskCancelledError
from lsr.index.collection.encode import splitting
from lsr.index.live.encoding import encoded
from lsr.index.live.follower import Follower
from lsr.index.live.log import Entry, OperationLog, Vectors
from lsr.index.live.worker import Worker
from lsr.locks import FileLock, is_held, noted

__all__ = ["LOCK_FILE", "Keeper", "is_kept", "keeper_address"]

LOCK_FILE = "log.lock"
"""In the collection's folder: locked by its keeper, whose address it holds."""

_LEAST_AT_ONCE, _MOST_AT_ONCE = 16, 2_000
_SECONDS_AT_ONCE = 0.25
"""What one batch may take to encode, by the speed of the batch before it."""
_GATHERED_SECONDS, _MOST_GATHERED_SECONDS = 0.05, 0.2
"""How long single writes are gathered after a batch: as long as it took, within these."""
_PUBLISHED_FROM = 1_000
_PUBLISHED_BYTES = 16 << 20
_PUBLISHED_SECONDS = 30.0
_TRIMMED_SECONDS = 60.0
"""Operations stay in the log for this time after their publication, as others may look there."""
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 16.0
_log = logging.getLogger(__name__)


class Keeper:
    """Encodes and publishes, in two threads, while it holds the lock.

    Args:
        collection: the folder.
        follower: the view of this process, whose encoder is used.
        open_log: gives the log; None as long as nothing was ever written to it.
        worker: where publication runs.
        changed: called when the log has vectors, or the folder a generation, that are new.
    """

    def __init__(
        self,
        collection: Path,
        follower: Follower,
        open_log: Callable[[], OperationLog | None],
        worker: Worker,
        changed: Callable[[], None],
    ) -> None:
        self._path = collection / LOCK_FILE
        self._follower = follower
        self._open_log = open_log
        self._worker = worker
        self._changed = changed
        self._lock: FileLock | None = None
        self._stops = threading.Event()
        self._wakes = threading.Condition()
        self._n_woken = 0
        self._threads: list[threading.Thread] = []
        self._rate = float(_LEAST_AT_ONCE) / _SECONDS_AT_ONCE
        self._waiting: tuple[float, int] | None = None
        self._applied: list[tuple[float, int]] = []
        self._errors: dict[str, str] = {}

    @property
    def error(self) -> str | None:
        """Why encoding or publishing does not get on; None when both do."""
        errors = self._errors
        return errors.get("encode") or errors.get("publish")

    @property
    def is_keeper(self) -> bool:
        """Whether this process is the one."""
        return self._lock is not None

    def take_over(self, address: str) -> bool:
        """Become the keeper, if there is none; whether this is it now.

        Args:
            address: where others reach the service; noted for them.
        """
        if self._lock is not None:
            if self._lock.is_in_place:
                return True
            self._let_go()  # the folder was replaced
        with suppress(OSError):  # the folder cannot be written to
            self._lock = FileLock.take(self._path, mode=0o644)
        if self._lock is None:
            return False
        self._lock.note(json.dumps({"pid": os.getpid(), "address": address}).encode())
        self._errors.clear()
        self._waiting, self._applied = None, []
        self._stops = threading.Event()
        for run in (self._feed, self._publish):
            thread = threading.Thread(
                target=run, args=(self._stops,), name=run.__name__.strip("_"), daemon=True
            )
            thread.start()
            self._threads.append(thread)
        return True

    def _let_go(self) -> None:
        self._stops.set()
        self.wake()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        if self._lock is not None:
            self._lock.release(remove=False)
            self._lock = None

    def wake(self) -> None:
        """Look at the log now."""
        with self._wakes:
            self._n_woken += 1
            self._wakes.notify_all()

    def close(self) -> None:
        """Stop, and let another process take over."""
        self._let_go()

    def _feed(self, stops: threading.Event) -> None:
        while not stops.is_set():
            begin, most, n_woken = time.perf_counter(), self._most_at_once, self._n_woken
            try:
                n_encoded = self._encode(most)
                self._errors.pop("encode", None)
            except Exception as error:  # noqa: BLE001
                self._complain("encode", error)
                n_encoded = 0
            if n_encoded == 0:
                self._wait(_PAUSE_SECONDS, stops, n_woken)
            elif n_encoded < most:
                took = time.perf_counter() - begin
                stops.wait(min(max(took, _GATHERED_SECONDS), _MOST_GATHERED_SECONDS))

    @property
    def _most_at_once(self) -> int:
        return int(min(max(self._rate * _SECONDS_AT_ONCE, _LEAST_AT_ONCE), _MOST_AT_ONCE))

    def _encode(self, most: int) -> int:
        """Give the next operations, at most so many, their vectors; how many there were."""
        log = self._open_log()
        if log is None:
            return 0
        follower = self._follower
        with follower.lock:
            follower.follow()
            manifest = follower.published.manifest
            if not log.knows_encoder(manifest.log_seq, manifest.sparse.sha256):
                if follower.learned > manifest.log_seq:
                    follower.reset()
                log.forget_vectors(manifest.log_seq, manifest.sparse.sha256)
                follower.follow()
            state, encoder = log.state(), follower.encoder
        after = max(state.encoded, manifest.log_seq)
        entries = log.entries(after, state.last, most)
        if not entries:
            return 0
        begin = time.perf_counter()
        if self._waiting is None or self._waiting[1] <= manifest.log_seq:
            self._waiting = time.monotonic(), entries[0].seq
        dimension = follower.published.segment.dimension
        dense = follower.published.dense.model if dimension else None
        try:
            split = splitting(manifest.passages, encoder, dense)
            similarity = similarity_of(manifest.dense)
            vectors = encoded(entries, encoder, dense, dimension, similarity, split)
        except BaseException:
            follower.reset()  # it may have learned from some of them
            raise
        self._rate = len(entries) / max(time.perf_counter() - begin, 1e-6)
        with follower.lock:
            if self._keep(log, follower, encoder, vectors):
                follower.hand(_with(entries, vectors), after, state.epoch)
        self._changed()
        return len(entries)

    def _keep(
        self, log: OperationLog, follower: Follower, encoder: Encoder, vectors: list[Vectors]
    ) -> bool:
        """Store vectors, unless the collection has another encoder since they were begun."""
        if follower.encoder is not encoder:
            return False
        follower.learned = vectors[-1].seq
        try:
            log.keep_vectors(vectors, vectors[-1].seq)
        except BaseException:
            follower.reset()
            raise
        return True

    def _publish(self, stops: threading.Event) -> None:
        pause = _PAUSE_SECONDS
        while not stops.is_set():
            self._wait(pause, stops)
            try:
                if not stops.is_set() and self._is_due():
                    self._worker.run("publish")
                    self._published()
                self._errors.pop("publish", None)
                pause = _PAUSE_SECONDS
            except TaskCancelledError:
                continue
            except Exception as error:  # noqa: BLE001
                self._complain("publish", error)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _is_due(self) -> bool:
        log = self._open_log()
        if log is None:
            return False
        count, n_bytes = log.unpublished(self._follower.published.manifest.log_seq)
        since = 0.0 if self._waiting is None else self._waiting[0]  # left by another process
        return count > 0 and (
            count >= _PUBLISHED_FROM
            or n_bytes >= _PUBLISHED_BYTES
            or time.monotonic() - since >= _PUBLISHED_SECONDS
        )

    def _published(self) -> None:
        """Follow to what was published, and trim what was published some time ago."""
        self._follower.follow()
        self._changed()
        now, log = time.monotonic(), self._open_log()
        log_seq = self._follower.published.manifest.log_seq
        self._applied.append((now, log_seq))
        old = [seq for since, seq in self._applied if now - since >= _TRIMMED_SECONDS]
        self._applied = [each for each in self._applied if now - each[0] < _TRIMMED_SECONDS]
        if log is not None and old:
            log.trim(max(old))

    def _wait(self, seconds: float, stops: threading.Event, n_woken: int | None = None) -> None:
        """Wait for a call of `wake`, unless there was one since `n_woken` were counted."""
        with self._wakes:
            if not stops.is_set() and n_woken in (None, self._n_woken):
                self._wakes.wait(seconds)

    def _complain(self, what: str, error: Exception) -> None:
        is_known = isinstance(error, LsrError)
        said = str(error) if is_known else f"{type(error).__name__}: {error}"
        if said != self._errors.get(what):
            trace = None if is_known else error
            _log.error("%s: cannot %s: %s", self._path.parent, what, said, exc_info=trace)
        self._errors[what] = said


def _with(entries: Sequence[Entry], vectors: Sequence[Vectors]) -> list[Entry]:
    """The entries with their vectors, as the log has them now."""
    parts = zip(entries, vectors, strict=True)
    return [
        replace(
            entry,
            terms=made.terms,
            weights=made.weights,
            dense=made.dense,
            learned=int(made.learned),
            passages=made.passages,
        )
        for entry, made in parts
    ]


def is_kept(collection: Path) -> bool:
    """Whether a process is at work as the keeper of a collection."""
    return _keeper(collection) is not None


def keeper_address(collection: Path) -> str | None:
    """The address of the service that keeps a collection; None when there is none."""
    return _keeper(collection) or None


def _keeper(collection: Path) -> str | None:
    """The address of the keeper, empty where it has none; None without a keeper."""
    path = collection / LOCK_FILE
    if not is_held(path):
        return None
    try:
        return str(json.loads(noted(path))["address"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
