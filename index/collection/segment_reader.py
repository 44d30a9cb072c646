"""`SegmentReader`: one segment of a generation, opened: arrays, documents, tombstones."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from lsr.errors import IndexCorruptError
from lsr.index.blocks.block_index import BlockIndex
from lsr.index.search.auto_searcher import AutoSearcher
from lsr.index.search.calibration_file import Calibration
from lsr.index.search.exact_searcher import ExactSearcher
from lsr.index.storage.document_store import DocumentStore
from lsr.index.storage.manifest import Manifest, SegmentRecord
from lsr.index.storage.names import GRAPH_FILE, STORE_FILE
from lsr.index.storage.segment import Segment, frozen
from lsr.index.storage.tombstones import load_tombstones
from lsr.retrieval.dense_index import DenseIndex
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR, SparseVector

__all__ = ["Searcher", "SegmentReader"]


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

    def document_weights(
        self, terms: NDArray[np.int32], rows: NDArray[np.int32]
    ) -> NDArray[np.float32]: ...

    def warm_up(self) -> None: ...


class SegmentReader:
    """A segment's files, all opened at once, so that they can be read after they are removed.

    Args:
        collection: the collection's folder.
        manifest: the generation's.
        record: which of its segments.

    Attributes:
        blocks: the block index, where there is one.
        alive: which rows are not deleted: bool, shape (n_rows,); None when all are alive.

    Raises:
        IndexCorruptError: a file is missing, or is not what it should be.
    """

    def __init__(self, collection: Path, manifest: Manifest, record: SegmentRecord) -> None:
        self.record = record
        self.folder = collection / record.name
        self.segment = Segment.load(self.folder)
        if self.segment.n_rows != record.n_rows:
            raise IndexCorruptError(
                f"{self.folder} has {self.segment.n_rows:,} rows and the manifest says "
                f"{record.n_rows:,}; run lsr index verify"
            )
        self.blocks: BlockIndex | None = None
        self._calibration: Calibration | None = None
        if BlockIndex.exists(self.folder):
            self.blocks = BlockIndex.load(self.folder)
            self._calibration = Calibration.read(collection)
            if self.blocks.n_documents != record.n_rows:
                raise IndexCorruptError(
                    f"{self.folder} has blocks of {self.blocks.n_documents:,} rows and the "
                    f"manifest says {record.n_rows:,}; run lsr index verify"
                )
        self.alive: NDArray[np.bool_] | None = None
        if record.deleted is not None:
            path = collection / record.deleted
            self.alive = frozen(~load_tombstones(path, record.n_rows, record.n_deleted))
        with ExitStack() as opened:
            self._graph: BinaryIO | None = None
            if f"{record.name}/{GRAPH_FILE}" in manifest.files:
                self._graph = opened.enter_context(_open(self.folder / GRAPH_FILE))
            self.store = DocumentStore(self.folder / STORE_FILE)
            opened.callback(self.store.close)
            self._opened = opened.pop_all()

    def live_rows(self) -> NDArray[np.int32]:
        """The rows that are not deleted, ascending."""
        if self.alive is None:
            return np.arange(self.record.n_rows, dtype=np.int32)
        return np.flatnonzero(self.alive).astype(np.int32)

    def open_searcher(self) -> Searcher:
        """Sparse search over this segment: the one place where its engine is chosen.

        Without a calibrated block index it is exact search by the segment's float lists
        (`lsr.index.kernels.exact`). With one, the block index serves whatever is asked, exact
        search too, by its own 8-bit lists (`lsr.index.kernels.scan_search`).
        """
        if self.blocks is None or self._calibration is None:
            return ExactSearcher(self.segment)
        calibration = self._calibration
        return AutoSearcher(
            self.blocks, self.segment.tie_order, calibration.params, calibration.costs
        )

    def open_dense_index(self) -> DenseIndex:
        """Dense search over this segment. Raises UnavailableError when faiss is not installed."""
        graph = None if self._graph is None else Path(f"/dev/fd/{self._graph.fileno()}")
        return DenseIndex(self.segment.vectors, self.segment.tie_order, graph)

    def close(self) -> None:
        """Close the database. Arrays stay readable."""
        self._opened.close()


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise IndexCorruptError(
            f"{path} cannot be read ({error.strerror}); run lsr index verify"
        ) from error
