"""`manifest.json`: what a collection folder holds, and the checksum of every byte of it.

The manifest is the only file that names others; what it does not name does not exist. It also
holds a checksum of itself. Files never change: a new generation names those of the one before it
that are still of use, with their old checksums, beside its own.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lsr.errors import IndexCorruptError, IndexMissingError, IndexVersionError
from lsr.files import read_signed, sha256_of, signed
from lsr.index.storage.names import building_folder
from lsr.types import EncoderIdentity

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "FileRecord",
    "Manifest",
    "SegmentRecord",
    "record_files",
]

FORMAT_VERSION = 3
READABLE = (2, FORMAT_VERSION)
"""Index formats that this version reads. In format 2 rows have neither versions nor checksums."""
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class FileRecord:
    """Size and SHA-256 of a file as it was written."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class SegmentRecord:
    """A segment as a generation has it.

    Attributes:
        name: its folder, below the collection's.
        n_rows: documents it was written with.
        n_deleted: those of them that are deleted, or replaced by a newer version elsewhere.
        n_terms, n_postings: the width and entries of its inverted lists, deleted rows included.
        deleted: path of the file that says which rows are deleted; None when none is.
        is_exact: whether the encoder had learned from just these documents when it made their
            sparse vectors, as in a build or a merge of everything.
    """

    name: str
    n_rows: int
    n_deleted: int
    n_terms: int
    n_postings: int
    deleted: str | None
    is_exact: bool

    @property
    def n_documents(self) -> int:
        """Documents that can be found."""
        return self.n_rows - self.n_deleted


@dataclass(frozen=True)
class Manifest:
    """A collection's description.

    Attributes:
        generation: counts publications from 1.
        created: UTC, ISO 8601.
        lsr_version: which version wrote it.
        source: what the documents were read from, for people.
        sparse: the sparse encoder.
        dense: the dense model, or None.
        encoder: the sparse encoder's folder, or its one file, below the collection's.
        segments: at least one, in the order of their rows.
        tie_order: of format 2, path of the array that orders the rows of several segments.
        files: path below the collection's folder to record.
        log_seq: the last operation of the log that this generation holds; 0 without a log.
        blocks: choices of how blocks are built, by name, that every later segment keeps to; None
            where there are none.
        passages: choices of how long documents are split, by name; None where all stay whole.
        format_version: of the file it was read from; it is written in the newest.
    """

    generation: int
    created: str
    lsr_version: str
    source: str
    sparse: EncoderIdentity
    dense: EncoderIdentity | None
    encoder: str
    segments: tuple[SegmentRecord, ...]
    tie_order: str | None = None
    files: dict[str, FileRecord] = field(default_factory=dict)
    log_seq: int = 0
    blocks: dict[str, Any] | None = None
    passages: dict[str, int] | None = None
    format_version: int = FORMAT_VERSION

    @property
    def n_documents(self) -> int:
        """Documents that can be found."""
        return sum(segment.n_documents for segment in self.segments)

    @property
    def n_deleted(self) -> int:
        """Documents that cannot be found any more and still take space, until a merge."""
        return sum(segment.n_deleted for segment in self.segments)

    @property
    def n_terms(self) -> int:
        """The width of the vocabulary that the inverted lists go by."""
        return max(segment.n_terms for segment in self.segments)

    @property
    def n_postings(self) -> int:
        """Entries of all inverted lists, those of deleted documents included."""
        return sum(segment.n_postings for segment in self.segments)

    @property
    def size_bytes(self) -> int:
        """Bytes on disk, without the manifest itself."""
        return sum(record.size_bytes for record in self.files.values())

    def files_below(self, folder: str) -> dict[str, FileRecord]:
        """The files of a folder, or one file, by path below the collection's."""
        inside = f"{folder}/"
        return {
            name: record
            for name, record in self.files.items()
            if name == folder or name.startswith(inside)
        }

    def to_json(self) -> str:
        """The file's text, with format version and own checksum."""
        first = {"format_version": FORMAT_VERSION}
        return signed(first | asdict(self) | first)

    @classmethod
    def read(cls, collection: Path) -> Manifest:
        """Read and check the manifest of a collection folder.

        Raises:
            IndexMissingError: there is no such folder, or no manifest in it.
            IndexVersionError: another format version.
            IndexCorruptError: it does not match its own checksum.
        """
        path = collection / MANIFEST
        try:
            content, is_intact = read_signed(path.read_text("utf-8"))
            version = content["format_version"]
        except FileNotFoundError as error:
            if (collection / "shards.json").exists():
                raise IndexMissingError(
                    f"{collection} is a sharded index, which this does not take; lsr search and "
                    "lsr index info do"
                ) from error
            what = "is not an index" if collection.exists() else "does not exist"
            if building_folder(collection.absolute()).exists():
                raise IndexMissingError(
                    f"{collection} is being built, or a build of it was interrupted; wait until it "
                    "is done, or build it again, which goes on where it stopped"
                ) from error
            raise IndexMissingError(
                f"{collection} {what}; make one with: lsr index build SOURCE {collection}"
            ) from error
        except NotADirectoryError as error:
            raise IndexMissingError(
                f"{collection} is a file, and an index is a folder; check the path"
            ) from error
        except PermissionError as error:
            raise IndexMissingError(f"no permission to read {path}") from error
        except (IsADirectoryError, ValueError, KeyError) as error:
            raise _damaged(path) from error
        if version not in READABLE and isinstance(version, int):
            raise IndexVersionError(
                f"{collection} has index format {version} and this lsr reads "
                f"{' and '.join(map(str, READABLE))}; build the index again, or install the lsr "
                "that made it"
            )
        if not is_intact:
            raise _damaged(path)
        try:
            return cls._from_content(content)
        except (KeyError, TypeError, AttributeError) as error:
            raise _damaged(path) from error

    @classmethod
    def _from_content(cls, content: dict[str, Any]) -> Manifest:
        dense = content["dense"]
        records = {name: FileRecord(**record) for name, record in content["files"].items()}
        segments = tuple(SegmentRecord(**record) for record in content["segments"])
        if not segments:
            raise KeyError("segments")
        return cls(
            **{
                **content,
                "sparse": EncoderIdentity(**content["sparse"]),
                "dense": EncoderIdentity(**dense) if dense else None,
                "segments": segments,
                "files": records,
            }
        )

    def damage(self, collection: Path, names: Container[str] | None = None) -> Iterator[str]:
        """Compare files with their records; yields one sentence for each that differs.

        Args:
            names: which of `files`; all of them by default.
        """
        for name, record in self.files.items():
            if names is not None and name not in names:
                continue
            path = collection / name
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

    def check(self, collection: Path, names: Container[str] | None = None) -> None:
        """Compare files with their records, see `damage`.

        Raises:
            IndexCorruptError: one differs.
        """
        for damage in self.damage(collection, names):
            raise IndexCorruptError(f"{damage}; restore it from a copy, or build again")


def record_files(root: Path) -> dict[str, FileRecord]:
    """Records of all files below `root`, named by their paths below it, sorted."""
    return {
        path.relative_to(root).as_posix(): FileRecord(path.stat().st_size, sha256_of(path))
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def _damaged(path: Path) -> IndexCorruptError:
    return IndexCorruptError(f"{path} is damaged; restore the folder from a copy, or build again")
