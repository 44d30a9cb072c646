"""Zip archives with bounds: files inside are read one at a time, and none grows without end."""

from __future__ import annotations

import io
import lzma
import zlib
from dataclasses import dataclass
from zipfile import BadZipFile, ZipFile, ZipInfo

from lsr.datasets.files.content import Unreadable

__all__ = ["MOST_BYTES", "MOST_NESTED", "ZIP_SUFFIXES", "Bounds", "opened_zip", "read_member"]

ZIP_SUFFIXES = (".zip",)
MOST_NESTED = 2
"""Archives in archives that are opened."""
MOST_BYTES = 256 << 20
"""Bytes of one file, decompressed."""


@dataclass(frozen=True)
class Bounds:
    """Limits of an archive.

    Attributes:
        members: how many files.
        bytes: of all files, decompressed.
        ratio: decompressed bytes for each compressed byte, of files above a megabyte.
    """

    members: int = 20_000
    bytes: int = 1 << 30
    ratio: int = 200


_BOUNDS = Bounds()
_SMALL = 1 << 20


def opened_zip(data: bytes, bounds: Bounds = _BOUNDS) -> ZipFile:
    """The archive, where what it says of itself is within bounds.

    Raises:
        Unreadable: it is damaged or beyond bounds.
    """
    try:
        archive = ZipFile(io.BytesIO(data))
    except (BadZipFile, OSError, ValueError, NotImplementedError, LookupError) as error:
        raise Unreadable("is damaged, or no zip") from error
    members = archive.infolist()
    if len(members) > bounds.members:
        raise Unreadable(f"a zip with more than {bounds.members:,} files is not opened")
    if sum(member.file_size for member in members) > bounds.bytes:
        raise Unreadable(f"would grow beyond {bounds.bytes >> 20:,} MB")
    for member in members:
        if member.file_size > max(_SMALL, bounds.ratio * member.compress_size):
            raise Unreadable(f"holds a file that would grow more than {bounds.ratio} times")
    return archive


def read_member(archive: ZipFile, member: ZipInfo) -> bytes:
    """Bytes of a file of the archive, whose sizes are not believed.

    Raises:
        Unreadable: it is encrypted, damaged or too large.
    """
    if member.flag_bits & 1:
        raise Unreadable("is encrypted")
    if member.file_size > MOST_BYTES:
        raise Unreadable(f"is larger than {MOST_BYTES >> 20} MB")
    try:
        with archive.open(member) as stream:
            data = stream.read(member.file_size + 1)
    except (BadZipFile, OSError, RuntimeError, EOFError, ValueError, zlib.error) as error:
        raise Unreadable("is damaged") from error
    except lzma.LZMAError as error:
        raise Unreadable("is damaged") from error
    if len(data) > member.file_size:
        raise Unreadable("is larger than the archive says")
    return data
