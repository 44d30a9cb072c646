"""Sparse vectors and matrices: what encoders give to the engine.

Both are NamedTuples of arrays, so that they can be handed to Numba kernels as they are.
Invariants, checked by `validate` and kept by every constructor here: terms ascend strictly within
a row, weights are finite and greater than zero. A zero weight is the absence of an entry; negative
weights are refused, because upper bounds over lists would not hold.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsr.errors import InputError

__all__ = ["CSR", "MAX_TERMS", "Quantised", "SparseMatrix", "SparseVector", "VectorsLike"]

MAX_TERMS = 2**31 - 1
_SORTED_ENTRIES = 1 << 20


class SparseVector(NamedTuple):
    """A sparse vector: `terms` int32 (ascending, unique), `weights` float32 (> 0), of equal length.

    Example:
        >>> import lsr
        >>> lsr.SparseVector.from_mapping({7: 0.5, 3: 2.0}).terms.tolist()
        [3, 7]
    """

    terms: NDArray[np.int32]
    weights: NDArray[np.float32]

    @classmethod
    def from_mapping(cls, weights: Mapping[int, float]) -> SparseVector:
        """Build from term to weight. Zero weights are dropped.

        Raises:
            InputError: a term is negative, or a weight is negative, NaN or infinite.
        """
        return CSR.from_rows([weights]).row(0)

    def as_matrix(self) -> CSR:
        """A matrix of this one row, of the same arrays."""
        width = int(self.terms[-1]) + 1 if len(self.terms) else 0
        return CSR(np.array((0, len(self.terms)), np.int64), self.terms, self.weights, width)


class CsrArrays(Protocol):
    """Attributes of a SciPy matrix in CSR form that `CSR.from_scipy` takes."""

    @property
    def indptr(self) -> ArrayLike: ...

    @property
    def indices(self) -> ArrayLike: ...

    @property
    def data(self) -> ArrayLike: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    def sum_duplicates(self) -> None: ...

    def eliminate_zeros(self) -> None: ...


@runtime_checkable
class SparseMatrix(Protocol):
    """Any SciPy sparse matrix or array, of two dimensions."""

    def tocsr(self, copy: bool = ...) -> CsrArrays:
        """The same in CSR form."""
        ...


class Quantised(NamedTuple):
    """Integer weights and their scale: `weight ≈ code * scale`."""

    codes: NDArray[np.unsignedinteger]
    scale: float


class CSR(NamedTuple):
    """A matrix of sparse rows.

    Attributes:
        indptr: int64, shape (n_rows + 1,); row i is the slice `indptr[i]:indptr[i + 1]`.
        terms: int32, shape (nnz,), ascending within each row, below `n_terms`.
        weights: float32, shape (nnz,), greater than zero.
        n_terms: the width of the matrix, in terms.

    Example:
        >>> import lsr
        >>> matrix = lsr.CSR.from_rows([{0: 1.0, 4: 2.0}, {}])
        >>> matrix.n_rows, matrix.nnz, matrix.n_terms
        (2, 2, 5)
    """

    indptr: NDArray[np.int64]
    terms: NDArray[np.int32]
    weights: NDArray[np.float32]
    n_terms: int

    @property
    def n_rows(self) -> int:
        return len(self.indptr) - 1

    @property
    def nnz(self) -> int:
        return len(self.terms)

    def row(self, i: int) -> SparseVector:
        """Row `i` as views on this matrix. Raises IndexError when there is no such row."""
        if not 0 <= i < self.n_rows:
            raise IndexError(f"row {i} of a matrix of {self.n_rows} rows")
        part = slice(self.indptr[i], self.indptr[i + 1])
        return SparseVector(self.terms[part], self.weights[part])

    @classmethod
    def empty(cls, n_rows: int, n_terms: int) -> CSR:
        return cls(
            np.zeros(n_rows + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), n_terms
        )

    @classmethod
    def one_row(cls, weights: Mapping[int, float], n_terms: int) -> CSR:
        """Build a single row without checks, as queries need it, in microseconds."""
        terms = sorted(weights)
        return cls(
            np.array((0, len(terms))),
            np.array(terms, np.int32),
            np.array([weights[term] for term in terms], np.float32),
            n_terms,
        )

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[int, float]], n_terms: int | None = None) -> CSR:
        """Build from one mapping of term to weight per row. Zero weights are dropped.

        Args:
            rows: read once, so a generator is fine.
            n_terms: the width. Default: one more than the largest term.

        Raises:
            InputError: a term is outside `[0, n_terms)`, or a weight is negative, NaN or infinite.
        """
        lengths, terms, weights = array("q"), array("q"), array("f")
        for row in rows:
            entries = sorted((term, weight) for term, weight in row.items() if weight != 0)
            lengths.append(len(entries))
            terms.extend([term for term, _ in entries])
            weights.extend([weight for _, weight in entries])
        wide = np.array(terms, np.int64)
        width = int(wide.max(initial=-1)) + 1 if n_terms is None else n_terms
        if not 0 <= width <= MAX_TERMS:
            raise InputError(f"{width:,} terms; from 0 to {MAX_TERMS:,} fit")
        if wide.size and not 0 <= wide.min() <= wide.max() < width:
            wrong = wide.min() if wide.min() < 0 else wide.max()
            raise InputError(f"term {wrong} is outside 0..{width - 1}")
        matrix = cls(
            _offsets(np.array(lengths, np.int64)),
            wide.astype(np.int32),
            np.array(weights, np.float32),
            width,
        )
        matrix.validate()
        return matrix

    @classmethod
    def from_entries(
        cls, lengths: Sequence[int], terms: Sequence[int], weights: Sequence[float], n_terms: int
    ) -> CSR:
        """Build from entries, row after row, whose terms stand in any order within theirs.

        Args:
            lengths: entries of each row.
            terms: each once in a row, below `n_terms`; not checked.
            weights: above 0; not checked.
        """
        indptr = _offsets(np.array(lengths, np.int64))
        ordered, values = np.array(terms, np.int32), np.array(weights, np.float32)
        first = 0
        while first < len(indptr) - 1:  # a part of the rows at a time, for the sake of memory
            last = int(np.searchsorted(indptr, indptr[first] + _SORTED_ENTRIES, "right")) - 1
            last = max(last, first + 1)
            part = slice(indptr[first], indptr[last])
            rows = np.repeat(np.arange(last - first), np.diff(indptr[first : last + 1]))
            order = np.argsort(rows * n_terms + ordered[part])
            ordered[part], values[part] = ordered[part][order], values[part][order]
            first = last
        return cls(indptr, ordered, values, n_terms)

    @classmethod
    def from_vectors(cls, vectors: Sequence[SparseVector], n_terms: int) -> CSR:
        """Stack vectors as rows, in order.

        Raises:
            InputError: a vector breaks the invariants, or has a term from `n_terms` on.
        """
        matrix = cls(
            _offsets([len(vector.terms) for vector in vectors]),
            np.concatenate([np.zeros(0, np.int32), *(v.terms for v in vectors)]),
            np.concatenate([np.zeros(0, np.float32), *(v.weights for v in vectors)]),
            n_terms,
        )
        matrix.validate()
        return matrix

    def take(self, rows: Sequence[int]) -> CSR:
        """Select rows, in this order, without checks."""
        parts = [slice(self.indptr[i], self.indptr[i + 1]) for i in rows]
        return CSR(
            _offsets([part.stop - part.start for part in parts]),
            np.concatenate([self.terms[:0], *(self.terms[part] for part in parts)]),
            np.concatenate([self.weights[:0], *(self.weights[part] for part in parts)]),
            self.n_terms,
        )

    @classmethod
    def from_scipy(cls, matrix: SparseMatrix) -> CSR:
        """Build from any SciPy sparse matrix or array; duplicates are summed, zeros dropped.

        Nothing of SciPy is imported here: the matrix brings what is needed.
        """
        source = matrix.tocsr(copy=True)
        source.sum_duplicates()
        source.eliminate_zeros()
        if source.shape[1] > MAX_TERMS:
            raise InputError(f"{source.shape[1]:,} terms; at most {MAX_TERMS:,} fit")
        result = cls(
            np.asarray(source.indptr, np.int64),
            np.asarray(source.indices, np.int32),
            np.asarray(source.data, np.float32),
            int(source.shape[1]),
        )
        result.validate()
        return result

    @staticmethod
    def concatenate(parts: Sequence[CSR]) -> CSR:
        """Concatenate the rows of all parts, in order; the width is that of the widest part."""
        if not parts:
            return CSR.empty(0, 0)
        shifts = np.cumsum([0, *(part.nnz for part in parts[:-1])])
        indptr = [part.indptr[1:] + shift for part, shift in zip(parts, shifts, strict=True)]
        return CSR(
            np.concatenate([np.zeros(1, np.int64), *indptr]),
            np.concatenate([part.terms for part in parts]),
            np.concatenate([part.weights for part in parts]),
            max(part.n_terms for part in parts),
        )

    def validate(self) -> None:
        """Check every invariant of the class.

        Raises:
            InputError: names the first row and what is wrong with it.
        """
        if self.indptr.dtype != np.int64 or self.terms.dtype != np.int32:
            raise InputError(
                f"indptr and terms are {self.indptr.dtype} and {self.terms.dtype}; "
                "they must be int64 and int32"
            )
        if self.weights.dtype != np.float32 or len(self.weights) != len(self.terms):
            raise InputError("weights must be float32, one for each term")
        if len(self.indptr) == 0 or self.indptr[0] != 0 or self.indptr[-1] != self.nnz:
            raise InputError(f"indptr must run from 0 to {self.nnz}, the number of entries")
        if np.any(np.diff(self.indptr) < 0):
            raise InputError("indptr must not decrease")
        if self.nnz == 0:
            return
        self._refuse(~np.isfinite(self.weights), "a weight that is not a finite number")
        self._refuse(self.weights <= 0, "a weight that is zero or negative")
        self._refuse(
            (self.terms < 0) | (self.terms >= self.n_terms), f"a term outside 0..{self.n_terms - 1}"
        )
        falling = np.zeros(self.nnz, bool)
        falling[1:] = np.diff(self.terms) <= 0
        starts = self.indptr[:-1]
        falling[starts[starts < self.nnz]] = False
        self._refuse(falling, "terms that repeat or do not ascend")

    def _refuse(self, wrong: NDArray[np.bool_], what: str) -> None:
        if np.any(wrong):
            row = int(np.searchsorted(self.indptr, int(np.argmax(wrong)), side="right")) - 1
            raise InputError(f"row {row} has {what}")

    def top_terms(self, m: int) -> CSR:
        """Keep the `m` heaviest entries of each row; among equals the smaller term stays.

        Raises:
            InputError: `m` is negative.
        """
        if m < 0:
            raise InputError(f"cannot keep {m} terms of a row; m must be 0 or more")
        lengths = np.diff(self.indptr)
        rows = np.repeat(np.arange(self.n_rows), lengths)
        by_weight = np.lexsort((self.terms, -self.weights, rows))
        position = np.arange(self.nnz) - np.repeat(self.indptr[:-1], lengths)
        kept = np.sort(by_weight[position < m])
        return CSR(
            _offsets(np.minimum(lengths, m)), self.terms[kept], self.weights[kept], self.n_terms
        )

    def quantise(self, bits: int, scale: float | None = None) -> Quantised:
        """Round weights to unsigned integers of 8 or 16 bits on one linear scale.

        Args:
            bits: 8 or 16.
            scale: the weight of one step. Default: the largest weight takes the largest code.

        Returns:
            Codes in entry order. A weight never becomes 0: that would drop an entry.

        Raises:
            InputError: `bits` is another number, or a weight does not fit `scale`.
        """
        if bits not in (8, 16):
            raise InputError(f"cannot quantise to {bits} bits; choose 8 or 16")
        top = 2**bits - 1
        largest = float(self.weights.max(initial=0.0))
        step = scale if scale is not None else (largest / top if largest else 1.0)
        if not (np.isfinite(step) and step > 0):
            raise InputError(f"a quantisation scale of {step} is not a positive number")
        codes = np.rint(self.weights.astype(np.float64) / step)
        if codes.size and codes.max() > top:
            raise InputError(
                f"a weight of {largest:g} needs code {codes.max():.0f} and {bits} bits end at "
                f"{top}; use a scale of at least {largest / top:g}"
            )
        dtype = np.uint8 if bits == 8 else np.uint16
        return Quantised(np.maximum(codes, 1).astype(dtype), float(step))


VectorsLike = CSR | SparseMatrix | tuple[ArrayLike, ArrayLike, ArrayLike]
"""Sparse vectors, a row each: ours, SciPy's, or `(indptr, indices, values)`."""


def _offsets(lengths: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
