"""`Record`: what a collection of Qdrant lacks to be an index, in a collection beside it.

It lies in Qdrant as well, so that whoever has the collection has all of it, its snapshots and
replicas included; a folder beside it would be of one machine. Files are in pieces, one a point.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from lsr.backend.qdrant.conditions import Fields, FieldValues
from lsr.backend.qdrant.store import Layout, Point, PointStore
from lsr.errors import IndexCorruptError, IndexMissingError, IndexVersionError
from lsr.files import read_signed, signed
from lsr.index.collection.tuned_plan import TUNED_PLAN_FILE
from lsr.types import EncoderIdentity

__all__ = [
    "ENCODER",
    "FREQUENCY",
    "SIDE_LAYOUT",
    "FileRecord",
    "Record",
    "opened_record",
    "written_files",
]

FORMAT_VERSION = 1
FREQUENCY = "document_frequency"
"""Name of the file with the number of documents that have each term: int64, little-endian."""
ENCODER = "encoder"
SIDE_LAYOUT = Layout(has_sparse=False)
_RECORD = 0
_PIECE_BYTES = 1 << 20
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, IndexError)


@dataclass(frozen=True)
class FileRecord:
    """A file: its path, and the points that its pieces are in."""

    path: str
    size_bytes: int
    sha256: str
    first: int

    @property
    def points(self) -> range:
        """Numbers of its points."""
        return range(self.first, self.first + max(1, -(-self.size_bytes // _PIECE_BYTES)))


@dataclass(frozen=True)
class Record:
    """A collection as it was written.

    Attributes:
        origin: SHA-256 of the manifest, in the newest format, of the index it was made of.
        is_complete: whether all points are there.
        generation, source, sparse, dense, is_exact: of that index.
        n_documents: the points are 0 to one below.
        n_postings, n_terms, dimension: of the vectors.
        fields: of metadata, by name.
        files: of the encoder, the frequency of terms, and the tuned plan where there is one.
    """

    origin: str
    is_complete: bool
    created: str
    lsr_version: str
    generation: int
    source: str
    sparse: EncoderIdentity
    dense: EncoderIdentity | None
    is_exact: bool
    n_documents: int
    n_postings: int
    n_terms: int
    dimension: int
    fields: dict[str, FieldValues]
    files: tuple[FileRecord, ...]

    @property
    def stamp(self) -> str:
        """A mark that every point has, to say who wrote it."""
        return self.origin[:16]

    @property
    def layout(self) -> Layout:
        """The way in which the collection has to keep vectors."""
        return Layout(self.dimension)

    @property
    def metadata_fields(self) -> Fields:
        """The metadata fields, for filters."""
        return Fields(self.fields)

    @property
    def size_bytes(self) -> int:
        """Of the files; what points take is Qdrant's to know."""
        return sum(each.size_bytes for each in self.files)

    def completed(self) -> Record:
        """The same, of a collection that has all its points."""
        return replace(self, is_complete=True)

    def write(self, store: PointStore, side: str) -> None:
        """Put it over the one that is there."""
        content = {"kind": "qdrant", "format_version": FORMAT_VERSION, **asdict(self)}
        store.put(side, [Point(_RECORD, {"record": signed(content)})])

    @classmethod
    def read(cls, store: PointStore, side: str) -> Record | None:
        """The record of a collection; None where none was begun.

        Raises:
            IndexVersionError: another version of lsr wrote it.
            IndexCorruptError: it is damaged.
        """
        if not store.exists(side):
            return None
        points = store.fetch(side, [_RECORD], ["record"], ())
        if not points and not store.count(side):
            return None
        try:
            content, is_intact = read_signed(points[0].payload["record"])
            version = content.pop("format_version")
            if version != FORMAT_VERSION and isinstance(version, int):
                raise IndexVersionError(
                    f"{side} has format {version} and this lsr reads {FORMAT_VERSION}; migrate the "
                    "index again, or install the lsr that made it"
                )
            if not is_intact or content.pop("kind") != "qdrant":
                raise ValueError("it does not match its checksum")
            names = {each["path"].partition("/")[0] for each in content["files"]}
            if not {FREQUENCY, ENCODER} <= names:
                raise ValueError("it names no encoder")
            dense = content.pop("dense")
            return cls(
                **content
                | {
                    "sparse": EncoderIdentity(**content["sparse"]),
                    "dense": EncoderIdentity(**dense) if dense else None,
                    "fields": {
                        name: FieldValues(**each) for name, each in content["fields"].items()
                    },
                    "files": tuple(FileRecord(**each) for each in content["files"]),
                }
            )
        except _DAMAGE as error:
            raise IndexCorruptError(
                f"{side} is damaged ({error}); delete it with its collection, and migrate the "
                "index again"
            ) from error

    def file(self, store: PointStore, side: str, record: FileRecord) -> bytes:
        """The bytes of a file.

        Raises:
            IndexCorruptError: they are not those that were written.
        """
        try:
            points = store.fetch(side, list(record.points), ["piece"], ())
            pieces = {point.number: point.payload["piece"] for point in points}
            content = b"".join(base64.b64decode(pieces[number]) for number in record.points)
            if hashlib.sha256(content).hexdigest() != record.sha256:
                raise ValueError("its checksum differs")
            return content
        except _DAMAGE as error:
            raise IndexCorruptError(
                f"{side}: the file {record.path} is damaged ({error}); migrate the index again"
            ) from error

    def frequency(self, store: PointStore, side: str) -> NDArray[np.int64]:
        """Number of documents with each term. Raises as `file`."""
        (record,) = (each for each in self.files if each.path == FREQUENCY)
        return np.frombuffer(self.file(store, side, record), "<i8").astype(np.int64)

    def save_files(self, store: PointStore, side: str, folder: Path) -> None:
        """Write the files below a folder.

        Raises:
            IndexCorruptError: one is damaged, or has no place there.
        """
        for record in self.files:
            parts = PurePosixPath(record.path).parts
            if parts[:1] not in ((ENCODER,), (TUNED_PLAN_FILE,), (FREQUENCY,)) or ".." in parts:
                raise IndexCorruptError(
                    f"{side} names a file {record.path!r}, which is none of an index; migrate the "
                    "index again"
                )
            path = folder.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.file(store, side, record))


