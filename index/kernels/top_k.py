"""The k best of many scores: kernels that every search ends with.

Scores are selected by their bits, read as int32: for numbers that are not negative these order
alike, and loops over integers become vector instructions without promises about NaN. A hit
competes as one 64-bit key: the bits of its score, and below them its place among equal scores,
counted down. One integer comparison is the whole order: score descending, then doc_id ascending.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.index.jit import kernel

__all__ = ["cutoff", "group_peaks", "keep_best"]

GROUP = 32
"""Documents whose best score is looked at before their own."""

LAST_GUESSED_BIT = 15
"""The bits of the k-th best score below this one are left out of the first guess at it."""

SPARE_KEYS = 512
"""Hits collected beyond k before the worst of them are thrown out."""

FEW_KEYS = 64
"""At most this many are sorted by insertion; NumPy's sort takes longer to start than that."""

ABOVE_ZERO = np.int32(1)
"""The bits of the smallest score that is one."""

SCORE_SHIFT = np.uint64(32)
TIE_MASK = np.uint64(0xFFFFFFFF)


@kernel
def _n_reaching(bits: NDArray[np.int32], bound: int) -> np.int32:
    """Number of `bits` that are `bound` or more. Counting in 32 bits fills whole vectors."""
    n = np.int32(0)
    for i in range(len(bits)):
        n = np.int32(n + np.int32(bits[i] >= bound))
    return n


@kernel
def cutoff(bits: NDArray[np.int32], k: int) -> np.int32:
    """The k-th largest of `bits` (none negative) without its last bits, or 0 if there is none.

    It is found bit by bit, the highest first: a bit is set if `k` reach the number with it.
    """
    cut = np.int32(0)
    for bit in range(30, LAST_GUESSED_BIT - 1, -1):
        trial = np.int32(cut | (1 << bit))
        if _n_reaching(bits, trial) >= k:
            cut = trial
    return cut


@kernel
def keep_best(keys: NDArray[np.uint64], n: int, k: int) -> int:
    """Leave the `k` largest of `keys[:n]` at the front, ascending; returns how many there are."""
    if n <= FEW_KEYS:
        for i in range(1, n):
            key = keys[i]
            place = i
            while place > 0 and keys[place - 1] > key:
                keys[place] = keys[place - 1]
                place -= 1
            keys[place] = key
    else:
        part = keys[:n]
        part.sort()
    if n <= k:
        return n
    for i in range(k):
        keys[i] = keys[n - k + i]
    return k


@kernel
def group_peaks(bits: NDArray[np.int32], peaks: NDArray[np.int32]) -> None:
    """The largest of each group; group g holds the places g, g + n, g + 2n … of n groups.

    Groups are strided so that this is one pass of element-wise maxima, which the compiler
    vectorises.
    """
    peaks[:] = 0
    for start in range(0, len(bits), len(peaks)):
        part = bits[start : start + len(peaks)]
        for g in range(len(part)):
            peaks[g] = max(peaks[g], part[g])
