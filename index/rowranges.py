"""Rows of several parts counted through: the first row of a part follows the last one before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowRanges"]


class RowRanges:
    """Where the rows of each part are.

    Args:
        lengths: rows of each part.

    Attributes:
        n_rows: of all parts.
        first_rows: the first row of each part, int64.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        self._edges = np.cumsum([0, *lengths])
        self.n_rows = int(self._edges[-1])
        self.first_rows = self._edges[:-1].copy()

    def __iter__(self) -> Iterator[slice]:
        """The rows of each part."""
        return (slice(first, last) for first, last in pairwise(self._edges.tolist()))

    def split(
        self, rows: NDArray[np.int32]
    ) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.int32]]]:
        """Which part, which places in `rows`, and what rows they are within the part."""
        owners = np.searchsorted(self._edges, rows, side="right") - 1
        for owner in np.unique(owners).tolist():
            places = np.flatnonzero(owners == owner)
            yield owner, places, (rows[places] - self._edges[owner]).astype(np.int32)
