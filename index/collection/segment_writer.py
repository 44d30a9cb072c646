"""A segment being written: documents first, then their vectors, then its arrays."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.protocols import DenseEncoder, Encoder
from lsr.errors import InputError
from lsr.index.blocks.config import BlockSettings
from lsr.index.collection.encode import encode_dense, encode_sparse, take_sparse, whole_from
from lsr.index.collection.segment_reader import SegmentReader
from lsr.index.indexer.block_builder import build_blocks, typical_config
from lsr.index.indexer.limits import BuildLimits
from lsr.index.storage.document_store_writer import StoreWriter, readable
from lsr.index.storage.manifest import SegmentRecord
from lsr.index.storage.names import GRAPH_FILE, SEGMENT, STORE_FILE, numbered
from lsr.index.storage.segment import Segment
from lsr.index.storage.staging import Staging
from lsr.passages.passage import Split
from lsr.passages.passage_rows import PassageRows
from lsr.progress import Progress
from lsr.retrieval.dense_index import DenseIndex
from lsr.sparse import CSR
from lsr.types import Document

__all__ = ["BLOCKS_FROM", "SegmentWriter"]

BLOCKS_FROM = 100_000
"""Segments of this many rows or more have a block index. Below, exact search is hard to beat."""


class SegmentWriter:
    """A context manager around one new segment; an exception leaves it unfinished.

    Documents that are read are encoded, and then documents of other segments may be taken over
    with their vectors. Or these are taken over without sparse vectors, and encoded.

    Args:
        split: gives the passages of documents that are read; default: all stay whole.

    Attributes:
        name: the folder's name.
    """

    def __init__(self, staging: Staging, progress: Progress, split: Split | None = None) -> None:
        self.name = numbered(SEGMENT, staging.generation)
        self._folder = staging.folder / self.name
        self._folder.mkdir()
        self._progress = progress
        self._split = split
        self._store = StoreWriter(self._folder / STORE_FILE)
        self._sparse: CSR | None = None
        self._dense: list[tuple[NDArray[np.float32], NDArray[np.int32] | None]] = []

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._store.abandon()

    @property
    def n_documents(self) -> int:
        """Documents so far."""
        return self._store.n_documents

    def doc_ids(self) -> list[str]:
        """The identifiers of the documents so far, in row order."""
        return self._store.doc_ids()

    def read(
        self,
        documents: Iterable[Document],
        source: str,
        versions: Iterable[int] | None = None,
        *,
        allow_empty: bool = False,
    ) -> None:
        """Store new documents.

        Args:
            versions: as `StoreWriter.add_documents`.

        Raises:
            InputError: there are none and that is not allowed, an id is empty or repeated, or they
                cannot be read.
        """
        stream = readable(documents, source)
        self._progress("read", 0, None)
        for n_read in self._store.add_documents(stream, versions, self._split):
            self._progress("read", n_read, None)
        if not allow_empty:
            self.refuse_empty(source)

    def refuse_empty(self, source: str) -> None:
        """Raises InputError where no documents were read from the source."""
        if self._store.n_documents == 0:
            raise InputError(
                f"{source or 'the source'} holds no documents; there is nothing to build or to add"
            )

    def take_over(
        self,
        reader: SegmentReader,
        rows: NDArray[np.int32],
        *,
        with_sparse: bool,
        before: int,
        total: int,
    ) -> None:
        """Copy documents of another segment, with their dense and perhaps sparse vectors.

        Args:
            rows: those that are not deleted.
            before, total: documents taken over before, and in all, for the progress.
        """
        with_dense = reader.segment.dimension > 0
        if with_dense:
            self._dense.append((reader.segment.vectors, reader.segment.passages_of(rows)[0]))
        self._sparse = None
        for done in self._store.copy(reader.store, rows, sparse=with_sparse, dense=with_dense):
            self._progress("merge", before + done, total)

    def encode_sparse(
        self, encoder: Encoder, vectors: CSR | None = None, *, learn: bool = True
    ) -> None:
        """Give all documents so far their sparse vectors; `vectors` are used in place of others.

        Args:
            learn: as `encode_sparse`.
        """
        if vectors is None:
            self._sparse = encode_sparse(self._store, encoder, self._progress, learn=learn)
        else:
            self._sparse = take_sparse(self._store, encoder, vectors)

    def take_dense(self, vectors: NDArray[np.float32]) -> None:
        """Give all documents so far dense vectors that are made already."""
        self._store.add_dense(vectors)
        self._dense.append((vectors, None))

    def encode_dense(self, model: DenseEncoder, kept: Path) -> None:
        """Give all documents so far their dense vectors; see `encode_dense`."""
        self._dense.append((encode_dense(self._store, model, kept, self._progress), None))

    def finish(
        self,
        encoder: Encoder,
        *,
        is_exact: bool,
        blocks: bool | None = None,
        settings: BlockSettings | None = None,
        limits: BuildLimits | None = None,
    ) -> tuple[SegmentRecord, Segment]:
        """Write the arrays, and close the database.

        Args:
            encoder: of the sparse vectors.
            is_exact: as in `SegmentRecord`.
            blocks: whether there is a block index; None for large segments only. Passages have
                none.
            settings: of building it; default: all by the segment's size.
            limits: of building it; default: those of `BuildLimits`.

        Raises:
            InputError: the memory allowed for blocks does not suffice.
        """
        self._progress("index", 0, None)
        sparse = self._sparse
        if sparse is None:
            sparse = self._store.sparse_vectors(encoder.n_terms)
        dense = self._dense_vectors()
        passages = None
        if self._store.has_passages:
            starts = np.cumsum([0, *self._store.passage_counts])
            passages = PassageRows(starts, whole_from(encoder))
        segment = Segment.build(self._store.doc_ids(), sparse, dense, passages)
        segment.save(self._folder)
        if passages is None and (blocks or (blocks is None and segment.n_rows >= BLOCKS_FROM)):
            config = typical_config(sparse, values="f32")
            if settings is not None:
                config = settings.over(config)
            limits = limits or BuildLimits()
            build_blocks(
                sparse,
                config,
                n_threads=limits.threads,
                max_memory=limits.max_memory,
                progress=self._progress,
            ).save(self._folder)
        if dense is not None:
            DenseIndex(dense, segment.passage_order).write_graph(self._folder / GRAPH_FILE)
        self._store.close()
        record = SegmentRecord(
            name=self.name,
            n_rows=segment.n_rows,
            n_deleted=0,
            n_terms=segment.n_terms,
            n_postings=segment.n_postings,
            deleted=None,
            is_exact=is_exact,
        )
        return record, segment

    def _dense_vectors(self) -> NDArray[np.float32] | None:
        if not self._dense:
            return None
        if len(self._dense) == 1 and self._dense[0][1] is None:
            return self._dense[0][0]
        lengths = [len(vectors if rows is None else rows) for vectors, rows in self._dense]
        joined = np.empty((sum(lengths), self._dense[0][0].shape[1]), np.float32)
        first = 0
        for (vectors, rows), length in zip(self._dense, lengths, strict=True):
            place = joined[first : first + length]
            chosen = np.arange(length) if rows is None else rows
            np.take(vectors, chosen, axis=0, out=place, mode="clip")  # straight into its place
            first += length
        return joined
