"""Numbers or times of a field in ascending order, with their rows: ranges by binary search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.retrieval.filter import Range

__all__ = ["SortedValues"]

_LEAST, _MOST = -(2**63), 2**63 - 1


class SortedValues:
    """Values in ascending order, and the rows of each.

    Whole numbers of 64 bits are kept as they are; where one of them is no such number, all become
    float64.

    Args:
        values: one for each of some codes.
        codes: which; ascending.
        indptr, rows: of the column: rows of code c are `rows[indptr[c]:indptr[c + 1]]`.

    Attributes:
        values: int64 or float64, shape (n_codes,), ascending.
        codes: int32, shape (n_codes,).
        rows: int32: the rows of the first code, then those of the second …
        starts: int64, shape (n_codes + 1,): where those of each begin.
    """

    def __init__(
        self,
        values: Sequence[int | float],
        codes: NDArray[np.int32],
        indptr: NDArray[np.int64],
        rows: NDArray[np.int32],
    ) -> None:
        numbers = _array(values)
        order = np.argsort(numbers, kind="stable")
        self.values: NDArray[Any] = numbers[order]
        self.codes = codes[order]
        begins, lengths = indptr[self.codes], indptr[self.codes + 1] - indptr[self.codes]
        self.starts = np.zeros(len(order) + 1, np.int64)
        np.cumsum(lengths, out=self.starts[1:])
        places = np.arange(self.starts[-1]) + np.repeat(begins - self.starts[:-1], lengths)
        self.rows = rows[places]

    def between(self, bounds: Range) -> NDArray[np.int32]:
        """The rows with a value between bounds; one for each such value it has."""
        first, last = 0, len(self.values)
        if bounds.low is not None:
            first = self._place(bounds.low, after=bounds.low_open)
        if bounds.high is not None:
            last = self._place(bounds.high, after=not bounds.high_open)
        rows: NDArray[np.int32] = self.rows[self.starts[first] : self.starts[max(first, last)]]
        return rows

    def equal(self, number: int | float) -> NDArray[np.int32]:
        """The codes whose value is a number."""
        first, last = self._place(number, after=False), self._place(number, after=True)
        codes: NDArray[np.int32] = self.codes[first:last]
        return codes

    def _place(self, number: int | float, *, after: bool) -> int:
        """Number of values below `number`, or, if `after`, not above it."""
        if self.values.dtype == np.float64:
            return int(self.values.searchsorted(_float(number), "right" if after else "left"))
        whole = math.floor(number) if after else math.ceil(number)
        if whole < _LEAST or whole > _MOST:
            return 0 if whole < _LEAST else len(self.values)
        return int(self.values.searchsorted(np.int64(whole), "right" if after else "left"))


def _array(values: Sequence[int | float]) -> NDArray[Any]:
    if all(isinstance(value, int) and _LEAST <= value <= _MOST for value in values):
        return np.array(values, np.int64)
    return np.array([_float(value) for value in values], np.float64)


def _float(number: int | float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
