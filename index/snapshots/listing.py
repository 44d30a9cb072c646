"""`Listing`: what a snapshot holds, with the checksum of every byte of it, signed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lsr.errors import IndexCorruptError, IndexVersionError, NotFoundError
from lsr.files import read_signed, sha256_of, signed
from lsr.index.storage.manifest import FORMAT_VERSION, MANIFEST, FileRecord

__all__ = ["LISTING", "LISTING_BYTES", "Listing"]

LISTING = "snapshot.json"
LISTING_BYTES = 16 << 20
"""A longer listing is not read."""

_VERSION = 1
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")
_MOST_PARTS = 8
_MOST_FILES = 100_000


@dataclass(frozen=True)
class Listing:
    """The description of a snapshot.

    Attributes:
        name: of the snapshot.
        collection: the name of the collection's folder.
        created: UTC, ISO 8601.
        lsr_version: which version wrote it.
        generation: of the collection.
        n_documents: of that generation; operations that wait in the log are not counted.
        log_seq: the last operation that is in it, in the generation or in the log.
        files: records by path; the listing itself is not among them.
    """

    name: str
    collection: str
    created: str
    lsr_version: str
    generation: int
    n_documents: int
    log_seq: int
    files: dict[str, FileRecord]

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(record.size_bytes for record in self.files.values())

    def to_json(self) -> str:
        """The file's text, with versions and own checksum."""
        content = {"snapshot_version": _VERSION, "format_version": FORMAT_VERSION, **asdict(self)}
        return signed(content)

    @classmethod
    def parse(cls, text: bytes, where: str) -> Listing:
        """Read and check a listing.

        Args:
            where: the place it comes from, for messages.

        Raises:
            IndexVersionError: a newer format wrote it.
            IndexCorruptError: it is not what was written, or names files it must not name.
        """
        try:
            content, is_intact = read_signed(text)
            versions = (content.pop("snapshot_version"), content.pop("format_version"))
        except (ValueError, KeyError) as error:
            raise _damaged(where) from error
        if not all(type(each) is int for each in versions):
            raise _damaged(where)
        if versions[0] != _VERSION or versions[1] > FORMAT_VERSION:
            raise IndexVersionError(
                f"{where} has snapshot format {versions[0]} and index format {versions[1]}, and "
                f"this lsr reads {_VERSION} and {FORMAT_VERSION}; nothing was changed, so install "
                "the lsr that made it"
            )
        if not is_intact:
            raise _damaged(where)
        try:
            return cls._of(content, where)
        except (KeyError, TypeError, AttributeError) as error:
            raise _damaged(where) from error

    @classmethod
    def _of(cls, content: dict[str, Any], where: str) -> Listing:
        files = {name: FileRecord(**record) for name, record in content["files"].items()}
        listing = cls(**{**content, "files": files})
        if MANIFEST not in files or len(files) > _MOST_FILES:
            raise _damaged(where)
        for name, record in files.items():
            parts = name.split("/")
            if (
                not all(map(_PART.fullmatch, parts))
                or len(parts) > _MOST_PARTS
                or name == LISTING
                or type(record.size_bytes) is not int
                or record.size_bytes < 0
                or not isinstance(record.sha256, str)
            ):
                raise IndexCorruptError(
                    f"{where} names a file {name[:80]!r}, which no snapshot of a collection has; "
                    "nothing was changed, so take it from its source again"
                )
        return listing

    @classmethod
    def read(cls, folder: Path) -> Listing:
        """The listing of a snapshot's folder.

        Raises:
            NotFoundError: there is no snapshot.
            IndexVersionError, IndexCorruptError: as `parse`.
        """
        path = folder / LISTING
        try:
            if path.stat().st_size > LISTING_BYTES:
                raise _damaged(str(path))
            return cls.parse(path.read_bytes(), str(path))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFoundError(f"there is no snapshot {folder.name!r}") from error
        except OSError as error:
            raise IndexCorruptError(f"{path} cannot be read ({error.strerror})") from error

    def damage(self, folder: Path) -> Iterator[str]:
        """Compare every file with its record; a sentence for each that differs."""
        for name, record in self.files.items():
            path = folder / name
            try:
                size = path.stat().st_size
                if size != record.size_bytes:
                    yield f"{path} has {size:,} bytes and should have {record.size_bytes:,}"
                elif sha256_of(path) != record.sha256:
                    yield f"{path} has changed since it was written"
            except FileNotFoundError:
                yield f"{path} is missing"
            except OSError as error:
                yield f"{path} cannot be read ({error.strerror})"


def _damaged(where: str) -> IndexCorruptError:
    return IndexCorruptError(f"{where} is damaged; nothing was changed, so use another snapshot")
