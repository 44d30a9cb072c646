"""Files of a collection that is served, as verified copies in memory.

What happens to a mapped file shows through the map: a truncated one ends the process, a changed one
gives wrong answers. A copy is compared with its checksum while it is made and is nobody else's, so
nothing that happens to the file afterwards matters.

Several processes share one copy of a file in `/dev/shm`, named by its checksum. Each holds a lock
on it; the last one removes it. Those that dead processes left are removed when the next copy is
made.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import mmap
import os
import stat
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from lsr.errors import IndexCorruptError
from lsr.index.storage.arrays_file import Bytes, Opener, mapped
from lsr.index.storage.manifest import FileRecord, Manifest

__all__ = [
    "SHARED_MEMORY",
    "FileStamps",
    "Residence",
    "SharedCopies",
    "not_copied",
    "opener",
    "private_copy",
]

Residence = Literal["mapped", "memory", "shared"]
"""Place of a segment's arrays: the file, a copy in this process, a copy for all processes."""

SHARED_MEMORY = Path("/dev/shm")
"""File system in memory, where the shared copies lie in a folder for each user; only of Linux."""

CHUNK = 1 << 20
ALIGNMENT = 64
SPARE = 64 << 20
"""Bytes of shared memory that are left to others."""

_log = logging.getLogger(__name__)


def opener(residence: Residence, collection: Path, manifest: Manifest) -> Opener:
    """Gives the bytes of files that a manifest names.

    Where shared memory has no room, copies are private, and the log says so; macOS and Windows
    have no such place.

    Raises:
        OSError, by the opener: a file cannot be read.
        IndexCorruptError, by the opener: a copy differs from the manifest's checksum, or the
            manifest does not name the file.
    """
    if residence == "mapped":
        return mapped
    shared = SharedCopies() if residence == "shared" and SHARED_MEMORY.is_dir() else None

    def read(path: Path) -> Bytes:
        record = manifest.files.get(path.relative_to(collection).as_posix())
        if record is None:
            raise IndexCorruptError(f"{path} is not named in the manifest; build again")
        copy = None if shared is None else shared.copy(path, record)
        return private_copy(path, record) if copy is None else copy

    return read


def not_copied(manifest: Manifest, residence: Residence) -> set[str] | None:
    """Names of files that are not compared with their checksums while segments are opened.

    None stands for all files: nothing is compared while a segment is mapped.
    """
    if residence == "mapped":
        return None
    segments = tuple(f"{record.name}/" for record in manifest.segments)
    return {name for name in manifest.files if not name.startswith(segments)}


def private_copy(path: Path, record: FileRecord) -> Bytes:
    """The bytes of a file, compared with its record while they are read. Read-only.

    Raises:
        OSError: it cannot be read.
        IndexCorruptError: it differs.
    """
    room = np.empty(record.size_bytes + ALIGNMENT, np.uint8)
    skip = -room.ctypes.data % ALIGNMENT
    copy = room[skip : skip + record.size_bytes]
    done = 0
    with path.open("rb") as stream:
        for chunk in _checked_chunks(stream, path, record):
            copy[done : done + len(chunk)] = np.frombuffer(chunk, np.uint8)
            done += len(chunk)
    copy.flags.writeable = False
    return copy


def _checked_chunks(stream: BinaryIO, path: Path, record: FileRecord) -> Iterator[bytes]:
    """The bytes of a file; after the last one, an IndexCorruptError where they differ."""
    size = os.fstat(stream.fileno()).st_size
    if size != record.size_bytes:
        raise _damaged(f"{path} has {size:,} bytes and should have {record.size_bytes:,}")
    digest, left = hashlib.sha256(), record.size_bytes
    while left:
        chunk = stream.read(min(left, CHUNK))
        if not chunk:
            raise _damaged(f"{path} has become shorter while it was read")
        digest.update(chunk)
        left -= len(chunk)
        yield chunk
    if digest.hexdigest() != record.sha256:
        raise _damaged(f"{path} has changed since it was written")


def _damaged(sentence: str) -> IndexCorruptError:
    return IndexCorruptError(f"{sentence}; restore it from a copy, or build again")


