"""`SegmentReader`: one segment of a generation, opened: arrays, documents, tombstones."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from lsr.errors import IndexCorruptError
from lsr.index.blocks.block_index import BlockIndex
from lsr.index.metadata.segment_metadata import SegmentMetadata
from lsr.index.search.auto_searcher import AutoSearcher
from lsr.index.search.calibration_file import Calibration
from lsr.index.search.exact_searcher import ExactSearcher
from lsr.index.search.passages import PassageSearcher
from lsr.index.storage.arrays_file import Bytes, Opener
from lsr.index.storage.document_store import DocumentStore
from lsr.index.storage.manifest import FileRecord, Manifest, SegmentRecord
from lsr.index.storage.names import DELETED, GRAPH_FILE, STORE_FILE
from lsr.index.storage.resident import Residence, opener
from lsr.index.storage.segment import Segment, frozen
from lsr.index.storage.tie_order import rows_of
from lsr.index.storage.tombstones import load_tombstones
from lsr.machine import WINDOWS
from lsr.retrieval.dense_index import DenseIndex, PassageDenseIndex
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR, SparseVector

__all__ = ["AnyDenseIndex", "Searcher", "SegmentFiles", "SegmentReader", "permanent_files"]


DOCUMENT_BYTES = 16 * 1024 * 1024
"""Bytes of documents that are remembered for a segment of a service."""


AnyDenseIndex = DenseIndex | PassageDenseIndex
"""Dense search of one segment."""


class Searcher(Protocol):
    """Sparse search over rows; `ExactSearcher` says what each method does.

    One segment has an `ExactSearcher` or an `AutoSearcher`, several have a `MultiSearcher`.
    """

    def search_batch(
        self,
        queries: CSR,
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        *,
        n_threads: int = 1,
    ) -> Ranking: ...

    def score(self, query: SparseVector, rows: NDArray[np.int32]) -> NDArray[np.float32]: ...

    def passage_scores(
        self, query: SparseVector, passages: NDArray[np.int32]
    ) -> NDArray[np.float32]: ...

    def document_weights(
        self, terms: NDArray[np.int32], passages: NDArray[np.int32]
    ) -> NDArray[np.float32]: ...

    def warm_up(self) -> None: ...


class SegmentFiles:
    """Files of a segment, opened: they never change, and all generations that have it share them.

    Everything is opened at once, so that it can be read after the files are removed, and closed
    when nobody holds it any more.

    Args:
        records: of the files, by name below the collection's folder: what makes two the same.
        segment, store: its arrays and its documents.
        blocks: the block index, where there is one.
        calibration: how that is searched; None for exact search.
        graph: the file of the graph of dense vectors, open, or its bytes; it is closed with the
            others.
        residence: where the arrays are, see `open`.

    Attributes:
        metadata: of the documents, with what filters have made of it.
    """

    def __init__(
        self,
        records: Mapping[str, FileRecord],
        segment: Segment,
        store: DocumentStore,
        blocks: BlockIndex | None = None,
        calibration: Calibration | None = None,
        graph: BinaryIO | Bytes | None = None,
        residence: Residence = "mapped",
    ) -> None:
        self.records = dict(records)
        self.residence = residence
        self.segment = segment
        self.store = store
        self.metadata = SegmentMetadata(store)
        self.blocks = blocks
        self.calibration = calibration
        self._graph = graph
        self._dense_index: AnyDenseIndex | None = None
        self._opening = threading.Lock()
        with ExitStack() as opened:
            opened.callback(store.close)
            if graph is not None and not isinstance(graph, np.ndarray):
                opened.callback(graph.close)
            # also when nobody closes it: searches may still run on a generation that was replaced
            self._close = weakref.finalize(self, opened.pop_all().close)

    @classmethod
    def open(
        cls,
        collection: Path,
        manifest: Manifest,
        record: SegmentRecord,
        residence: Residence = "mapped",
    ) -> SegmentFiles:
        """Open the files of a segment.

        Args:
            residence: where its arrays, blocks and graph are. Unless they are mapped, every file
                is compared with its checksum, and documents that were fetched are remembered.

        Raises:
            IndexCorruptError: a file is missing, or is not what it should be.
        """
        folder = collection / record.name
        read = opener(residence, collection, manifest)
        is_mapped = residence == "mapped"
        segment = Segment.load(folder, read)
        if segment.n_rows != record.n_rows:
            raise IndexCorruptError(
                f"{folder} has {segment.n_rows:,} rows and the manifest says "
                f"{record.n_rows:,}; run lsr index verify"
            )
        blocks = calibration = None
        if BlockIndex.exists(folder):
            blocks = BlockIndex.load(folder, read=None if is_mapped else read)
            calibration = Calibration.read(collection)
            if blocks.n_documents != record.n_rows:
                raise IndexCorruptError(
                    f"{folder} has blocks of {blocks.n_documents:,} rows and the "
                    f"manifest says {record.n_rows:,}; run lsr index verify"
                )
        with ExitStack() as opened:
            graph: BinaryIO | Bytes | None = None
            if f"{record.name}/{GRAPH_FILE}" in manifest.files:
                path = folder / GRAPH_FILE
                graph = opened.enter_context(_open(path)) if is_mapped else _copied(read, path)
            find = None if is_mapped else partial(rows_of, segment)
            memory = 0 if is_mapped else DOCUMENT_BYTES
            store = DocumentStore(folder / STORE_FILE, find=find, memory_bytes=memory)
            opened.callback(store.close)
            if not is_mapped:
                manifest.check(collection, {f"{record.name}/{STORE_FILE}"})
            opened.pop_all()
            return cls(
                permanent_files(manifest, record),
                segment,
                store,
                blocks,
                calibration,
                graph,
                residence,
            )

    def dense_index(self) -> AnyDenseIndex:
        """Dense search, opened with the first use. Raises UnavailableError without faiss."""
        with self._opening:
            if self._dense_index is None:
                held = self._graph
                graph = held if held is None or isinstance(held, np.ndarray) else _path_of(held)
                segment = self.segment
                index = DenseIndex(segment.vectors, segment.passage_order, graph)
                passages = segment.passages
                self._dense_index = PassageDenseIndex(index, passages) if passages else index
                self._graph = None
            return self._dense_index

    def close(self) -> None:
        """Close the database. Arrays stay readable."""
        self._close()


def permanent_files(manifest: Manifest, record: SegmentRecord) -> dict[str, FileRecord]:
    """The files of a segment without tombstones, by name below the collection's folder."""
    files = manifest.files_below(record.name)
    return {name: each for name, each in files.items() if f"/{DELETED}-" not in name}


