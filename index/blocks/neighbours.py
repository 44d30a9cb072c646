"""The nearest documents of each document, in as few bits as row numbers take."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.index.jit import kernel

__all__ = ["neighbour", "pack_neighbours"]

SPARE_BYTES = 8
"""Read beyond the last neighbour."""


@kernel
def _n_bits(n_documents: int) -> int:
    bits = 1
    while (1 << bits) < n_documents:
        bits += 1
    return bits


@kernel
def neighbour(packed: NDArray[np.uint8], n_documents: int, place: int) -> np.int64:
    """The row stored at a place, counted over all documents."""
    bits = _n_bits(n_documents)
    first = place * bits
    word = np.uint64(0)
    for i in range(5):  # 32 bits that start within a byte end within the fifth
        word |= np.uint64(packed[(first >> 3) + i]) << np.uint64(8 * i)
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    return np.int64((word >> np.uint64(first & 7)) & mask)


@kernel
def pack_neighbours(rows: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Packed rows of neighbours, as `neighbour` reads them.

    Args:
        rows: int32, shape (n_documents, n_neighbours); a document's own row where it has fewer.
    """
    n_documents, n = rows.shape
    bits = _n_bits(n_documents)
    packed = np.zeros((n_documents * n * bits + 7) // 8 + SPARE_BYTES, np.uint8)
    for i in range(n_documents):
        for j in range(n):
            first = (i * n + j) * bits
            word = np.uint64(rows[i, j]) << np.uint64(first & 7)
            for b in range(5):
                packed[(first >> 3) + b] |= np.uint8((word >> np.uint64(8 * b)) & np.uint64(255))
    return packed
