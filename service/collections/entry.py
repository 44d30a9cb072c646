"""`Entry`: a collection of a catalog, opened when it is first needed, with a gate for writers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path

from lsr.errors import ConflictError, IndexStateError
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.operation import Operation, Written
from lsr.service.collections.field_types import FieldTypes

__all__ = ["Entry"]

_TROUBLE_SECONDS = 5.0
"""A collection that cannot be opened is tried again after so long."""

_GATE_SECONDS = 60.0


class Entry:
    """A collection's folder, and its handle once there is one.

    Args:
        path: the folder.
        opens: gives the handle of a folder.
    """

    def __init__(self, path: Path, opens: Callable[[Path], LiveCollection]) -> None:
        self.path = path
        self._opens = opens
        self._lock = threading.Lock()
        self._live: LiveCollection | None = None
        self._stamp = _stamp(path)
        self._trouble: tuple[float, IndexStateError] | None = None
        self._types: FieldTypes | None = None
        self._gate = threading.Condition()
        self._n_writing = 0
        self._is_shut = False
        self._changed: set[str] | None = None

    @property
    def opened(self) -> LiveCollection | None:
        """The handle, if it is open."""
        return self._live

    @property
    def is_gone(self) -> bool:
        """Whether the folder went, or another one took its place, since this was opened."""
        if self._live is None or self._is_shut:
            return False
        return _stamp(self.path) != self._stamp

    @property
    def field_types(self) -> FieldTypes:
        """The types that the maker gave to fields. Raises IndexCorruptError."""
        if self._types is None:
            self._types = FieldTypes.read(self.path)
        return self._types

    def live(self) -> LiveCollection:
        """The handle, opened now if it was not yet.

        Raises:
            IndexStateError: the collection cannot be used; it is tried again after a while.
        """
        if self._live is not None:
            return self._live
        with self._lock:
            if self._live is None:
                now = time.monotonic()
                if self._trouble is not None and now - self._trouble[0] < _TROUBLE_SECONDS:
                    raise type(self._trouble[1])(str(self._trouble[1]))
                try:
                    self._live = self._opens(self.path)
                except IndexStateError as error:
                    self._trouble = (now, error)
                    raise
                self._stamp, self._trouble = _stamp(self.path), None
            return self._live

    @property
    def is_quick(self) -> bool:
        """Whether `submit` has nothing to wait for."""
        return self._live is not None and not self._is_shut

    def submit(
        self, operations: Sequence[Operation], idempotency_key: str | None = None
    ) -> Future[list[Written]]:
        """Hand operations to the handle; while the collection is swapped, wait for that first.

        Raises:
            ConflictError: the swap takes too long.
            IndexStateError, InputError, StorageError, OverloadedError: as the handle.
        """
        with self._gate:
            if not self._gate.wait_for(lambda: not self._is_shut, _GATE_SECONDS):
                raise ConflictError("the collection is being replaced; try again shortly")
            self._n_writing += 1
            if self._changed is not None:
                self._changed.update(each.doc_id for each in operations)
        try:
            written = self.live().submit(operations, idempotency_key=idempotency_key)
        except BaseException:
            self._written()
            raise
        written.add_done_callback(self._written)
        return written

    def _written(self, _: object = None) -> None:
        with self._gate:
            self._n_writing -= 1
            self._gate.notify_all()

    @contextmanager
    def noting(self) -> Iterator[set[str]]:
        """The ids of all documents that are written meanwhile; what began before has ended then.

        Raises:
            ConflictError: those who write do not end.
        """
        with self.shut():
            changed = self._changed = set()
        try:
            yield changed
        finally:
            with self._gate:
                self._changed = None

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Let nobody write meanwhile. Raises ConflictError when those who write do not end."""
        with self._gate:
            self._is_shut = True
            if not self._gate.wait_for(lambda: self._n_writing == 0, _GATE_SECONDS):
                self._is_shut = False
                raise ConflictError("the collection is being written; try again later")
        try:
            yield
        finally:
            with self._gate:
                self._is_shut = False
                self._gate.notify_all()

    def replace(self, action: Callable[[], object]) -> None:
        """Do what puts another folder in the place of this one, and open that if this was open.

        Searches go on in the old one meanwhile, and end on it. The caller holds `shut`.
        """
        was_open = self._live is not None
        with self._lock:
            try:
                if self._live is not None:
                    self._live.close(publish=False)
                action()
            finally:
                self._live = self._types = self._trouble = None
        if was_open:
            with suppress(IndexStateError):  # told to whoever asks for it
                self.live()

    def close(self) -> None:
        """Close the handle, if it is open."""
        with self._lock:
            if self._live is not None:
                self._live.close()
                self._live = None


def _stamp(path: Path) -> tuple[int, int] | None:
    """A value that another folder at the same place does not have."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
