"""Numba kernels of exact search. Arrays and scalars in, arrays out, nothing else.

The public ones have plain twins in `tests/naive.py`. Index arrays must be read-only (as
memory-mapped files are), so that each kernel is compiled once; `lsr.index.searcher` sees to that.

A hit competes as one 64-bit key: the bits of its score, which order like the score because it is
above zero, and below them its place among equal scores, counted down. One integer comparison is
the whole order: score descending, then doc_id ascending.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["scan_batch"]

GROUP = 16
"""Documents whose best score is looked at before their own."""

STEPS = 512
"""Resolution of the first guess at the k-th best score."""

SPARE_KEYS = 512
"""Hits collected beyond k before the worst of them are thrown out."""

SCORE_SHIFT = np.uint64(32)
TIE_MASK = np.uint64(0xFFFFFFFF)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _cutoff(values: NDArray[np.float32], k: int, counts: NDArray[np.int64]) -> np.float32:
    """A value that at least `k` of `values` (none negative) reach, close to the k-th largest.

    Counting into `len(counts)` equal steps up to the maximum finds the step; its smallest member
    is returned, so rounding cannot make the answer too large. 0 when fewer than `k` are above 0,
    or when all are too small for a step.
    """
    top: Any = np.float32(0.0)
    for value in values:
        top = max(top, value)
    if top <= 0.0 or k > len(values):
        return np.float32(0.0)
    last = len(counts) - 1
    scale = np.float32(last) / top
    if not 0.0 < scale < np.inf:  # scores too small or too large to be counted in steps
        return np.float32(0.0)
    counts[:] = 0
    for value in values:
        counts[np.int64(value * scale)] += 1
    reached = 0
    step = last
    while step > 0:
        reached += counts[step]
        if reached >= k:
            break
        step -= 1
    if step == 0:
        return np.float32(0.0)
    cut: np.float32 = top
    for value in values:
        if np.int64(value * scale) >= step:
            cut = min(cut, value)
    return cut


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _keep_best(keys: NDArray[np.uint64], n: int, k: int) -> int:
    """Leave the `k` largest of `keys[:n]` at the front, ascending; returns how many there are."""
    part = keys[:n]
    part.sort()
    if n <= k:
        return n
    for i in range(k):
        keys[i] = keys[n - k + i]
    return k


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _first_at_least(values: NDArray[np.int32], low: int, high: int, bound: int) -> int:
    """The first position in `values[low:high]`, which ascends, whose value reaches `bound`."""
    while low < high:
        middle = (low + high) // 2
        if values[middle] < bound:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _add_list(
    scores: NDArray[np.float32],
    low: int,
    weight: float,
    rows: NDArray[np.int32],
    weights: NDArray[np.float32],
    begin: int,
    end: int,
) -> None:
    """Add `weight * weights` to the scores of `rows`. Unsigned indices skip a wrap-around test."""
    for p in range(begin, end):
        scores[np.uint32(rows[p]) - np.uint32(low)] += weight * weights[p]


@njit(  # type: ignore[untyped-decorator]
    cache=True, nogil=True, error_model="numpy", fastmath={"nnan", "nsz"}
)
def _group_peaks(scores: NDArray[np.float32], peaks: NDArray[np.float32]) -> None:
    """The largest score of each group; group g holds the places g, g + n, g + 2n … of n groups.

    Groups are strided so that this is one pass of element-wise maxima, which the promise that
    there is no NaN lets the compiler vectorise.
    """
    peaks[:] = 0.0
    for start in range(0, len(scores), len(peaks)):
        part = scores[start : start + len(peaks)]
        for g in range(len(part)):
            peaks[g] = max(peaks[g], part[g])


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def scan_batch(
    query_indptr: NDArray[np.int64],
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    first: int,
    last: int,
    list_indptr: NDArray[np.int64],
    list_rows: NDArray[np.int32],
    list_weights: NDArray[np.float32],
    tie_order: NDArray[np.int32],
    row_at_tie: NDArray[np.int32],
    allowed: NDArray[np.bool_],
    window: int,
    out_rows: NDArray[np.int32],
    out_scores: NDArray[np.float32],
) -> None:
    """Exact top-k of queries `first` to `last - 1`, term at a time over windows of documents.

    All lists of a query add their part of a window to one buffer that stays in cache; then only
    groups of documents whose best score may be among the k best are looked through. Scores are
    float32, summed in ascending term order, so they do not depend on the window.

    Args:
        query_indptr, query_terms, query_weights: the queries as a CSR; terms below the number of
            lists.
        list_indptr, list_rows, list_weights: inverted lists, rows ascending in each.
        tie_order: int32, shape (n_documents,): place of each row among equal scores.
        row_at_tie: int32, shape (n_documents,): the inverse of `tie_order`.
        allowed: bool, shape (n_documents,), or empty for all.
        window: documents scored at a time, at least 1.
        out_rows: int32, shape (n_queries, k), k ≥ 1, filled with −1; best first.
        out_scores: float32, of the same shape, filled with 0. Only scores above 0 are hits.
    """
    n_documents = len(tie_order)
    k = out_rows.shape[1]
    filtered = len(allowed) > 0
    buffer = np.zeros(min(window, n_documents), np.float32)
    peak_buffer = np.empty((len(buffer) + GROUP - 1) // GROUP, np.float32)
    counts = np.empty(STEPS, np.int64)
    keys = np.empty(2 * k + SPARE_KEYS, np.uint64)
    word = np.empty(1, np.uint32)
    word_as_score = word.view(np.float32)
    longest = 0
    for q in range(first, last):
        longest = max(longest, query_indptr[q + 1] - query_indptr[q])
    cursors = np.empty(longest, np.int64)

    for q in range(first, last):
        start = query_indptr[q]
        n_lists = query_indptr[q + 1] - start
        for i in range(n_lists):
            cursors[i] = list_indptr[query_terms[start + i]]
        n_keys = 0
        floor = np.uint64(0)
        threshold = np.float32(0.0)
        for low in range(0, n_documents, window):
            high = min(low + window, n_documents)
            scores = buffer[: high - low]
            for i in range(n_lists):
                begin = cursors[i]
                end = list_indptr[query_terms[start + i] + 1]
                if high < n_documents:
                    end = _first_at_least(list_rows, begin, end, high)
                _add_list(
                    scores, low, query_weights[start + i], list_rows, list_weights, begin, end
                )
                cursors[i] = end
            if filtered:
                for j in range(high - low):
                    if not allowed[low + j]:
                        scores[j] = 0.0
            n_groups = (high - low + GROUP - 1) // GROUP
            peaks = peak_buffer[:n_groups]
            _group_peaks(scores, peaks)
            if low == 0:
                # k groups hold a document each that scores this much, so the k-th best does too
                threshold = _cutoff(peaks if k <= n_groups else scores, k, counts)
            bits = scores.view(np.uint32)
            for g in range(n_groups):
                if peaks[g] <= 0.0 or peaks[g] < threshold:
                    continue
                for j in range(g, high - low, n_groups):
                    if scores[j] <= 0.0 or scores[j] < threshold:
                        continue
                    key = (np.uint64(bits[j]) << SCORE_SHIFT) | (
                        TIE_MASK - np.uint64(tie_order[low + j])
                    )
                    if key > floor:
                        keys[n_keys] = key
                        n_keys += 1
                        if n_keys == len(keys):
                            n_keys = _keep_best(keys, n_keys, k)
                            floor = keys[0]
            scores[:] = 0.0
            n_keys = _keep_best(keys, n_keys, k)
            if n_keys == k:
                floor = keys[0]
                word[0] = floor >> SCORE_SHIFT
                threshold = word_as_score[0]
        for place in range(n_keys):
            key = keys[n_keys - 1 - place]
            word[0] = key >> SCORE_SHIFT
            out_scores[q, place] = word_as_score[0]
            out_rows[q, place] = row_at_tie[np.int64(TIE_MASK - (key & TIE_MASK))]
