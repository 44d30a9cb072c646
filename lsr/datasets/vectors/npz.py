"""Vectors in `.npz` files of `scipy.sparse.save_npz`: a document's id is its row number.

A CSR matrix is read from the archive piece by piece. The other kinds are not in the order of rows;
they are read whole. Arrays in an archive are only believed as far as their bytes go: SciPy itself
would allocate what a damaged head asks for, and write where damaged indices point.
"""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from lsr.datasets.lines import open_binary
from lsr.datasets.vectors.binary import Numbers, RowRefusal, csr_rows
from lsr.datasets.vectors.rows import RawRows, VectorChunk, checked_rows
from lsr.errors import DataError, UnavailableError
from lsr.sparse import CSR, MAX_TERMS

__all__ = ["NpzVectors", "to_scipy", "write_npz"]

MAX_ROWS = 2**31 - 1
_PARTS = {
    "csr": ("indptr", "indices", "data"),
    "csc": ("indptr", "indices", "data"),
    "bsr": ("indptr", "indices", "data"),
    "coo": ("row", "col", "data"),
    "dia": ("offsets", "data"),
}


class _Array(NamedTuple):
    """Header of an array in the archive."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: Literal["C", "F"]


class NpzVectors:
    """A sparse matrix saved by SciPy, of any kind.

    Raises:
        DataError: it is no such file, or its arrays do not fit together.
    """

    vocabulary = None

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_zeros = 0
        with _archive(path) as archive:
            kind = self._small(archive, "format")
            self._kind = kind.tobytes().replace(b"\0", b"").decode("ascii", "replace")
            if kind.dtype.kind not in "SU" or self._kind not in _PARTS:
                raise DataError(
                    f"holds a matrix of kind {self._kind[:20]!r}, and {', '.join(_PARTS)} are "
                    "read; save matrix.tocsr()",
                    path=path,
                )
            shape = self._small(archive, "shape")
            if shape.dtype.kind not in "iu" or shape.shape != (2,):
                raise DataError("its shape must be two numbers, rows and components", path=path)
            self._arrays = {name: self._array(archive, name) for name in _PARTS[self._kind]}
        self.n_rows, self.n_terms = (int(number) for number in shape)
        if not (0 <= self.n_rows <= MAX_ROWS and 0 <= self.n_terms <= MAX_TERMS):
            raise DataError(
                f"its shape is {self.n_rows:,} rows of {self.n_terms:,} components; at most "
                f"{MAX_ROWS:,} of {MAX_TERMS:,} fit",
                path=path,
            )
        if self._kind == "csr":
            self._check_lengths()

    def chunks(self, n_rows: int) -> Iterator[VectorChunk]:
        self.n_zeros = 0
        for first, raw in self._by_streams(n_rows) if self._kind == "csr" else self._whole(n_rows):
            vectors, n_zeros = checked_rows(raw, self.n_terms, RowRefusal(self.path, first))
            self.n_zeros += n_zeros
            yield VectorChunk([str(first + row) for row in range(vectors.n_rows)], vectors)

    def _by_streams(self, n_rows: int) -> Iterator[tuple[int, RawRows]]:
        with ExitStack() as stack:
            archives = [stack.enter_context(_archive(self.path)) for _ in range(3)]
            ends, indices, data = (
                self._open(stack, archive, name)
                for archive, name in zip(archives, _PARTS["csr"], strict=True)
            )
            n_read = 0
            columns = (ends, indices, data)
            for first, raw in csr_rows(self.path, columns, self.n_rows, self.n_terms, n_rows):
                n_read += len(raw.weights)
                yield first, raw
            n_stored = self._arrays["data"].shape[0]
            if n_read != n_stored:
                raise DataError(
                    f"its rows have {n_read:,} entries and it holds {n_stored:,}; was it damaged?",
                    path=self.path,
                )

    def _whole(self, n_rows: int) -> Iterator[tuple[int, RawRows]]:
        matrix = self._coordinates()
        rows = np.asarray(matrix.row, np.int64)
        order = np.argsort(rows, kind="stable")
        rows, components, weights = rows[order], matrix.col[order], matrix.data[order]
        for first in range(0, self.n_rows, n_rows):
            stop = min(first + n_rows, self.n_rows)
            part = slice(*np.searchsorted(rows, [first, stop]))
            lengths = np.bincount(rows[part] - first, minlength=stop - first)
            yield first, RawRows(lengths.astype(np.int64), components[part], weights[part])

    def _coordinates(self) -> Any:
        """The matrix as SciPy's `coo_array`, its indices checked."""
        try:
            from scipy import sparse
        except ModuleNotFoundError as error:
            raise UnavailableError(
                f"{self.path} holds a matrix of kind {self._kind}; any but csr needs scipy, which "
                "is not installed; run: pip install 'lsr-search[eval]'"
            ) from error
        with ExitStack() as stack:
            archive = stack.enter_context(_archive(self.path))
            parts = {
                name: self._open(stack, archive, name)
                .take(prod(array.shape))
                .reshape(array.shape, order=array.order)
                for name, array in self._arrays.items()
            }
        shape = (self.n_rows, self.n_terms)
        data = parts.pop("data")
        if data.dtype not in (np.float32, np.float64):
            data = data.astype(np.float64)
        parts = {name: part.astype(np.int64) for name, part in parts.items()}
        try:
            if self._kind == "coo":
                matrix = sparse.coo_array((data, (parts["row"], parts["col"])), shape=shape)
            elif self._kind == "dia":
                matrix = sparse.dia_array((data, parts["offsets"]), shape=shape)
            else:
                kind = sparse.csc_array if self._kind == "csc" else sparse.bsr_array
                matrix = kind((data, parts["indices"], parts["indptr"]), shape=shape)
                matrix.check_format(full_check=True)
            return matrix.tocoo()
        except (ValueError, TypeError, IndexError) as error:
            raise DataError(
                f"its arrays make no {self._kind} matrix ({error}); was it damaged?", path=self.path
            ) from error

    def _open(self, stack: ExitStack, archive: zipfile.ZipFile, name: str) -> Numbers:
        stream = stack.enter_context(archive.open(f"{name}.npy"))
        array = _head(stream)
        return Numbers(stream, array.dtype, self.path, f"its array {name!r}")

    def _array(self, archive: zipfile.ZipFile, name: str) -> _Array:
        """The head of an array, which fits its bytes and has numbers of the right sort."""
        with archive.open(f"{name}.npy") as stream:
            array = _head(stream)
            n_bytes = prod(array.shape) * array.dtype.itemsize
            present = archive.getinfo(f"{name}.npy").file_size - stream.tell()
        if min(array.shape, default=0) < 0 or n_bytes != present:
            raise DataError(
                f"its array {name!r} has {present:,} bytes and the shape {array.shape} of "
                f"{array.dtype}; was it damaged?",
                path=self.path,
            )
        kinds = "fiub" if name == "data" else "iu"
        if array.dtype.kind not in kinds:
            raise DataError(
                f"its array {name!r} holds {array.dtype} and must hold "
                f"{'real' if name == 'data' else 'whole'} numbers",
                path=self.path,
            )
        return array

    def _small(self, archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
        with archive.open(f"{name}.npy") as stream:
            array = _head(stream)
            n_bytes = prod(array.shape) * array.dtype.itemsize
            if array.dtype.hasobject or not 0 < n_bytes <= 64:
                raise DataError(f"its array {name!r} is not as SciPy writes it", path=self.path)
            numbers = Numbers(stream, array.dtype, self.path, f"its array {name!r}")
            return numbers.take(prod(array.shape)).reshape(array.shape)

    def _check_lengths(self) -> None:
        ends, indices, data = (self._arrays[name].shape for name in _PARTS["csr"])
        if ends != (self.n_rows + 1,) or indices != data or len(data) != 1:
            raise DataError(
                f"its arrays of shapes {ends}, {indices} and {data} make no matrix of "
                f"{self.n_rows:,} rows; was it damaged?",
                path=self.path,
            )


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with open_binary(path) as raw, zipfile.ZipFile(raw) as archive:
            for member in archive.infolist():
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise zipfile.BadZipFile("it is compressed as NumPy never does")
            yield archive
    except KeyError as error:
        raise DataError(
            f"is no sparse matrix saved by SciPy ({error.args[0]})", path=path
        ) from error
    except (
        *(zipfile.BadZipFile, zlib.error, EOFError, ValueError, SyntaxError),
        *(OSError, NotImplementedError, RuntimeError, struct.error, tokenize.TokenError),
    ) as error:
        raise DataError(
            f"cannot be read as an .npz file ({error}); is it complete?", path=path
        ) from error


def _head(stream: IO[bytes]) -> _Array:
    """Read the head of a `.npy` file. Raises ValueError when there is none."""
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"an array has version {version}")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, is_fortran, dtype = read(stream)
    return _Array(shape, dtype, "F" if is_fortran else "C")


def write_npz(stream: IO[bytes], vectors: CSR) -> None:
    """Write a matrix as `scipy.sparse.save_npz` does a `csr_array`, compressed."""
    np.savez_compressed(
        stream,
        indices=vectors.terms.astype(np.int64),
        indptr=vectors.indptr,
        format=np.array(b"csr"),
        shape=np.array((vectors.n_rows, vectors.n_terms)),
        data=vectors.weights,
        _is_array=np.array(True),
    )


def to_scipy(vectors: CSR) -> Any:
    """A `scipy.sparse.csr_array` of shape (n_rows, n_terms) on the same memory."""
    from scipy.sparse import csr_array

    shape = (vectors.n_rows, vectors.n_terms)
    return csr_array((vectors.weights, vectors.terms, vectors.indptr), shape=shape, copy=False)
