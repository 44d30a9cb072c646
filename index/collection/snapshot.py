"""One generation of a collection, opened: its segments, and all of them as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.index.collection.multi_searcher import MultiDenseIndex, MultiSearcher
from lsr.index.collection.multi_segment import AnySegment, MultiSegment
from lsr.index.collection.multi_store import AnyStore, MultiStore
from lsr.index.collection.segment_reader import AnyDenseIndex, Searcher, SegmentReader
from lsr.index.storage.manifest import Manifest
from lsr.index.storage.resident import Residence
from lsr.index.storage.tie_order import load_tie_order, tie_order_of

__all__ = ["Snapshot", "open_readers"]

OpenDenseIndex = Callable[[], AnyDenseIndex | MultiDenseIndex]
"""Opens the dense vectors of one segment or of several."""


class Snapshot:
    """The segments of a generation behind the interface of one.

    A single segment without deleted rows is that segment itself; nothing stands between.

    Args:
        readers: the segments; at least one.
        tie_order: int32, shape (n_rows,): of the rows of all of them; None for one segment.

    Attributes:
        segment, store, searcher: all of them together; rows are numbered consecutively.
        open_dense_index: opens the dense vectors for search.
    """

    def __init__(
        self, readers: Sequence[SegmentReader], tie_order: NDArray[np.int32] | None = None
    ) -> None:
        self.readers = tuple(readers)
        first = self.readers[0]
        self.segment: AnySegment = first.segment
        self.store: AnyStore = first.store
        self.open_dense_index: OpenDenseIndex = first.open_dense_index
        if len(self.readers) > 1 or first.alive is not None:
            order = first.segment.tie_order if tie_order is None else tie_order
            joined = MultiSegment(self.readers, order)
            self.segment, self.store = joined, MultiStore(joined)
            self.searcher: Searcher = MultiSearcher(joined)
            self.open_dense_index = lambda: MultiDenseIndex(joined)
        else:
            self.searcher = first.open_searcher()

    @classmethod
    def open(
        cls,
        collection: Path,
        manifest: Manifest,
        known: Iterable[SegmentReader] = (),
        residence: Residence = "mapped",
    ) -> Snapshot:
        """Open everything that a manifest names and a reader needs.

        Args:
            collection: the collection's folder.
            known: segments of another generation; those that did not change are shared.
            residence: as `SegmentFiles.open`, of the others.

        Raises:
            IndexCorruptError: a file is missing, or is not what it should be.
        """
        readers = open_readers(collection, manifest, known, residence)
        if len(readers) == 1:
            return cls(readers)
        if manifest.tie_order is None or residence != "mapped":
            return cls(readers, tie_order_of([reader.segment for reader in readers]))
        n_rows = sum(reader.record.n_rows for reader in readers)
        return cls(readers, load_tie_order(collection / manifest.tie_order, n_rows))

    def close(self) -> None:
        """Close the databases, also those that other snapshots share."""
        for reader in self.readers:
            reader.close()


def open_readers(
    collection: Path,
    manifest: Manifest,
    known: Iterable[SegmentReader] = (),
    residence: Residence = "mapped",
) -> tuple[SegmentReader, ...]:
    """Open every segment of a generation; those of `known` that did not change are shared.

    Raises:
        IndexCorruptError: a file is missing, or is not what it should be.
    """
    files = {reader.record.name: reader.files for reader in known}
    return tuple(
        SegmentReader.open(collection, manifest, record, files, residence)
        for record in manifest.segments
    )
