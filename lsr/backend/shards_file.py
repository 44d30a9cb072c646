"""`shards.json`: which folders are the shards of a collection, and what each of them holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from lsr.errors import IndexCorruptError, IndexMissingError, IndexVersionError
from lsr.files import read_signed, sha256_of, signed, write_atomically
from lsr.index.storage.manifest import MANIFEST, Manifest

__all__ = ["SHARDS", "ShardRecord", "ShardsFile", "is_sharded"]

SHARDS = "shards.json"
FORMAT_VERSION = 1
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True)
class ShardRecord:
    """A shard as a generation has it.

    Attributes:
        folder: an index folder, below the collection's.
        manifest: SHA-256 of its manifest, which names its files with theirs.
    """

    folder: str
    manifest: str
    n_documents: int
    n_postings: int
    size_bytes: int

    @classmethod
    def of(cls, folder: Path) -> ShardRecord:
        """Of an index folder as it is. Raises as `Manifest.read`."""
        manifest = Manifest.read(folder)
        return cls(
            folder.name,
            sha256_of(folder / MANIFEST),
            manifest.n_documents,
            manifest.n_postings,
            manifest.size_bytes,
        )

    def check(self, collection: Path, name: str) -> None:
        """Compare the manifest that is there with this.

        Args:
            name: of the shard, for people.

        Raises:
            IndexMissingError: the shard is not there.
            IndexCorruptError: it is another one.
        """
        path = collection / self.folder / MANIFEST
        if not path.exists():
            raise IndexMissingError(f"{name} is missing; restore it from a copy, or build again")
        if sha256_of(path) != self.manifest:
            raise IndexCorruptError(
                f"{name} is not the one that {SHARDS} names; restore it from a copy, or build again"
            )


@dataclass(frozen=True)
class ShardsFile:
    """The file that makes folders one collection; what it does not name does not belong to it.

    Attributes:
        generation: counts publications from 1.
        source: what the documents were read from, for people.
        shards: in the order of their numbers; a document is in shard `shard_of(doc_id)`.
    """

    generation: int
    created: str
    lsr_version: str
    source: str
    shards: tuple[ShardRecord, ...]

    def write(self, collection: Path) -> None:
        """Publish it by one rename. Raises OSError."""
        content = {"kind": "shards", "format_version": FORMAT_VERSION, **asdict(self)}
        write_atomically(collection / SHARDS, signed(content))

    @classmethod
    def read(cls, collection: Path) -> ShardsFile:
        """Read and check the file of a collection folder.

        Raises:
            IndexMissingError: there is none.
            IndexVersionError: another version of lsr wrote it.
            IndexCorruptError: it is damaged.
        """
        path = collection / SHARDS
        try:
            content, is_intact = read_signed(path.read_bytes())
            version = content.pop("format_version")
            if version != FORMAT_VERSION and isinstance(version, int):
                raise IndexVersionError(
                    f"{path} has format {version} and this lsr reads {FORMAT_VERSION}; build it "
                    "again, or install the lsr that made it"
                )
            if not is_intact or content.pop("kind") != "shards":
                raise ValueError("it does not match its checksum")
            shards = tuple(ShardRecord(**record) for record in content.pop("shards"))
            return cls(**content, shards=shards)
        except FileNotFoundError as error:
            raise IndexMissingError(
                f"{collection} is no sharded index: it has no {SHARDS}"
            ) from error
        except _DAMAGE as error:
            raise IndexCorruptError(
                f"{path} is damaged ({error}); restore it from a copy, or build again"
            ) from error

    def name(self, collection: Path, number: int) -> str:
        """A shard for people: its number, and its folder."""
        return f"shard {number} of {len(self.shards)} ({collection / self.shards[number].folder})"


def is_sharded(collection: Path) -> bool:
    """Whether a folder holds a sharded collection."""
    return (collection / SHARDS).is_file()
