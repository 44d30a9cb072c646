"""Several segments, or one with deleted rows, behind the interface of one segment.

Rows are numbered consecutively: the first of a segment follows the last of the one before. Deleted
rows keep their numbers and are never found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lsr.index.collection.segment_reader import SegmentReader
from lsr.index.search.batch import check_mask
from lsr.index.storage.segment import Segment, frozen

__all__ = ["AnySegment", "MultiSegment", "RowRanges"]

_ROWS_AT_ONCE = 10_000

Rows = NDArray[np.int32]
Mask = NDArray[np.bool_]


class RowRanges:
    """Ranges of the rows of each reader.

    Args:
        lengths: rows of each reader.

    Attributes:
        n_rows: of all readers.
        first_rows: the first row of each reader, int64.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        self._edges = np.cumsum([0, *lengths])
        self.n_rows = int(self._edges[-1])
        self.first_rows = self._edges[:-1].copy()

    def __iter__(self) -> Iterator[slice]:
        """The rows of each reader."""
        return (slice(first, last) for first, last in pairwise(self._edges.tolist()))

    def split(
        self, rows: NDArray[np.int32]
    ) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.int32]]]:
        """Readers that have some of `rows`: number, places in `rows`, rows within the reader."""
        owners = np.searchsorted(self._edges, rows, side="right") - 1
        for owner in np.unique(owners).tolist():
            places = np.flatnonzero(owners == owner)
            yield owner, places, (rows[places] - self._edges[owner]).astype(np.int32)


class MultiSegment:
    """The rows of all readers, one after the other.

    Args:
        readers: at least one.
        tie_order: int32, shape (n_rows,): the place of each row when they are sorted by doc_id.

    Attributes:
        ranges, passage_ranges: which rows, and which of their passages, are whose.
        alive: which rows are not deleted: bool, shape (n_rows,); None when all are alive.
    """

    def __init__(self, readers: Sequence[SegmentReader], tie_order: NDArray[np.int32]) -> None:
        self.readers = tuple(readers)
        self.tie_order = tie_order
        self._segments = [reader.segment for reader in readers]
        self.ranges = RowRanges([segment.n_rows for segment in self._segments])
        self.passage_ranges = RowRanges([segment.n_passages for segment in self._segments])
        self.alive: Mask | None = None
        if any(reader.alive is not None for reader in readers):
            alive = np.ones(self.n_rows, bool)
            for reader, rows in zip(readers, self.ranges, strict=True):
                alive[rows] = True if reader.alive is None else reader.alive
            self.alive = frozen(alive)

    @property
    def n_rows(self) -> int:
        """Deleted rows included: the length of masks and of `tie_order`."""
        return self.ranges.n_rows

    @property
    def n_passages(self) -> int:
        """Rows of the vectors, those of deleted documents included."""
        return self.passage_ranges.n_rows

    @cached_property
    def n_live_passages(self) -> int:
        """Passages of documents that can be found. Counted with the first use."""
        return sum(
            len(reader.segment.passages_of(reader.live_rows())[0]) for reader in self.readers
        )

    @property
    def whole_from(self) -> int:
        """The first term that is of whole documents; that of any segment with passages."""
        return max((segment.whole_from for segment in self._segments), default=0)

    @property
    def n_documents(self) -> int:
        """Documents that can be found."""
        return sum(reader.record.n_documents for reader in self.readers)

    @property
    def n_terms(self) -> int:
        return max(segment.n_terms for segment in self._segments)

    @property
    def n_postings(self) -> int:
        return sum(segment.n_postings for segment in self._segments)

    @property
    def dimension(self) -> int:
        """Of the dense vectors; 0 without a dense side."""
        return self._segments[0].dimension

    @property
    def lists_nbytes(self) -> int:
        """Bytes of the inverted lists and identifiers."""
        return sum(segment.lists_nbytes for segment in self._segments)

    @property
    def vectors_nbytes(self) -> int:
        """Bytes of the dense vectors."""
        return sum(segment.vectors_nbytes for segment in self._segments)

    def masks(self, allowed: Mask | None) -> list[Mask | None]:
        """Masks of the rows of each reader that may be found; None where all may.

        Args:
            allowed: bool, shape (n_rows,), or None.

        Raises:
            QueryError: `allowed` has another length.
        """
        if allowed is None:
            return [reader.alive for reader in self.readers]
        check_mask(allowed, self.n_rows)
        if self.alive is not None:
            allowed = allowed & self.alive
        return [frozen(allowed[rows]) for rows in self.ranges]

    def doc_ids(self, rows: Rows) -> list[str]:
        """The identifiers of rows, in their order."""
        found = [""] * len(rows)
        for owner, places, local in self.ranges.split(rows):
            doc_ids = self._segments[owner].doc_ids(local)
            for place, doc_id in zip(places.tolist(), doc_ids, strict=True):
                found[place] = doc_id
        return found

    def passages_of(self, rows: Rows) -> tuple[Rows, NDArray[np.int64]]:
        """The passages of rows, see `PassageRows.of`."""
        found: list[Rows] = [rows[:0]] * len(rows)
        for owner, places, local in self.ranges.split(rows):
            passages, edges = self._segments[owner].passages_of(local)
            passages = passages + np.int32(self.passage_ranges.first_rows[owner])
            parts = np.split(passages, edges[1:-1])
            for place, part in zip(places.tolist(), parts, strict=True):
                found[place] = part
        edges = np.cumsum([0, *map(len, found)])
        return np.concatenate([rows[:0], *found]).astype(np.int32), edges

    def dense_vectors(self, passages: Rows) -> NDArray[np.float32]:
        """The dense vectors of passages, shape (n, dimension)."""
        vectors = np.empty((len(passages), self.dimension), np.float32)
        for owner, places, local in self.passage_ranges.split(passages):
            vectors[places] = self._segments[owner].dense_vectors(local)
        return vectors

    def document_frequency(self, terms: NDArray[np.int32]) -> NDArray[np.int64]:
        """Number of documents that hold each term, deleted ones not counted."""
        frequency = np.zeros(len(terms), np.int64)
        for segment in self._segments:
            frequency += segment.document_frequency(terms)
        if self.alive is None or len(self._deleted_frequency) == 0:
            return frequency
        known = np.minimum(terms, len(self._deleted_frequency) - 1)
        deleted = np.where(terms == known, self._deleted_frequency[known], 0)
        return frequency - deleted

    @cached_property
    def _deleted_frequency(self) -> NDArray[np.int64]:
        """Number of deleted documents with each term, shape (n_terms,). From the stored vectors."""
        frequency = np.zeros(self.n_terms, np.int64)
        for reader in self.readers:
            if reader.alive is None:
                continue
            deleted = np.flatnonzero(~reader.alive).astype(np.int32)
            rows = reader.segment.passages_of(deleted)[0].tolist()
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                some = rows[start : start + _ROWS_AT_ONCE]
                vectors = reader.store.sparse_vectors(some, self.n_terms)
                frequency += np.bincount(vectors.terms, minlength=self.n_terms)
        return frequency

    @cached_property
    def has_terms(self) -> Mask:
        """Mask of rows that hold any term, shape (n_rows,). Found with the first use."""
        return frozen(np.concatenate([segment.has_terms for segment in self._segments]))


AnySegment = Segment | MultiSegment
"""Either of the two: the rest of the code needs the same of their rows."""
