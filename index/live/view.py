"""`ViewBuilder`: published segments and the buffer, joined into a reader of one moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.segment_reader import SegmentReader
from lsr.index.collection.snapshot import Snapshot
from lsr.index.live.buffer import Buffer
from lsr.index.storage.tie_order import tie_order_of

__all__ = ["ViewBuilder"]


class ViewBuilder:
    """Rows of a published generation that the log has newer versions of, and what is left.

    Args:
        published: a generation as it was opened.
    """

    def __init__(self, published: CollectionReader) -> None:
        self.published = published
        self._readers: Sequence[SegmentReader] = published.readers
        self._looked_up: set[str] = set()

    def hide(self, doc_ids: Iterable[str]) -> None:
        """Leave published versions of these documents out of views from now on."""
        unknown = [doc_id for doc_id in doc_ids if doc_id not in self._looked_up]
        self._looked_up.update(unknown)
        self._readers = [
            reader.without(np.array(sorted(reader.store.rows(unknown).values()), np.int32))
            for reader in self._readers
        ]

    def view(self, buffer: Buffer) -> CollectionReader:
        """The collection with the buffer's documents; what the buffer knows must be hidden."""
        if not buffer.newest:
            return self.published
        published = self.published
        readers = [*self._readers, *buffer.readers]
        known = (len(self._readers), published.segment.tie_order)
        tie_order = tie_order_of([reader.segment for reader in readers], known)
        return CollectionReader(
            published.path,
            published.manifest,
            Snapshot(readers, tie_order),
            published.encoder,
            published.tuned_plan,
            published.loaded_dense,
        )
