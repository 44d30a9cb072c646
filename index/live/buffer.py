"""`Buffer`: documents that are in the log and not in segments, ready to be searched, in memory.

They lie in segments of their own, each of some operations, that are joined as they become many: a
document is copied a few times at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsr.index.collection.segment_reader import SegmentFiles, SegmentReader
from lsr.index.live.encoding import dense_of, sparse_of
from lsr.index.live.log import Entry
from lsr.index.live.passaged import passage_rows, split_of
from lsr.index.storage.document_store import DocumentStore
from lsr.index.storage.document_store_writer import StoreWriter
from lsr.index.storage.manifest import SegmentRecord
from lsr.index.storage.segment import Segment
from lsr.passages.passage import Passage
from lsr.sparse import CSR
from lsr.types import Document

__all__ = ["Buffer"]

_FACTOR = 4
"""So many chunks of about one size are joined; a chunk has up to so many times another's rows."""


@dataclass(frozen=True)
class _Chunk:
    """Documents of some operations: what they are made from, and the segment made of them."""

    entries: tuple[Entry, ...]
    reader: SegmentReader


class Buffer:
    """The newest version of every document that the log holds with its vectors. Immutable.

    Args:
        chunks: segments in memory.
        newest: of every document that is in the log, the last operation.
        n_terms, dimension: widths of the vectors; dimension 0 without a dense side.

    Attributes:
        newest: likewise; deletions too, so that older versions in the segments are hidden.
    """

    def __init__(
        self,
        chunks: Sequence[_Chunk] = (),
        newest: dict[str, int] | None = None,
        dimension: int = 0,
    ) -> None:
        self._chunks = tuple(chunks)
        self.newest = newest or {}
        self._dimension = dimension

    @property
    def readers(self) -> tuple[SegmentReader, ...]:
        """The segments, without documents that were replaced or deleted since."""
        return tuple(chunk.reader for chunk in self._chunks if chunk.reader.record.n_documents)

    def plus(self, entries: Sequence[Entry], n_terms: int) -> Buffer:
        """The buffer with more operations, in the order of their numbers.

        Args:
            n_terms: the width of the vocabulary as it is now.
        """
        newest = self.newest | {entry.doc_id: entry.seq for entry in entries}
        changed = {entry.doc_id for entry in entries}
        chunks = [_without(chunk, newest, changed) for chunk in self._chunks]
        puts = tuple(
            entry
            for entry in entries
            if entry.body is not None and newest[entry.doc_id] == entry.seq
        )
        if puts:
            chunks.append(self._chunk(puts, n_terms))
        while len(chunks) >= _FACTOR and _rows(chunks[-_FACTOR]) <= _FACTOR * _rows(chunks[-1]):
            joined, chunks = chunks[-_FACTOR:], chunks[:-_FACTOR]
            alive = tuple(
                entry
                for chunk in joined
                for entry in chunk.entries
                if newest[entry.doc_id] == entry.seq
            )
            if alive:
                chunks.append(self._chunk(alive, n_terms))
        return Buffer(chunks, newest, self._dimension)

    def _chunk(self, entries: tuple[Entry, ...], n_terms: int) -> _Chunk:
        documents = [entry.document for entry in entries]
        sparse = sparse_of(entries, n_terms)
        dense = dense_of(entries, self._dimension) if self._dimension else None
        split = split_of(entries)
        store = _store(documents, [entry.seq for entry in entries], split, sparse, dense)
        doc_ids = [document.doc_id for document in documents]
        segment = Segment.build(doc_ids, sparse, dense, passage_rows(entries))
        record = SegmentRecord(
            name=f"buffer-{entries[-1].seq}",
            n_rows=len(entries),
            n_deleted=0,
            n_terms=segment.n_terms,
            n_postings=segment.n_postings,
            deleted=None,
            is_exact=False,
        )
        return _Chunk(entries, SegmentReader(record, SegmentFiles({}, segment, store)))


def _rows(chunk: _Chunk) -> int:
    return len(chunk.entries)


def _without(chunk: _Chunk, newest: dict[str, int], changed: set[str]) -> _Chunk:
    """The chunk without documents of which there is a newer version."""
    rows = [
        row
        for row, entry in enumerate(chunk.entries)
        if entry.doc_id in changed and newest[entry.doc_id] != entry.seq
    ]
    return _Chunk(chunk.entries, chunk.reader.without(np.array(rows, np.int32)))


def _store(
    documents: Sequence[Document],
    versions: Sequence[int],
    split: Mapping[str, Sequence[Passage]],
    sparse: CSR,
    dense: NDArray[np.float32] | None,
) -> DocumentStore:
    """A database in memory."""
    writer = StoreWriter(None)
    passages = (lambda document: split.get(document.doc_id, ())) if split else None
    for _ in writer.add_documents(documents, versions, passages):
        pass
    writer.add_sparse(sparse)
    if dense is not None:
        writer.add_dense(dense)
    return writer.reader()