def written_files(contents: Mapping[str, bytes]) -> tuple[tuple[FileRecord, ...], Iterator[Point]]:
    """Records of files by path, and the points to put."""
    records, first = [], _RECORD + 1
    for path, content in contents.items():
        record = FileRecord(path, len(content), hashlib.sha256(content).hexdigest(), first)
        records.append(record)
        first = record.points.stop
    return tuple(records), _pieces(records, contents)


def _pieces(records: list[FileRecord], contents: Mapping[str, bytes]) -> Iterator[Point]:
    for record in records:
        content = contents[record.path]
        for place, number in enumerate(record.points):
            piece = content[place * _PIECE_BYTES : (place + 1) * _PIECE_BYTES]
            yield Point(number, {"piece": base64.b64encode(piece).decode("ascii")})


def opened_record(store: PointStore, name: str, side: str) -> Record:
    """The record of a collection that can be searched.

    Raises:
        IndexMissingError: there is no collection, or lsr did not make it, or did not end.
        IndexCorruptError: something else changed its points, or how it keeps them.
        IndexVersionError: as `Record.read`.
    """
    if not store.exists(name):
        raise IndexMissingError(
            f"there is no collection {name}; make it with: lsr migrate INDEX qdrant:URL/{name}"
        )
    record = Record.read(store, side)
    if record is None:
        raise IndexMissingError(
            f"{name} has no {side} beside it, so its encoder is not known; restore that, or "
            "migrate an index to another name"
        )
    if not record.is_complete:
        raise IndexMissingError(
            f"{name} is being migrated, or that was interrupted; the same lsr migrate goes on"
        )
    return record
