"""`ViewBuilder`: published segments and the buffer, joined into a reader of one moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from lsr.index.collection.multi_searcher import merged
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.segment_reader import SegmentReader
from lsr.index.collection.snapshot import Snapshot
from lsr.index.live.buffer import Buffer
from lsr.index.search.exact_searcher import ExactSearcher
from lsr.index.storage.segment import Segment
from lsr.index.storage.tie_order import tie_order_of
from lsr.sparse import CSR

__all__ = ["ViewBuilder", "warm_up_views"]


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


def warm_up_views() -> None:
    """Compile, or load from Numba's cache, what the first searches of a view with a buffer need.

    A collection that does not exist yet has no searcher of its own to warm up.
    """
    segments = [Segment.build([doc_id], CSR.from_rows([{0: 1.0}])) for doc_id in ("a", "b")]
    query = CSR.from_rows([{0: 1.0}])
    found = []
    for segment in segments:
        searcher = ExactSearcher(segment)
        searcher.warm_up()
        found.append(searcher.search_batch(query, 1))
    merged(found, np.array([0, 1]), tie_order_of(segments), 1)