class SegmentReader:
    """A segment as one generation has it: its files, and which of its rows are deleted.

    Args:
        record: which segment it is, and how many of its rows are deleted.
        files: opened; perhaps shared with other generations.
        alive: which rows are not deleted: bool, shape (n_rows,); None when all are alive.
    """

    def __init__(
        self, record: SegmentRecord, files: SegmentFiles, alive: NDArray[np.bool_] | None = None
    ) -> None:
        self.record = record
        self.files = files
        self.alive = alive
        self.segment = files.segment
        self.store = files.store
        self.metadata = files.metadata
        self.blocks = files.blocks

    @classmethod
    def open(
        cls,
        collection: Path,
        manifest: Manifest,
        record: SegmentRecord,
        known: Mapping[str, SegmentFiles] | None = None,
        residence: Residence = "mapped",
    ) -> SegmentReader:
        """Open a segment of a generation.

        Args:
            collection: the collection's folder.
            known: segments of another generation by name, used where their files are the same.
            residence: as `SegmentFiles.open`.

        Raises:
            IndexCorruptError: a file is missing, or is not what it should be.
        """
        files = (known or {}).get(record.name)
        if files is None or files.records != permanent_files(manifest, record):
            files = SegmentFiles.open(collection, manifest, record, residence)
        alive = None
        if record.deleted is not None:
            path = collection / record.deleted
            read = opener(residence, collection, manifest)
            alive = frozen(~load_tombstones(path, record.n_rows, record.n_deleted, read))
        return cls(record, files, alive)

    def without(self, rows: NDArray[np.int32]) -> SegmentReader:
        """The same segment with more rows deleted."""
        if len(rows) == 0:
            return self
        alive = np.ones(self.record.n_rows, bool) if self.alive is None else self.alive.copy()
        alive[rows] = False
        n_deleted = self.record.n_rows - int(np.count_nonzero(alive))
        return SegmentReader(replace(self.record, n_deleted=n_deleted), self.files, frozen(alive))

    @property
    def n_passages(self) -> int:
        """Passages of the rows that are not deleted; a document in one piece is one."""
        if self.segment.passages is None:
            return self.record.n_documents
        lengths = np.diff(self.segment.passages.starts)
        return int(np.sum(lengths if self.alive is None else lengths[self.alive]))

    def live_rows(self) -> NDArray[np.int32]:
        """The rows that are not deleted, ascending."""
        if self.alive is None:
            return np.arange(self.record.n_rows, dtype=np.int32)
        return np.flatnonzero(self.alive).astype(np.int32)

    def drawn_vectors(self, most: int, n_terms: int) -> CSR:
        """Sparse vectors of some documents, always the same; the width is `n_terms`."""
        rows = self.live_rows()
        drawn = np.random.default_rng(0).choice(rows, min(len(rows), most), replace=False)
        return self.store.sparse_vectors(np.sort(drawn).tolist(), n_terms)

    def open_searcher(self) -> Searcher:
        """Sparse search over this segment: the one place where its engine is chosen.

        Without a calibrated block index it is exact search by the segment's float lists
        (`lsr.index.kernels.exact`). With one, the block index serves whatever is asked, exact
        search too, by its own 8-bit lists (`lsr.index.kernels.scan_search`). Passages have neither:
        they are searched exactly (`lsr.index.kernels.passages`).
        """
        if self.segment.passages is not None:
            return PassageSearcher(self.segment)
        calibration = self.files.calibration
        if self.blocks is None or calibration is None:
            return ExactSearcher(self.segment)
        return AutoSearcher(
            self.blocks, self.segment.tie_order, calibration.params, calibration.costs
        )

    def open_dense_index(self) -> AnyDenseIndex:
        """Dense search over this segment. Raises UnavailableError when faiss is not installed."""
        return self.files.dense_index()

    def close(self) -> None:
        """Close the database. Arrays stay readable."""
        self.files.close()


def _path_of(stream: BinaryIO) -> Path:
    """A path to an open file, whatever has its name by now; on Windows it keeps that."""
    return Path(stream.name) if WINDOWS else Path(f"/dev/fd/{stream.fileno()}")


def _copied(read: Opener, path: Path) -> Bytes:
    try:
        return read(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> IndexCorruptError:
    return IndexCorruptError(f"{path} cannot be read ({error.strerror}); run lsr index verify")


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error
