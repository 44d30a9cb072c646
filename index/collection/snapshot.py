"""One generation of a collection, opened: its segments, and all of them as one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from lsr.index.collection.multi_searcher import JoinedSearcher, JoinedVectors
from lsr.index.collection.multi_segment import AnySegment, JoinedSegment
from lsr.index.collection.multi_store import AnyStore, JoinedStore
from lsr.index.collection.segment_reader import Part, Searcher
from lsr.index.storage.manifest import Manifest
from lsr.index.storage.tie_order import load_tie_order
from lsr.retrieval.dense_index import VectorIndex

__all__ = ["Generation", "open_parts"]


class Generation:
    """Everything that a manifest names and a reader needs, behind the interface of one segment.

    A single segment without deleted rows is that segment itself; nothing stands between.

    Attributes:
        parts: the segments one by one.
        segment, store, searcher: all of them together; rows are counted through.
        open_vectors: opens the dense vectors for search.

    Raises:
        IndexCorruptError: a file is missing, or is not what it should be.
    """

    def __init__(self, collection: Path, manifest: Manifest) -> None:
        with ExitStack() as opened:
            self.parts = open_parts(collection, manifest, opened)
            first = self.parts[0]
            self.segment: AnySegment = first.segment
            self.store: AnyStore = first.store
            self.open_vectors: Callable[[], VectorIndex | JoinedVectors] = first.open_vectors
            if len(self.parts) > 1 or first.alive is not None:
                joined = _joined(collection, manifest, self.parts)
                self.segment, self.store = joined, JoinedStore(joined)
                self.searcher: Searcher = JoinedSearcher(joined)
                self.open_vectors = lambda: JoinedVectors(joined)
            else:
                self.searcher = first.open_searcher()
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Close the databases."""
        self._opened.close()


def open_parts(collection: Path, manifest: Manifest, opened: ExitStack) -> tuple[Part, ...]:
    """Open every segment of a generation; `opened` closes them."""
    parts = []
    for record in manifest.segments:
        part = Part(collection, manifest, record)
        opened.callback(part.close)
        parts.append(part)
    return tuple(parts)


def _joined(collection: Path, manifest: Manifest, parts: tuple[Part, ...]) -> JoinedSegment:
    tie_order = parts[0].segment.tie_order
    if manifest.tie_order is not None:
        n_rows = sum(part.record.n_rows for part in parts)
        tie_order = load_tie_order(collection / manifest.tie_order, n_rows)
    return JoinedSegment(parts, tie_order)
