"""`CollectionShard`: an index folder as a `Shard`; `LocalShards`: several, in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lsr.backend.shard import Called, Candidates, Round, Shard, ShardInfo, SideScoresOf
from lsr.errors import LsrError, QueryError
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.snapshot import Snapshot
from lsr.index.storage.tie_order import tie_order_of
from lsr.retrieval.candidates import side_list
from lsr.retrieval.retriever import DenseSide, SparseSide
from lsr.sparse import CSR, SparseVector
from lsr.types import Document

__all__ = ["CollectionShard", "LocalShards"]

Vector = TypeVar("Vector", SparseVector, NDArray[np.float32])
Rows32 = NDArray[np.int32]


class CollectionShard:
    """A generation of an index as a shard.

    Args:
        reader: of documents that are all in one piece.
        size_bytes: on disk; default: as its manifest says.
    """

    def __init__(self, reader: CollectionReader, size_bytes: int = 0) -> None:
        self._reader = reader
        self._size_bytes = size_bytes

    @classmethod
    def open(cls, folder: Path, *, verify: bool = True) -> CollectionShard:
        """Open an index folder. Raises as `CollectionReader.open`."""
        return cls(CollectionReader.open(folder, verify=verify))

    @classmethod
    def joined(cls, folders: Sequence[Path], *, verify: bool = True) -> CollectionShard:
        """Several index folders of one encoder as one shard: a process merges what it has itself.

        Its order of documents is in memory, four bytes each.
        """
        parts = [CollectionReader.open(folder, verify=verify) for folder in folders]
        if len(parts) == 1:
            return cls(parts[0])
        readers = [reader for part in parts for reader in part.readers]
        snapshot = Snapshot(readers, tie_order_of([reader.segment for reader in readers]))
        first = parts[0]
        joined = CollectionReader(first.path, first.manifest, snapshot, first.encoder)
        return cls(joined, sum(part.manifest.size_bytes for part in parts))

    def warm_up(self) -> None:
        """Do now what would slow the first search down; queries are vectors, so no model is."""
        self._reader.sparse.warm_up()
        dimension = self._reader.segment.dimension
        if dimension:
            self._reader.dense.search(np.zeros((1, dimension), np.float32), 1)

    def info(self) -> ShardInfo:
        """See `Shard`."""
        manifest, segment = self._reader.manifest, self._reader.segment
        terms = np.arange(self._reader.encoder.n_terms, dtype=np.int32)
        return ShardInfo(
            sparse=manifest.sparse,
            dense=manifest.dense,
            n_documents=segment.n_documents,
            n_passages=segment.n_live_passages,
            n_postings=segment.n_postings,
            size_bytes=self._size_bytes or manifest.size_bytes,
            dimension=segment.dimension,
            document_frequency=segment.document_frequency(terms),
        )

    def search(self, asked: Round) -> Candidates:
        """See `Shard`."""
        reader = self._reader
        allowed: NDArray[np.bool_] | None = None
        unknown: tuple[str, ...] = ()
        if asked.where:
            allowed, unknown = reader.metadata.mask_of_part(asked.where)
        window = max(1, min(asked.window, reader.segment.n_rows))
        none = np.zeros(0, np.int32), np.zeros(0, np.float32)
        sparse = dense = none
        if asked.lists[0] and asked.sparse is not None:
            ranking = reader.sparse.search(asked.sparse.as_matrix(), window, allowed)
            sparse = side_list(ranking, asked.sparse, "sparse")[:2]
        if asked.lists[1] and asked.dense is not None:
            ranking = reader.dense.search(asked.dense[None, :], window, allowed)
            dense = side_list(ranking, asked.dense, "dense")[:2]
        rows = np.unique(np.concatenate([asked.rows.astype(np.int32), sparse[0], dense[0]]))
        both = asked.complete
        best = (sparse if asked.lists[0] else dense)[0][: asked.fetch]
        return Candidates(
            rows.astype(np.int64),
            reader.segment.doc_ids(rows),
            _side(reader.sparse, asked.sparse, rows, sparse, both),
            None if asked.dense is None else _side(reader.dense, asked.dense, rows, dense, both),
            self._reader.store.documents(best.tolist()) if len(best) else (),
            unknown,
        )

    def score(
        self,
        sparse: SparseVector | None,
        dense: NDArray[np.float32] | None,
        rows: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """See `Shard`."""
        own = rows.astype(np.int32)
        if sparse is not None:
            return self._reader.sparse.score(sparse, own)
        assert dense is not None
        return self._reader.dense.score(dense, own)

    def vectors(
        self, rows: NDArray[np.int64], sides: tuple[bool, bool]
    ) -> tuple[CSR, NDArray[np.float32]]:
        """See `Shard`."""
        reader, own = self._reader, rows.astype(np.int32)
        sparse, dense = CSR.empty(0, 0), np.zeros((0, 0), np.float32)
        if sides[0]:
            sparse = reader.sparse.vectors(own, SparseVector.from_mapping({}))
        if sides[1]:
            dense = reader.dense.vectors(own, np.zeros(reader.segment.dimension, np.float32))
        return sparse, dense

    def document_weights(self, query: SparseVector, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Shard`."""
        return self._reader.sparse.document_weights(query, rows.astype(np.int32))

    def documents(self, rows: NDArray[np.int64]) -> list[Document]:
        """See `Shard`."""
        return self._reader.store.documents(rows.tolist())

    def document(self, doc_id: str) -> Document | None:
        """See `Shard`."""
        row = self._reader.store.row(doc_id)
        return None if row is None else self._reader.store.document(row)

    def close(self) -> None:
        """Close the index."""
        self._reader.close()


def _side(
    side: SparseSide | DenseSide,
    query: Any,
    rows: Rows32,
    found: tuple[Rows32, NDArray[np.float32]],
    complete: bool,
) -> SideScoresOf | None:
    """Scores of candidates on one side; `complete`: of those too that it does not list."""
    if query is None:
        return None
    best = rows.searchsorted(found[0])
    raw, known = np.zeros(len(rows), np.float32), np.zeros(len(rows), bool)
    raw[best], known[best] = found[1], True
    has_vector = known.copy()
    if complete:
        has_vector = side.has_vector(rows)
        others = np.flatnonzero(has_vector & ~known)
        raw[others] = side.score(query, rows[others])
        known[others] = True
    return SideScoresOf(best, raw, known, has_vector)


class LocalShards:
    """Shards in this process, asked one after the other.

    Args:
        shards: in the order of their numbers.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = tuple(shards)

    @property
    def n(self) -> int:
        """See `Shards`."""
        return len(self._shards)

    def call(self, method: str, arguments: Mapping[int, Sequence[Any]]) -> Called:
        """See `Shards`."""
        called = Called({}, {})
        for number, given in arguments.items():
            try:
                called.answers[number] = getattr(self._shards[number], method)(*given)
            except QueryError:
                raise
            except (LsrError, RuntimeError, OSError) as error:
                called.failures[number] = error
        return called

    def close(self) -> None:
        """Close all of them."""
        for shard in self._shards:
            shard.close()