class FileStamps:
    """Sizes, times and inodes of the files of a generation, as they were when it was opened.

    Files of a collection never change, so whatever differs later is damage.

    Args:
        collection: the collection's folder.
        manifest: of the generation. Take the stamps before the files are read.
    """

    def __init__(self, collection: Path, manifest: Manifest) -> None:
        self._collection = collection
        self._stamps = {name: _stamp(collection / name) for name in manifest.files}

    def damage_since(self) -> str | None:
        """A sentence on the first file that was changed in place, replaced or removed; or None.

        A few microseconds a file. Files that a newer generation does not name are removed when it
        is published: look at the manifest first.
        """
        for name, before in self._stamps.items():
            path = self._collection / name
            now = _stamp(path)
            if now == before:
                continue
            if now is None:
                return f"{path} is missing"
            return f"{path} has changed since it was opened"
        return None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


class SharedCopies:
    """Copies of files that all processes of a user share.

    Args:
        place: a file system in memory.
    """

    def __init__(self, place: Path = SHARED_MEMORY) -> None:
        self.folder = place / f"lsr-{os.geteuid()}"

    def copy(self, path: Path, record: FileRecord) -> Bytes | None:
        """The bytes of a file, those that another process has verified, or newly copied.

        The copy is let go when nothing refers to its bytes any more.

        Returns:
            uint8, read-only; None where there is no shared memory, or too little.

        Raises:
            OSError, IndexCorruptError: as `private_copy`.
        """
        if record.size_bytes == 0:
            return private_copy(path, record)
        name = f"{record.sha256}-{record.size_bytes}"
        try:
            with self._locked():
                shared = self._attached(self.folder / name, record.size_bytes)
                if shared is None:
                    self.clear()
                    self._make(self.folder / name, path, record)
                    shared = self._attached(self.folder / name, record.size_bytes)
        except _NoRoomError as error:
            _log.warning(
                "%s is copied for this process alone: shared memory %s %s", path, self.folder, error
            )
            return None
        return shared

    def clear(self) -> None:
        """Remove copies that nobody holds, such as those of processes that were killed."""
        for path in self.folder.iterdir():
            with suppress(OSError):
                _remove_unheld(path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time makes, finds or removes copies."""
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise _NoRoomError(f"cannot be used ({error.strerror})") from error
        try:
            found = os.fstat(folder)
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
                raise _NoRoomError("is another user's, or open to others")
            _lock(folder)
            yield
        finally:
            os.close(folder)

    def _make(self, place: Path, path: Path, record: FileRecord) -> None:
        free = os.statvfs(self.folder)
        if record.size_bytes + SPARE > free.f_bavail * free.f_frsize:
            raise _NoRoomError("has too little room")
        unfinished = place.with_name(f".{place.name}")
        try:
            with path.open("rb") as source:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as copy:
                    for chunk in _checked_chunks(source, path, record):
                        _write(copy, chunk)
            unfinished.rename(place)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise

    def _attached(self, place: Path, size: int) -> Bytes | None:
        """The copy that is there, held from now on."""
        try:
            descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _NoRoomError(f"cannot be used ({error.strerror})") from error
        try:
            _lock(descriptor, shared=True)
            if os.fstat(descriptor).st_size != size:
                raise _NoRoomError("holds a file of another size")
            shared = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
        except BaseException:
            os.close(descriptor)
            raise
        weakref.finalize(shared, _let_go, self.folder, place, descriptor, os.getpid())
        return np.frombuffer(shared, np.uint8)


class _NoRoomError(Exception):
    """Shared memory cannot be used; why, as the end of a sentence."""


def _write(copy: BinaryIO, chunk: bytes) -> None:
    try:
        copy.write(chunk)
        copy.flush()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.ENOMEM, errno.EDQUOT):
            raise
        raise _NoRoomError("has too little room") from error


def _let_go(folder: Path, place: Path, descriptor: int, owner: int) -> None:
    """Give a copy up, and remove it when nobody else holds it.

    Where another process is at work with the copies it is left for the next `SharedCopies.clear`:
    this may run while this very thread holds the lock.
    """
    with suppress(OSError):
        if os.getpid() == owner:  # a forked process would unlock what the other holds
            _unlock(descriptor)
        os.close(descriptor)
    with suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _lock(lock, wait=False)
            _remove_unheld(place)
        finally:
            os.close(lock)


def _remove_unheld(path: Path) -> None:
    """Raises BlockingIOError when somebody holds it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        _lock(descriptor, wait=False)
        path.unlink()
    finally:
        os.close(descriptor)


def _lock(descriptor: int, *, shared: bool = False, wait: bool = True) -> None:
    """Lock an open file, alone or with others. Raises BlockingIOError when it shall not wait.

    `lsr.locks` has no locks that are shared. This one is asked for where there is `/dev/shm`.
    """
    import fcntl  # Windows has none

    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)


def _unlock(descriptor: int) -> None:
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_UN)
