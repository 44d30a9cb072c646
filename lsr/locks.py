"""`FileLock`: one process at a time, by a lock of the system, which ends with who holds it.

The lock is on a file, as Windows opens no folders. It is on the file's first byte there, which
nobody else can read meanwhile: what a lock has to say begins with the second.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lsr.errors import StorageError
from lsr.machine import WINDOWS

__all__ = ["FileLock", "held", "is_held", "noted"]

_NEW = os.O_RDWR | os.O_CREAT
_PAUSE_SECONDS = 0.01
_PROBE_SECONDS = 0.03
"""Others who ask whether a lock is held hold it for less."""

_MOST_NOTED = 4_096


class FileLock:
    """A lock that this process holds. Two in one process exclude each other too.

    It is free when it is released, and when the process ends, also by force.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def take(
        cls, path: Path, *, patience: float = 0.0, flags: int = _NEW, mode: int = 0o666
    ) -> FileLock | None:
        """The lock of a file; None when another holds it.

        Args:
            path: made where it is missing.
            patience: seconds to wait for another.
            flags: what the file is opened with.
            mode: of a new file.

        Raises:
            OSError: the file cannot be opened.
            StorageError: its file system has no locks.
        """
        end = time.monotonic() + patience
        while True:
            descriptor = os.open(path, flags, mode)
            lock = cls(path, descriptor)
            try:
                if _locked(path, descriptor) and lock.is_in_place:
                    return lock
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            if time.monotonic() >= end:
                return None
            time.sleep(_PAUSE_SECONDS)

    @property
    def is_in_place(self) -> bool:
        """Whether the file that is locked is still the one of its path."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except OSError:
            return False

    def note(self, content: bytes) -> None:
        """Write what others read with `noted`: at most 4,095 bytes."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        n_bytes = os.write(self._descriptor, b" " + content)
        os.ftruncate(self._descriptor, n_bytes)

    def release(self, *, remove: bool) -> None:
        """Let others have it.

        Args:
            remove: take the file away. Who waits for it sees that, and makes another.
        """
        if remove and not WINDOWS:
            self.path.unlink(missing_ok=True)  # while it is held: the next one may be another's
        os.close(self._descriptor)
        if remove and WINDOWS:
            with suppress(OSError):  # another has opened it
                self.path.unlink()


@contextmanager
def held(path: Path, mode: int = 0o666) -> Iterator[None]:
    """Hold the lock of a file, which is gone afterwards, and wait for it first.

    Raises:
        OSError: the file cannot be opened.
        StorageError: its file system has no locks.
    """
    lock = FileLock.take(path, patience=math.inf, mode=mode)
    assert lock is not None
    try:
        yield
    finally:
        lock.release(remove=True)


def is_held(path: Path) -> bool:
    """Whether another holds the lock of a file; not where there is no file that can be read."""
    try:
        lock = FileLock.take(path, patience=_PROBE_SECONDS, flags=os.O_RDONLY)
    except OSError:
        return False
    if lock is not None:
        lock.release(remove=False)
    return lock is None


def noted(path: Path) -> bytes:
    """The note of the holder of a lock. Raises OSError."""
    with path.open("rb", buffering=0) as stream:
        stream.seek(1)
        return stream.read(_MOST_NOTED)


def _locked(path: Path, descriptor: int) -> bool:
    from filelock import lock_descriptor  # with asyncio, which those who only read do without

    try:
        return lock_descriptor(descriptor, blocking=False)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be locked ({error.strerror or error}); choose a folder on a file "
            "system that has locks"
        ) from error
