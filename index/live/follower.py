"""`Follower`: the newest view of a collection, whoever changes it.

It looks at the manifest and at the log. What did not change is kept open: segments, the encoder,
the dense model. A view is immutable; whoever took one works on it to the end, and its files are
closed when nobody holds them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsr.encoders.protocols import Encoder
from lsr.index.collection.encoder_registry import load_encoder
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.tuned_plan import TUNED_PLAN_FILE
from lsr.index.live.buffer import Buffer
from lsr.index.live.encoding import learn
from lsr.index.live.log import Entry, LogState, OperationLog
from lsr.index.live.view import ViewBuilder
from lsr.index.search.calibration_file import CALIBRATION_FILE
from lsr.index.storage.manifest import MANIFEST, Manifest
from lsr.index.storage.resident import FileStamps

__all__ = ["Follower"]

_WATCHED = (MANIFEST, CALIBRATION_FILE, TUNED_PLAN_FILE)

_KEPT_SECONDS = 5.0
"""How long a view is kept when the log's documents have to be encoded again for a newer one."""

_MOST_HANDED = 16
"""Batches of entries that wait to be followed; of more the log is read."""

Signature = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True)
class _Handed:
    """Consecutive entries of a log, all above `after`."""

    entries: tuple[Entry, ...]
    after: int
    epoch: int

    @property
    def last(self) -> int:
        return self.entries[-1].seq


