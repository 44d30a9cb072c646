"""`manifest.json`: what a collection folder holds, and the checksum of every byte of it.

The manifest is the only file that names others; what it does not name does not exist. It also
holds a checksum of itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lsr.encoder import EncoderIdentity
from lsr.errors import IndexCorruptError, IndexMissingError, IndexVersionError

__all__ = ["FORMAT_VERSION", "MANIFEST", "FileRecord", "Manifest", "record_files"]

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class FileRecord:
    """Size and SHA-256 of a file as it was written."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A collection's description.

    Attributes:
        generation: counts publications from 1.
        created: UTC, ISO 8601.
        lsr_version: which version wrote it.
        folder: the generation's folder, below the collection's.
        source: what the documents were read from, for people.
        n_documents, n_terms, n_postings: counts.
        sparse: the sparse encoder; its files are in `folder`/encoder.
        dense: the dense model, or None.
        files: path below the collection's folder to record.
    """

    generation: int
    created: str
    lsr_version: str
    folder: str
    source: str
    n_documents: int
    n_terms: int
    n_postings: int
    sparse: EncoderIdentity
    dense: EncoderIdentity | None
    files: dict[str, FileRecord] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Bytes on disk, without the manifest itself."""
        return sum(record.size_bytes for record in self.files.values())

    def to_json(self) -> str:
        """The file's text, with format version and own checksum."""
        content = {"format_version": FORMAT_VERSION, **asdict(self)}
        return json.dumps({**content, "checksum": _checksum(content)}, indent=2) + "\n"

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
            content = json.loads(path.read_text("utf-8"))
            version = content.pop("format_version")
            checksum = content.pop("checksum")
        except FileNotFoundError as error:
            what = "is not an index" if collection.exists() else "does not exist"
            raise IndexMissingError(
                f"{collection} {what}; make one with: lsr index build SOURCE {collection}"
            ) from error
        except NotADirectoryError as error:
            raise IndexMissingError(
                f"{collection} is a file, and an index is a folder; check the path"
            ) from error
        except PermissionError as error:
            raise IndexMissingError(f"no permission to read {path}") from error
        except (
            IsADirectoryError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise _damaged(path) from error
        if version != FORMAT_VERSION and isinstance(version, int):
            raise IndexVersionError(
                f"{collection} has index format {version} and this lsr reads {FORMAT_VERSION}; "
                "build the index again, or install the lsr that made it"
            )
        if checksum != _checksum({"format_version": version, **content}):
            raise _damaged(path)
        try:
            return cls._from_content(content)
        except (KeyError, TypeError, AttributeError) as error:
            raise _damaged(path) from error

    @classmethod
    def _from_content(cls, content: dict[str, Any]) -> Manifest:
        dense = content["dense"]
        records = {name: FileRecord(**record) for name, record in content["files"].items()}
        return cls(
            **{
                **content,
                "sparse": EncoderIdentity(**content["sparse"]),
                "dense": EncoderIdentity(**dense) if dense else None,
                "files": records,
            }
        )

    def damage(self, collection: Path) -> Iterator[str]:
        """Compare every file with its record; yields one sentence for each that differs."""
        for name, record in self.files.items():
            path = collection / name
            try:
                size = path.stat().st_size
                if size != record.size_bytes:
                    yield f"{path} has {size:,} bytes and should have {record.size_bytes:,}"
                elif _sha256(path) != record.sha256:
                    yield f"{path} has changed since it was written"
            except FileNotFoundError:
                yield f"{path} is missing"
            except OSError as error:
                yield f"{path} cannot be read ({error.strerror})"


def record_files(root: Path, folder: Path) -> dict[str, FileRecord]:
    """Records of all files below `folder`, named by their paths below `root`, sorted."""
    return {
        path.relative_to(root).as_posix(): FileRecord(path.stat().st_size, _sha256(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _damaged(path: Path) -> IndexCorruptError:
    return IndexCorruptError(f"{path} is damaged; restore the folder from a copy, or build again")


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
