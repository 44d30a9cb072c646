"""One generation of a collection, opened: its segments, and all of them as one."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from lsr.index.collection.multi_searcher import MultiDenseIndex, MultiSearcher
from lsr.index.collection.multi_segment import AnySegment, MultiSegment
from lsr.index.collection.multi_store import AnyStore, MultiStore
from lsr.index.collection.segment_reader import Searcher, SegmentReader
from lsr.index.storage.manifest import Manifest
from lsr.index.storage.tie_order import load_tie_order
from lsr.retrieval.dense_index import DenseIndex

__all__ = ["Snapshot", "open_readers"]


class Snapshot:
    """Everything that a manifest names and a reader needs, behind the interface of one segment.

    A single segment without deleted rows is that segment itself; nothing stands between.

    Attributes:
        readers: the segments one by one.
        segment, store, searcher: all of them together; rows are numbered consecutively.
        open_dense_index: opens the dense vectors for search.

    Raises:
        IndexCorruptError: a file is missing, or is not what it should be.
    """

    def __init__(self, collection: Path, manifest: Manifest) -> None:
        with ExitStack() as opened:
            self.readers = open_readers(collection, manifest, opened)
            first = self.readers[0]
            self.segment: AnySegment = first.segment
            self.store: AnyStore = first.store
            self.open_dense_index: Callable[[], DenseIndex | MultiDenseIndex] = (
                first.open_dense_index
            )
            if len(self.readers) > 1 or first.alive is not None:
                joined = _joined(collection, manifest, self.readers)
                self.segment, self.store = joined, MultiStore(joined)
                self.searcher: Searcher = MultiSearcher(joined)
                self.open_dense_index = lambda: MultiDenseIndex(joined)
            else:
                self.searcher = first.open_searcher()
            # also when nobody closes it: searches may still run on a snapshot that was replaced
            self._close = weakref.finalize(self, opened.pop_all().close)

    def close(self) -> None:
        """Close the databases."""
        self._close()


def open_readers(
    collection: Path, manifest: Manifest, opened: ExitStack
) -> tuple[SegmentReader, ...]:
    """Open every segment of a generation; `opened` closes them."""
    readers = []
    for record in manifest.segments:
        reader = SegmentReader(collection, manifest, record)
        opened.callback(reader.close)
        readers.append(reader)
    return tuple(readers)


def _joined(
    collection: Path, manifest: Manifest, readers: tuple[SegmentReader, ...]
) -> MultiSegment:
    tie_order = readers[0].segment.tie_order
    if manifest.tie_order is not None:
        n_rows = sum(reader.record.n_rows for reader in readers)
        tie_order = load_tie_order(collection / manifest.tie_order, n_rows)
    return MultiSegment(readers, tie_order)