class Follower:
    """The view of one process.

    Args:
        published: the newest generation, opened.
        open_log: gives the log; None as long as nothing was ever written to it.

    Attributes:
        encoder: the sparse encoder of the view. It has learned from all operations up to
            `learned`; the keeper of the collection lets it learn from more.
        view: the newest view.
        searchable: the last operation that is in the next view.
        shown: the last operation that is in `view`.
    """

    def __init__(
        self, published: CollectionReader, open_log: Callable[[], OperationLog | None]
    ) -> None:
        self._path = published.path
        self._open_log = open_log
        self._builder = ViewBuilder(published)
        self._signature: Signature | None = None
        self._stamps = FileStamps(self._path, published.manifest)
        self._epoch = -1
        self._buffer = _empty_buffer(published)
        self.encoder: Encoder = published.encoder
        self.learned = self.searchable = published.manifest.log_seq
        self.view = published
        self.shown = self.searchable
        self._is_stale = False
        self._kept_since: float | None = None
        self._ready: list[_Handed] = []
        self.lock = threading.RLock()
        """Held while the view changes, and by whoever lets the encoder learn."""
        self._changes = threading.Condition(self.lock)

    @property
    def published(self) -> CollectionReader:
        """The newest generation, without what is in the log alone."""
        return self._builder.published

    @property
    def seen(self) -> tuple[int, int]:
        """Generation and last operation of the view, or of one before it."""
        return self.view.manifest.generation, self.shown

    def follow(self) -> bool:
        """Bring the view up to date; whether it changed.

        Raises:
            IndexStateError: the folder is gone or cannot be read; the view stays as it was.
            StorageError: the log cannot be read; likewise.
        """
        with self.lock:
            for follows in (self._follow_manifest, self._follow_log):
                self._is_stale |= follows()
            if not self._is_stale or self._is_kept():
                return False
            self.view = self._builder.view(self._buffer)
            self.shown = self.searchable
            self._is_stale = False
            self._changes.notify_all()
            return True

    def follow_manifest(self) -> CollectionReader:
        """The newest generation, looked for now. Raises as `follow`."""
        if _signature(self._path) != self._signature:
            with self.lock:
                self._is_stale |= self._follow_manifest()
        return self.published

    def _is_kept(self) -> bool:
        """Whether the view has documents that the next one lacks, as they are encoded again.

        So nobody sees a document come and go while a merge is published.
        """
        was_replaced = self.published.manifest.log_seq < self.view.manifest.log_seq
        if self.searchable >= self.shown or was_replaced:
            self._kept_since = None
            return False
        now = time.monotonic()
        self._kept_since = self._kept_since or now
        if now - self._kept_since < _KEPT_SECONDS:
            return True
        self._kept_since = None
        return False

    def damage(self) -> str | None:
        """A sentence on a published file that was changed after it was opened, or None."""
        with self.lock:
            manifest, stamps = self.published.manifest, self._stamps
        found = stamps.damage_since()
        if found is None or Manifest.read(self._path).generation != manifest.generation:
            return None  # files of an older generation are removed
        return found

    def wait(self, seq: int, timeout: float) -> bool:
        """Wait until an operation is in the view; whether it is."""
        with self._changes:
            return self._changes.wait_for(lambda: self.shown >= seq, timeout)

    def reset(self) -> None:
        """Take encoder and log from the disk again: the encoder has learned what the log lacks."""
        with self.lock:
            self._take_encoder(load_encoder(self._path, self.published.manifest))
            self._epoch = -1

    def _follow_manifest(self) -> bool:
        signature = _signature(self._path)
        if signature == self._signature:
            return False
        before = self.published
        manifest = Manifest.read(self._path)
        plans = self._signature is None or signature[1:] == self._signature[1:]
        if manifest == before.manifest and plans:
            self._signature = signature
            return False
        grown = self._grown_encoder(manifest)
        stamps = FileStamps(self._path, manifest)
        published = CollectionReader.open(
            self._path,
            verify=False,
            dense=before.loaded_dense,
            known=before.readers if plans else (),
            encoder=grown,
            residence=before.readers[0].files.residence,
        )
        if published.manifest != manifest:
            return self._follow_manifest()  # overtaken while it was opened
        self._stamps = stamps
        self._signature = signature
        self._builder = ViewBuilder(published)
        if grown is None:
            self._take_encoder(published.encoder)
        self.searchable = manifest.log_seq
        self._buffer = _empty_buffer(published)
        return True

    def _grown_encoder(self, manifest: Manifest) -> Encoder | None:
        """The encoder that is open, if the new generation's is the same, or what it grew from."""
        before = self.published.manifest
        if (manifest.sparse, manifest.log_seq) == (before.sparse, before.log_seq):
            return self.encoder
        log = self._open_log()
        if log is None or log.state().epoch != self._epoch or self.learned < manifest.log_seq:
            return None
        # within an epoch the log knows what its encoder has grown to, and nothing else
        both = (before, manifest)
        known = all(log.knows_encoder(each.log_seq, each.sparse.sha256) for each in both)
        return self.encoder if known else None

    def _take_encoder(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.learned = self.published.manifest.log_seq
        self._builder.published.encoder = encoder

    def _follow_log(self) -> bool:
        log = self._open_log()
        manifest = self.published.manifest
        if log is None:
            return self._epoch >= 0 and self._begin(-1)  # it was removed
        if not log.knows_encoder(manifest.log_seq, manifest.sparse.sha256):
            return False
        state = log.state()
        is_new = state.epoch != self._epoch and self._begin(state.epoch)
        if state.encoded <= self.searchable:
            return is_new
        entries = self._handed(state) or log.entries(self.searchable, state.encoded)
        learn([entry for entry in entries if entry.seq > self.learned], self.encoder)
        self.learned = max(self.learned, state.encoded)
        self._builder.hide(entry.doc_id for entry in entries)
        self._buffer = self._buffer.plus(entries, self.encoder.n_terms)
        self.searchable = state.encoded
        return True

    def hand(self, entries: Sequence[Entry], after: int, epoch: int) -> None:
        """Entries that the log has from now on, so that they need not be read from it.

        Args:
            after: the number before the first of them.
            epoch: of the log that they were read from.
        """
        with self.lock:
            last = self._ready[-1] if self._ready else None
            if last is None or (last.last, last.epoch) != (after, epoch):
                self._ready.clear()
            if len(self._ready) < _MOST_HANDED:
                self._ready.append(_Handed(tuple(entries), after, epoch))

    def _handed(self, state: LogState) -> list[Entry]:
        """What was handed over, if it is all that is searchable next."""
        ready, self._ready = self._ready, []
        if (
            not ready
            or (ready[0].after, ready[-1].last) != (self.searchable, state.encoded)
            or ready[0].epoch != state.epoch
        ):
            return []
        return [entry for part in ready for entry in part.entries]

    def _begin(self, epoch: int) -> bool:
        """Take the log from its beginning, with an encoder that knows nothing of it."""
        manifest = self.published.manifest
        if self._epoch >= 0 and self.learned > manifest.log_seq:
            self._take_encoder(load_encoder(self._path, manifest))
        self._epoch = epoch
        self._builder = ViewBuilder(self.published)
        self._buffer = _empty_buffer(self.published)
        self.searchable = manifest.log_seq
        return True


def _empty_buffer(published: CollectionReader) -> Buffer:
    return Buffer(dimension=published.segment.dimension)


def _signature(collection: Path) -> Signature:
    found: list[tuple[int, int, int] | None] = []
    for name in _WATCHED:
        try:
            at = (collection / name).stat()
            found.append((at.st_ino, at.st_size, at.st_mtime_ns))
        except OSError:
            found.append(None)
    return tuple(found)
