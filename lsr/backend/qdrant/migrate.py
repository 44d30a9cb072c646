"""Migration of an index into Qdrant and back; interrupted, the same call goes on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.backend.qdrant.address import QdrantAddress
from lsr.backend.qdrant.client import MOST_LOCAL
from lsr.backend.qdrant.conditions import Fields
from lsr.backend.qdrant.points import STAMP, CheckedPoints, points_of
from lsr.backend.qdrant.record import (
    ENCODER,
    FREQUENCY,
    SIDE_LAYOUT,
    FileRecord,
    Record,
    written_files,
)
from lsr.backend.qdrant.shard import QdrantShard, check_layout, check_points
from lsr.backend.qdrant.store import Point, PointStore
from lsr.errors import ExistsError, IndexMissingError, InputError, StorageError
from lsr.files import writing
from lsr.index.collection.encoder_registry import save_encoder
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.segment_writer import SegmentWriter
from lsr.index.collection.tuned_plan import TUNED_PLAN_FILE
from lsr.index.storage.commit import commit
from lsr.index.storage.staging import Staging
from lsr.progress import Progress, no_progress
from lsr.sparse import CSR, SparseVector
from lsr.types import Document

__all__ = ["Migrated", "migrate_from", "migrate_to"]

BATCH = 256
"""Points of a request, at most; from a multiple of them an interrupted migration goes on."""
REQUEST_CHARACTERS = 2_000_000
"""The same of texts and metadata; a server takes 32 MB, and a character can be 12 bytes of JSON."""
PAGE = 1_000
"""Points of a file on the way back."""
_NOTHING = SparseVector.from_mapping({})


@dataclass(frozen=True)
class Migrated:
    """Outcome of a migration.

    Attributes:
        n_documents: that are there now.
        n_found: of those, that were there before it.
    """

    n_documents: int
    n_found: int


def migrate_to(
    reader: CollectionReader,
    store: PointStore,
    address: QdrantAddress,
    *,
    progress: Progress = no_progress,
) -> Migrated:
    """Write an index into a collection of Qdrant that is not there, or that this began.

    Raises:
        InputError: the index has passages, or too many documents for a local folder.
        ExistsError: there is another collection of that name.
        ServiceError, AccessError: the server does not answer, or refuses.
        IndexCorruptError: something else writes there, too.
    """
    rows = reader.live_rows()
    if reader.segment.n_passages != reader.segment.n_rows or reader.manifest.passages is not None:
        raise InputError(
            f"{reader.path} has passages, which a collection of Qdrant does not hold yet; build it "
            "with --passages never to migrate it"
        )
    if address.is_local and len(rows) > MOST_LOCAL:
        raise InputError(
            f"{address.server} is no server but a folder, which qdrant-client searches for tests, "
            f"with {MOST_LOCAL:,} documents at most, and these are {len(rows):,}; give a URL"
        )
    record = _begun(reader, rows, store, address, progress)
    if record.is_complete:
        check_points(store, address.name, record)
        return Migrated(len(rows), len(rows))
    check_layout(address.name, store.layout(address.name), record.layout)
    n_found = min(store.count(address.name), len(rows))
    if n_found < len(rows):
        n_found -= n_found % BATCH
    fields = record.metadata_fields
    for first in range(n_found, len(rows), BATCH):
        progress("migrate", first, len(rows))
        some = rows[first : first + BATCH]
        documents = reader.store.documents(some.tolist())
        sparse, dense = _vectors(reader, some)
        numbers = range(first, first + len(some))
        points = points_of(numbers, documents, sparse, dense, fields, record.stamp)
        for request in _requests(points):
            store.put(address.name, request)
    progress("migrate", len(rows), len(rows))
    check_points(store, address.name, record)
    record.completed().write(store, address.side)
    return Migrated(len(rows), n_found)


def _requests(points: Iterable[Point]) -> Iterator[list[Point]]:
    """Points in lists that a server takes in one request."""
    request: list[Point] = []
    size = 0
    for point in points:
        length = len(point.payload["text"]) + len(point.payload["metadata"])
        if request and size + length > REQUEST_CHARACTERS:
            yield request
            request, size = [], 0
        request.append(point)
        size += length
    if request:
        yield request


def _begun(
    reader: CollectionReader,
    rows: NDArray[np.int32],
    store: PointStore,
    address: QdrantAddress,
    progress: Progress,
) -> Record:
    """The record of this migration, with the collections that it needs and its files."""
    origin = hashlib.sha256(reader.manifest.to_json().encode()).hexdigest()
    found = Record.read(store, address.side)
    is_there = store.exists(address.name)
    if (found is None and is_there) or (found is not None and found.origin != origin):
        what = "is not of lsr" if found is None else "was made of another index, or generation"
        raise ExistsError(
            f"there is a collection {address.name} at {address.server}, which {what}; choose "
            f"another name, or delete it and {address.side}"
        )
    if found is not None and found.is_complete:
        return found
    fields = found.metadata_fields if found else Fields.of(_metadata(reader, rows, progress))
    contents = _contents(reader)
    files, points = written_files(contents)
    record = found or _record(reader, len(rows), origin, fields, contents, files)
    if not store.exists(address.side):
        store.create(address.side, SIDE_LAYOUT)
    record.write(store, address.side)
    for point in points:
        store.put(address.side, [point])
    if not is_there:
        store.create(address.name, record.layout)
    store.index(address.name, {"doc_id": "keyword", STAMP: "keyword", **fields.indexed})
    return record


def _contents(reader: CollectionReader) -> dict[str, bytes]:
    """The files that go along, by path."""
    manifest, path = reader.manifest, reader.path
    terms = np.arange(reader.encoder.n_terms, dtype=np.int32)
    frequency = reader.segment.document_frequency(terms)
    contents = {FREQUENCY: frequency.astype("<i8").tobytes()}
    for name in sorted(manifest.files_below(manifest.encoder)):
        try:
            contents[ENCODER + name.removeprefix(manifest.encoder)] = (path / name).read_bytes()
        except OSError as error:
            raise IndexMissingError(
                f"{path / name} cannot be read ({error.strerror}); where {path} was changed "
                "meanwhile, the same lsr migrate takes the newer generation"
            ) from error
    plan = reader.tuned_plan
    if plan is not None and plan.fits(manifest):
        with TemporaryDirectory() as folder:
            contents[TUNED_PLAN_FILE] = plan.save(Path(folder)).read_bytes()
    return contents


def _record(
    reader: CollectionReader,
    n_documents: int,
    origin: str,
    fields: Fields,
    contents: Mapping[str, bytes],
    files: tuple[FileRecord, ...],
) -> Record:
    manifest = reader.manifest
    (segment, *more) = manifest.segments
    return Record(
        origin=origin,
        is_complete=False,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        lsr_version=version("lsr-search"),
        generation=manifest.generation,
        source=manifest.source,
        sparse=manifest.sparse,
        dense=manifest.dense,
        is_exact=segment.is_exact and not more and not segment.n_deleted,
        n_documents=n_documents,
        n_postings=int(np.frombuffer(contents[FREQUENCY], "<i8").sum()),
        n_terms=reader.encoder.n_terms,
        dimension=reader.segment.dimension,
        fields=fields.by_name,
        files=files,
    )


def _metadata(
    reader: CollectionReader, rows: NDArray[np.int32], progress: Progress
) -> Iterator[Mapping[str, object]]:
    for first in range(0, len(rows), PAGE):
        progress("read", first, len(rows))
        for document in reader.store.documents(rows[first : first + PAGE].tolist()):
            yield document.metadata


def _vectors(reader: CollectionReader, rows: NDArray[np.int32]) -> tuple[CSR, NDArray[np.float32]]:
    sparse = reader.sparse.vectors(rows, _NOTHING)
    if not reader.segment.dimension:
        return sparse, np.zeros((len(rows), 0), np.float32)
    return sparse, reader.segment.dense_vectors(reader.segment.passages_of(rows)[0])


def migrate_from(
    store: PointStore, address: QdrantAddress, target: Path, *, progress: Progress = no_progress
) -> Migrated:
    """Write a collection of Qdrant, as `migrate_to` makes it, into an index that is not there.

    Points that were read lie beside the index until it is done.

    Raises:
        ExistsError: there is something at `target`.
        IndexMissingError, IndexVersionError, IndexCorruptError: the collection is not what was
            written, or not whole.
        ServiceError, AccessError: the server does not answer, or refuses.
        StorageError: the disk is full, or there is no permission.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ExistsError(f"{target} exists; choose a new folder or an empty one")
    shard = QdrantShard(store, address.name, address.side)
    try:
        kept = target.absolute().parent / f".{target.name}.from-qdrant"
        pages = _Pages(kept / shard.record.stamp, shard.record, store, address.name)
        n_found = pages.fetch(progress)
        _build(pages, shard, target, progress)
        shutil.rmtree(kept)
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written ({error.strerror or error}); free some space, and the "
            "same lsr migrate goes on"
        ) from error
    finally:
        shard.close()
    return Migrated(shard.record.n_documents, n_found)


