"""A snapshot as a tar, written and read as a stream.

The tar is plain: the listing first, then the files it names, nothing else. So a reader knows every
name and size before it writes a byte, and whatever is not as announced is refused: other names,
links, devices, folders, compressed tars, extended headers.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from lsr.errors import DataError, IndexCorruptError, StorageError
from lsr.files import sync_tree
from lsr.index.snapshots.listing import LISTING, LISTING_BYTES, Listing

__all__ = ["pack", "packed_size", "unpack"]

_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1 << 20
_WHERE = "the uploaded snapshot"


def packed_size(folder: Path) -> int:
    """Bytes of the tar that `pack` gives. Raises as `Listing.read`."""
    listing = Listing.read(folder)
    sizes = [(folder / LISTING).stat().st_size]
    sizes += [record.size_bytes for record in listing.files.values()]
    return sum(_BLOCK + _padded(size) for size in sizes) + 2 * _BLOCK


def pack(folder: Path) -> Iterator[bytes]:
    """The bytes of a snapshot's tar, in parts.

    Raises:
        NotFoundError, IndexStateError: the snapshot cannot be read, or a file has another size;
            before the first part where possible.
    """
    listing = Listing.read(folder)
    sizes = {LISTING: (folder / LISTING).stat().st_size}
    sizes |= {name: record.size_bytes for name, record in listing.files.items()}
    for name, size in sizes.items():
        if not (folder / name).is_file() or (folder / name).stat().st_size != size:
            raise IndexCorruptError(f"{folder / name} is not as it was written; verify it")
    return _parts(folder, sizes)


def _parts(folder: Path, sizes: dict[str, int]) -> Iterator[bytes]:
    for name, size in sizes.items():
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        yield info.tobuf(tarfile.GNU_FORMAT)
        with (folder / name).open("rb") as stream:
            left = size
            while left:
                part = stream.read(min(_CHUNK, left))
                if not part:
                    raise IndexCorruptError(f"{folder / name} became shorter while it was read")
                left -= len(part)
                yield part
        yield b"\0" * (_padded(size) - size)
    yield b"\0" * (2 * _BLOCK)


def unpack(parts: Iterable[bytes], target: Path) -> Listing:
    """Write a snapshot's tar into a new folder, every byte compared with its checksum.

    Args:
        parts: the tar's bytes.
        target: is made; it is gone after an error.

    Raises:
        DataError: the stream is no such tar, or holds something else than it announces.
        IndexVersionError: a newer format wrote it.
        IndexCorruptError: a byte differs from what was written.
        StorageError: the disk has no room for it.
    """
    stream = _Stream(parts)
    target.mkdir()
    try:
        listing = _first(stream, target)
        free = shutil.disk_usage(target).free
        if listing.size_bytes > free:
            raise StorageError(
                f"the snapshot has {listing.size_bytes:,} bytes and {target.parent} has room for "
                f"{free:,}; nothing was changed, so free some space and try again"
            )
        left = dict(listing.files)
        while (info := _header(stream)) is not None:
            record = left.pop(info.name, None)
            if record is None or info.size != record.size_bytes:
                raise _refused(f"holds {info.name[:80]!r}, which is not as its listing has it")
            path = target / info.name
            path.parent.mkdir(parents=True, exist_ok=True)
            if _write(stream, path, info.size) != record.sha256:
                raise IndexCorruptError(
                    f"{_WHERE}: {info.name} is damaged; nothing was changed, so download it again"
                )
        if left:
            raise _refused(f"ends before {next(iter(left))[:80]!r}")
        sync_tree(target)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return listing


class _Stream:
    """Exactly as many bytes as are asked for, of bytes that come in parts."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self._rest = memoryview(b"")

    def some(self, most: int) -> memoryview:
        """1 to `most` bytes. Raises DataError at the end."""
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                raise _refused("ends too early")
            self._rest = memoryview(part)
        found, self._rest = self._rest[:most], self._rest[most:]
        return found

    def read(self, size: int) -> bytes:
        """`size` bytes."""
        found = bytearray()
        while len(found) < size:
            found += self.some(size - len(found))
        return bytes(found)


def _first(stream: _Stream, target: Path) -> Listing:
    info = _header(stream)
    if info is None or info.name != LISTING or info.size > LISTING_BYTES:
        raise _refused(f"does not begin with {LISTING}")
    text = stream.read(_padded(info.size))[: info.size]
    listing = Listing.parse(text, _WHERE)
    (target / LISTING).write_bytes(text)
    return listing


def _header(stream: _Stream) -> tarfile.TarInfo | None:
    """The next member, a plain file; None at the end."""
    block = stream.read(_BLOCK)
    if not any(block):
        return None
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.TarError, ValueError) as error:
        raise _refused(f"is no plain tar ({error})") from error
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.size < 0:
        raise _refused(f"holds {info.name[:80]!r}, which is no plain file")
    return info


def _write(stream: _Stream, path: Path, size: int) -> str:
    digest = hashlib.sha256()
    left = size
    with path.open("xb") as file:
        while left:
            part = stream.some(min(_CHUNK, left))
            left -= len(part)
            digest.update(part)
            file.write(part)
    stream.read(_padded(size) - size)
    return digest.hexdigest()


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _refused(why: str) -> DataError:
    return DataError(
        f"it {why}; nothing was changed, so send a tar as lsr gives it out", path=_WHERE
    )
