"""`Deletions`: which rows a change of a collection deletes, on top of those that are deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.errors import IndexCorruptError
from lsr.index.collection.segment_reader import SegmentReader
from lsr.index.storage.manifest import SegmentRecord
from lsr.index.storage.names import DELETED, numbered
from lsr.index.storage.tombstones import save_tombstones

__all__ = ["Deletions"]


class Deletions:
    """Rows of a segment that are still alive.

    Args:
        reader: the segment.
        generation: of the change.
    """

    def __init__(self, reader: SegmentReader, generation: int) -> None:
        self.reader = reader
        self._alive = np.ones(reader.record.n_rows, bool)
        if reader.alive is not None:
            self._alive &= reader.alive
        self._file = f"{reader.record.name}/{numbered(DELETED, generation)}.npy"

    def delete(self, doc_ids: Sequence[str]) -> list[str]:
        """Mark these documents deleted. Returns those that were here and alive.

        Raises:
            IndexCorruptError: the database and the arrays differ in a document's row.
        """
        found = self.reader.store.rows(doc_ids)
        rows = np.array(list(found.values()), np.int32)
        is_within = len(rows) == 0 or (0 <= rows.min() <= rows.max() < self.reader.record.n_rows)
        if not is_within or self.reader.segment.doc_ids(rows) != list(found):
            raise IndexCorruptError(
                f"{self.reader.record.name} has documents in other rows than its arrays say; run "
                "lsr index verify, and restore it from a copy, or build again"
            )
        deleted = [doc_id for doc_id, row in found.items() if self._alive[row]]
        self._alive[[found[doc_id] for doc_id in deleted]] = False
        return deleted

    def live_rows(self) -> NDArray[np.int32]:
        """Rows that are not deleted, ascending."""
        return np.flatnonzero(self._alive).astype(np.int32)

    @property
    def record(self) -> SegmentRecord:
        """The segment as it is after the deletions."""
        n_deleted = len(self._alive) - int(np.count_nonzero(self._alive))
        if n_deleted == self.reader.record.n_deleted:
            return self.reader.record
        return replace(self.reader.record, n_deleted=n_deleted, deleted=self._file)

    def save(self, collection: Path) -> None:
        """Write tombstones, if there are new ones, into a folder that stands for the collection."""
        if self.record.deleted == self._file:
            (collection / self._file).parent.mkdir()
            save_tombstones(collection / self._file, ~self._alive)
