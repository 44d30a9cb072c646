"""Vectors in raw arrays: Seismic's inner format, and the `.csr` of the BigANN sparse track.

Both are little-endian and number their components; a document's id is its row number.

    Seismic:  u32 n_rows, then for each row: u32 n, u32 components[n], f32 weights[n]
    BigANN:   i64 n_rows, n_cols, n_entries; i64 indptr[n_rows + 1]; i32 indices[n_entries];
              f32 data[n_entries]

What a head promises is compared with the size of the file before anything is made room for. A
compressed file has no size to compare with: it is read by pieces until it ends.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lsr.datasets.lines import COMPRESSED, open_binary
from lsr.datasets.vectors.rows import CHUNK_ENTRIES, RawRows, VectorChunk, checked_rows
from lsr.errors import DataError
from lsr.sparse import CSR, MAX_TERMS

__all__ = [
    "BigannVectors",
    "Numbers",
    "RowRefusal",
    "SeismicVectors",
    "csr_rows",
    "write_bigann",
    "write_seismic",
]

PIECE_BYTES = 2**24
"""Most bytes asked of a stream at once, so that a false count allocates nothing."""

MOST = 2**48
"""Rows or entries that a file may have; more could not be counted in bytes."""


class RowRefusal:
    """Says which row of a file is wrong; made for a chunk that starts at row `first`."""

    def __init__(self, path: Path, first: int) -> None:
        self._path = path
        self._first = first

    def __call__(self, row: int, what: str) -> NoReturn:
        raise DataError(f"row {self._first + row} (from 0) has {what}", path=self._path)


class Numbers:
    """Numbers of one type, taken from a stream."""

    def __init__(
        self, stream: BufferedIOBase | IO[bytes], dtype: DTypeLike, path: Path, what: str
    ) -> None:
        self._stream = stream
        self._dtype = np.dtype(dtype)
        self._path = path
        self._what = what

    def take(self, n: int) -> NDArray[Any]:
        """The next `n` numbers, shape (n,). Raises DataError when there are fewer."""
        return np.frombuffer(self.take_bytes(n * self._dtype.itemsize), self._dtype)

    def take_bytes(self, n_bytes: int) -> bytes:
        """The next `n_bytes` bytes as they are. Raises DataError when there are fewer."""
        pieces: list[bytes] = []
        while n_bytes:
            piece = self._stream.read(min(n_bytes, PIECE_BYTES))
            if not piece:
                raise DataError(f"ends within {self._what}; is it complete?", path=self._path)
            pieces.append(piece)
            n_bytes -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def skip(self, n_bytes: int) -> None:
        """Skip `n_bytes` bytes."""
        if self._stream.seekable():
            self._stream.seek(n_bytes, 1)
            return
        for start in range(0, n_bytes, PIECE_BYTES):
            self.take_bytes(min(PIECE_BYTES, n_bytes - start))

    def end(self) -> None:
        """Raises DataError when there is more."""
        if self._stream.read(1):
            raise DataError("goes on after its last row; was it damaged?", path=self._path)


def csr_rows(
    path: Path, columns: tuple[Numbers, Numbers, Numbers], n_rows: int, n_terms: int, step: int
) -> Iterator[tuple[int, RawRows]]:
    """Rows of compressed sparse row arrays, as (first row, rows), by pieces of up to `step` rows.

    Args:
        columns: where row ends (`indptr`), components and weights are taken from, in this order.
        n_terms: the width; no row can have more entries.

    Raises:
        DataError: the row ends do not ascend from 0, or an array is too short.
    """
    ends, indices, data = columns
    done = int(ends.take(1)[0])
    if done != 0:
        raise DataError(f"its row offsets start at {done} and not at 0", path=path)
    for first in range(0, n_rows, step):
        block = ends.take(min(step, n_rows - first)).astype(np.int64)
        lengths = np.diff(block, prepend=done)
        wrong = (lengths < 0) | (lengths > n_terms)
        if wrong.any():
            row = int(np.argmax(wrong))
            RowRefusal(path, first)(row, f"{lengths[row]} entries, with {n_terms:,} components")
        start = 0
        while start < len(block):
            stop = int(np.searchsorted(block, done + CHUNK_ENTRIES, side="right"))
            stop = max(stop, start + 1)
            n = int(block[stop - 1]) - done
            components = indices.take(n)
            yield first + start, RawRows(lengths[start:stop], components, data.take(n))
            done, start = int(block[stop - 1]), stop


class BigannVectors:
    """A `.csr` file, plain or compressed.

    Raises:
        DataError: the file is empty, its head makes no sense or does not fit the file's size.
    """

    vocabulary = None
    _HEAD = struct.Struct("<qqq")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_zeros = 0
        with open_binary(path) as stream:
            head = Numbers(stream, "<i8", path, "its head").take_bytes(self._HEAD.size)
        self.n_rows, self.n_terms, self._n_entries = self._HEAD.unpack(head)
        counts = f"{self.n_rows:,} rows, {self.n_terms:,} components, {self._n_entries:,} entries"
        numbers = (self.n_rows, self.n_terms, self._n_entries)
        if min(numbers) < 0 or max(numbers) > MOST or self.n_terms > MAX_TERMS:
            raise DataError(
                f"its head says {counts}, which cannot be; is this a BigANN .csr file?", path=path
            )
        self._indices_at = self._HEAD.size + 8 * (self.n_rows + 1)
        self._data_at = self._indices_at + 4 * self._n_entries
        _check_size(path, self._data_at + 4 * self._n_entries, counts)

    def chunks(self, n_rows: int) -> Iterator[VectorChunk]:
        self.n_zeros = 0
        with ExitStack() as stack:
            parts = [("<i8", "its row offsets"), ("<i4", "its components"), ("<f4", "its weights")]
            ends, indices, data = (
                Numbers(stack.enter_context(open_binary(self.path)), dtype, self.path, what)
                for dtype, what in parts
            )
            ends.skip(self._HEAD.size)
            indices.skip(self._indices_at)
            data.skip(self._data_at)
            n_read = 0
            columns = (ends, indices, data)
            for first, raw in csr_rows(self.path, columns, self.n_rows, self.n_terms, n_rows):
                vectors, n_zeros = checked_rows(raw, self.n_terms, RowRefusal(self.path, first))
                n_read += len(raw.weights)
                self.n_zeros += n_zeros
                yield VectorChunk(_row_ids(first, vectors.n_rows), vectors)
            if n_read != self._n_entries:
                raise DataError(
                    f"its rows have {n_read:,} entries and its head says {self._n_entries:,}; "
                    "was it damaged?",
                    path=self.path,
                )
            data.end()


class SeismicVectors:
    """A file of Seismic's inner format, plain or compressed.

    Raises:
        DataError: the file is empty, or too short for the rows that its head promises.
    """

    vocabulary = None
    _HEAD = struct.Struct("<I")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_terms: int | None = None
        self.n_zeros = 0
        with open_binary(path) as stream:
            head = Numbers(stream, "<u4", path, "its head").take_bytes(self._HEAD.size)
        (self.n_rows,) = self._HEAD.unpack(head)
        counts = f"{self.n_rows:,} rows"
        _check_size(path, self._HEAD.size * (1 + self.n_rows), counts, is_least=True)

    def chunks(self, n_rows: int) -> Iterator[VectorChunk]:
        self.n_zeros = width = 0
        left = None if self.path.suffix in COMPRESSED else self.path.stat().st_size
        with open_binary(self.path) as stream:
            numbers = Numbers(stream, "<u4", self.path, "a row")
            numbers.take(1)
            first = 0
            while first < self.n_rows:
                most = min(n_rows, self.n_rows - first)
                raw = self._rows(numbers, first, most, left)
                vectors, n_zeros = checked_rows(raw, MAX_TERMS, RowRefusal(self.path, first))
                width = max(width, int(vectors.terms.max(initial=-1)) + 1)
                self.n_zeros += n_zeros
                yield VectorChunk(_row_ids(first, vectors.n_rows), vectors._replace(n_terms=width))
                first += vectors.n_rows
            numbers.end()
        self.n_terms = width

    def _rows(self, numbers: Numbers, first: int, most: int, size: int | None) -> RawRows:
        lengths: list[int] = []
        components: list[bytes] = []
        weights: list[bytes] = []
        n_entries = 0
        while len(lengths) < most and n_entries < CHUNK_ENTRIES:
            (n,) = self._HEAD.unpack(numbers.take_bytes(self._HEAD.size))
            if n > MAX_TERMS or (size is not None and 8 * n > size):
                RowRefusal(self.path, first)(
                    len(lengths), f"{n:,} components, more than the file can hold; was it damaged?"
                )
            components.append(numbers.take_bytes(4 * n))
            weights.append(numbers.take_bytes(4 * n))
            lengths.append(n)
            n_entries += n
        return RawRows(
            np.array(lengths, np.int64),
            np.frombuffer(b"".join(components), "<u4"),
            np.frombuffer(b"".join(weights), "<f4"),
        )


def _row_ids(first: int, n: int) -> list[str]:
    return [str(row) for row in range(first, first + n)]


def _check_size(path: Path, needed: int, counts: str, *, is_least: bool = False) -> None:
    if path.suffix in COMPRESSED:
        return
    size = path.stat().st_size
    if size < needed or (size > needed and not is_least):
        least = "at least " if is_least else ""
        raise DataError(
            f"its head says {counts}, which takes {least}{needed:,} bytes, and the file has "
            f"{size:,}; is it complete, and of this format?",
            path=path,
        )


def write_bigann(stream: IO[bytes], vectors: CSR) -> None:
    """Write a matrix as a BigANN `.csr` file."""
    counts = np.array([vectors.n_rows, vectors.n_terms, vectors.nnz], "<i8")
    for part, dtype in (
        (counts, "<i8"),
        (vectors.indptr, "<i8"),
        (vectors.terms, "<i4"),
        (vectors.weights, "<f4"),
    ):
        stream.write(np.ascontiguousarray(part, dtype).data)


def write_seismic(stream: IO[bytes], vectors: CSR) -> None:
    """Write a matrix in Seismic's inner format, which does not keep its width."""
    stream.write(struct.pack("<I", vectors.n_rows))
    for row in range(vectors.n_rows):
        terms, weights = vectors.row(row)
        stream.write(struct.pack("<I", len(terms)))
        stream.write(terms.astype("<u4").tobytes() + weights.astype("<f4").tobytes())