def _build(pages: _Pages, shard: QdrantShard, target: Path, progress: Progress) -> None:
    record, encoder = shard.record, shard.encoder()
    with Staging(target) as staging, SegmentWriter(staging, progress) as draft:
        draft.read(pages.documents(), record.source, allow_empty=True)
        draft.encode_sparse(encoder, pages.sparse())
        if record.dimension:
            draft.take_dense(pages.dense())
        segment = draft.finish(encoder, is_exact=record.is_exact)
        plan = shard.tuned_plan()
        if plan is not None:
            plan.save(staging.folder)
        commit(
            staging,
            [segment],
            sparse=encoder.identity,
            dense=record.dense,
            encoder=save_encoder(encoder, staging.folder, staging.generation),
            source=record.source,
            forget_kept=True,
            progress=progress,
        )


class _Pages:
    """Points that were read, in files, so that a migration that stopped goes on.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path, record: Record, store: PointStore, name: str) -> None:
        self._folder = folder
        self._record = record
        self._points = CheckedPoints(store, name, record.n_terms, record.dimension)
        self._firsts = range(0, record.n_documents, PAGE)

    def _path(self, first: int) -> Path:
        return self._folder / f"{first:012}.npz"

    def fetch(self, progress: Progress) -> int:
        """Read the pages that are not there. Returns the number of points that were."""
        self._folder.mkdir(parents=True, exist_ok=True)
        n = self._record.n_documents
        n_found = 0
        for first in self._firsts:
            progress("migrate", first, n)
            last = min(first + PAGE, n)
            if self._path(first).exists():
                n_found += last - first
                continue
            sides = (True, self._record.dimension > 0)
            documents, sparse, dense = self._points.page(first, last, sides)
            lines = json.dumps([asdict(each) for each in documents]).encode()
            with writing(self._path(first)) as stream:
                np.savez(
                    stream,
                    documents=np.frombuffer(lines, np.uint8),
                    indptr=sparse.indptr,
                    terms=sparse.terms,
                    weights=sparse.weights,
                    dense=dense,
                )
        return n_found

    def _arrays(self, name: str) -> Iterator[NDArray[Any]]:
        for first in self._firsts:
            with np.load(self._path(first), allow_pickle=False) as page:
                yield page[name]

    def documents(self) -> Iterator[Document]:
        """All documents, by number."""
        for lines in self._arrays("documents"):
            yield from (Document(**each) for each in json.loads(lines.tobytes()))

    def sparse(self) -> CSR:
        """All sparse vectors, by number."""
        n_terms = self._record.n_terms
        arrays = zip(*map(self._arrays, ("indptr", "terms", "weights")), strict=True)
        parts = [CSR(indptr, terms, weights, n_terms) for indptr, terms, weights in arrays]
        return CSR.concatenate(parts) if parts else CSR.empty(0, n_terms)

    def dense(self) -> NDArray[np.float32]:
        """All dense vectors, by number."""
        empty = np.zeros((0, self._record.dimension), np.float32)
        return np.concatenate([empty, *self._arrays("dense")])
