"""The lists of exact search, three bytes a posting; `lsr.index.kernels.scan_search` scans them.

Documents are cut into windows of 65,536. A posting is a document's place in its window and an 8-bit
code of its weight, on a scale of its list's own. How far a weight is from its code at most is known
for every list, and so a score made of codes bounds the true one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.index.jit import kernel
from lsr.sparse import CSR

__all__ = ["TOP_CODE", "WINDOW", "ScanLists"]

WINDOW = 65_536
"""Documents whose places 16 bits hold."""

TOP_CODE = 255


class ScanLists:
    """The lists of some documents; filled window by window, in any order.

    Args:
        documents: a row for each document.
        weights: float32, of the shape of `documents.weights`: the weights as they are stored.

    Attributes:
        starts: int64, shape (n_windows * n_terms + 1,): list t of window w is the slice
            `[w * n_terms + t]:[w * n_terms + t + 1]` of `rows` and `codes`.
        rows: uint16, shape (n_postings,): places in the window, ascending in each list.
        codes: uint8, of the same shape, at least 1.
        steps: float32, shape (n_terms,): the weight of one code of each list.
        errors: float32, shape (n_terms,): no weight is farther from `step * code`.
        lengths: int32, shape (n_terms,): postings of each list in all windows.
    """

    def __init__(self, documents: CSR, weights: NDArray[np.float32]) -> None:
        n_windows = -(-documents.n_rows // WINDOW)
        self.starts = np.zeros(n_windows * documents.n_terms + 1, np.int64)
        self.rows = np.empty(documents.nnz, np.uint16)
        self.codes = np.empty(documents.nnz, np.uint8)
        self.steps = np.zeros(documents.n_terms, np.float32)
        self.errors = np.zeros(documents.n_terms, np.float32)
        self.lengths = np.zeros(documents.n_terms, np.int32)
        self._vectors = (documents.indptr, documents.terms, weights)
        _count(*self._vectors, self.starts, self.steps, self.lengths)
        np.cumsum(self.starts, out=self.starts)
        self.steps = np.where(self.steps / TOP_CODE > 0, self.steps / TOP_CODE, self.steps)
        self._worst = np.zeros((n_windows, documents.n_terms), np.float32)

    @staticmethod
    def n_bytes(documents: CSR) -> int:
        """Size in bytes of the lists of `documents`."""
        n_windows = -(-documents.n_rows // WINDOW)
        return 3 * documents.nnz + 12 * documents.n_terms * (n_windows + 1)

    def jobs(self) -> Iterator[Any]:
        """Calls that fill a window each; afterwards `finish`."""
        for window in range(len(self._worst)):
            parts = (self.starts, self.steps, self.rows, self.codes, self._worst[window])
            yield partial(_fill, *self._vectors, window, *parts)

    def finish(self) -> dict[str, NDArray[Any]]:
        """The arrays by the names of `lsr.index.blocks.layout.ARRAYS`."""
        # a little more, for what the rounding of the error itself may have lost
        self.errors[:] = self._worst.max(axis=0, initial=0.0) * np.float32(1 + 1e-6)
        names = ("starts", "rows", "codes", "steps", "errors", "lengths")
        return {f"scan_{name}": getattr(self, name) for name in names}


@kernel
def _count(
    indptr: NDArray[np.int64],
    terms: NDArray[np.int32],
    weights: NDArray[np.float32],
    starts: NDArray[np.int64],
    largest: NDArray[np.float32],
    lengths: NDArray[np.int32],
) -> None:
    """Count each window's lists into the places after their own; find the largest weights."""
    for row in range(len(indptr) - 1):
        base = (row // WINDOW) * len(largest) + 1
        for i in range(indptr[row], indptr[row + 1]):
            term = terms[i]
            starts[base + term] += 1
            lengths[term] += 1
            largest[term] = max(largest[term], weights[i])


@kernel
def _fill(
    indptr: NDArray[np.int64],
    terms: NDArray[np.int32],
    weights: NDArray[np.float32],
    window: int,
    starts: NDArray[np.int64],
    steps: NDArray[np.float32],
    out_rows: NDArray[np.uint16],
    out_codes: NDArray[np.uint8],
    worst: NDArray[np.float32],
) -> None:
    """Put the postings of one window in their places, and note each list's largest error."""
    first = window * WINDOW
    last = min(first + WINDOW, len(indptr) - 1)
    base = window * len(steps)
    places = starts[base : base + len(steps)].copy()
    for row in range(first, last):
        for i in range(indptr[row], indptr[row + 1]):
            term = terms[i]
            step = np.float64(steps[term])
            code = 1
            if step > 0:  # else all of the list is stored as 0
                code = max(min(int(weights[i] / step + 0.5), TOP_CODE), 1)
            place = places[term]
            places[term] = place + 1
            out_rows[place] = row - first
            out_codes[place] = code
            error = np.float32(abs(weights[i] - step * code))
            worst[term] = max(worst[term], error)
