"""Numba kernels of exact search over the float lists of a segment.

They serve a segment without a calibrated block index, whatever its size. Where there is one,
`lsr.index.kernels.scan_search` searches exactly over the block index's 8-bit lists;
`SegmentReader.open_searcher` decides.

Arrays and scalars in, arrays out, nothing else. The public ones have plain twins in
`tests/naive/exact.py`. Index arrays must be read-only (as memory-mapped files are), so that each
kernel is compiled once; `lsr.index.search.exact_searcher` sees to that.

Scores are summed as float32 and selected by their bits, read as int32: for numbers that are not
negative these order alike, and loops over integers become vector instructions without promises
about NaN. A hit competes as one 64-bit key: the bits of its score, and below them its place among
equal scores, counted down. One integer comparison is the whole order: score descending, then
doc_id ascending.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.index.jit import kernel
from lsr.index.kernels.top_k import (
    ABOVE_ZERO,
    GROUP,
    SCORE_SHIFT,
    SPARE_KEYS,
    TIE_MASK,
    cutoff,
    group_peaks,
    keep_best,
)

__all__ = ["add_scores", "document_weights", "scan_batch", "score_rows"]


@kernel
def _first_at_least(values: NDArray[np.int32], low: int, high: int, bound: int) -> int:
    """The first position in `values[low:high]`, which ascends, whose value reaches `bound`."""
    while low < high:
        middle = (low + high) // 2
        if values[middle] < bound:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _add_list(
    scores: NDArray[np.float32],
    low: int,
    weight: float,
    rows: NDArray[np.int32],
    weights: NDArray[np.float32],
) -> None:
    """Add `weight * weights` to the scores of `rows`, which count from `low`.

    Whole slices and unsigned indices spare the loop a test for negative positions: it is twice as
    fast without.
    """
    for p in range(len(rows)):
        scores[np.uint32(rows[p]) - np.uint32(low)] += weight * weights[p]


@kernel
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
        query_indptr, query_terms, query_weights: the queries as a CSR; terms without a list are
            ignored.
        list_indptr, list_rows, list_weights: inverted lists, rows ascending in each.
        tie_order: int32, shape (n_documents,): place of each row among equal scores.
        row_at_tie: int32, shape (n_documents,): the inverse of `tie_order`.
        allowed: bool, shape (n_documents,), or empty for all.
        window: documents scored at a time, at least 1.
        out_rows: int32, shape (n_queries, k), k ≥ 1; takes rows, best first, then −1.
        out_scores: float32, of the same shape; takes scores, then 0. Only scores above 0 are hits.
    """
    n_documents = len(tie_order)
    n_terms = len(list_indptr) - 1
    k = out_rows.shape[1]
    filtered = len(allowed) > 0
    buffer = np.zeros(min(window, n_documents), np.float32)
    peak_buffer = np.empty((len(buffer) + GROUP - 1) // GROUP, np.int32)
    keys = np.empty(2 * k + SPARE_KEYS, np.uint64)
    out_bits = out_scores.view(np.int32)
    longest = 0
    for q in range(first, last):
        longest = max(longest, query_indptr[q + 1] - query_indptr[q])
    cursors = np.empty(longest, np.int64)
    ends = np.empty(longest, np.int64)

    for q in range(first, last):
        start = query_indptr[q]
        n_lists = query_indptr[q + 1] - start
        for i in range(n_lists):
            term = query_terms[start + i]
            cursors[i] = list_indptr[term] if term < n_terms else 0
            ends[i] = list_indptr[term + 1] if term < n_terms else 0
        n_keys = 0
        floor = np.uint64(0)
        threshold = ABOVE_ZERO
        for low in range(0, n_documents, window):
            high = min(low + window, n_documents)
            scores = buffer[: high - low]
            for i in range(n_lists):
                begin = cursors[i]
                end = ends[i]
                if high < n_documents:
                    end = _first_at_least(list_rows, begin, end, high)
                    cursors[i] = end
                weight = query_weights[start + i]
                _add_list(scores, low, weight, list_rows[begin:end], list_weights[begin:end])
            if filtered:
                passing = allowed[low:high]
                for j in range(high - low):  # without a branch, which a processor cannot foretell
                    scores[j] = scores[j] if passing[j] else np.float32(0.0)
            bits = scores.view(np.int32)
            n_groups = (high - low + GROUP - 1) // GROUP
            peaks = peak_buffer[:n_groups]
            group_peaks(bits, peaks)
            if low == 0:
                # k groups hold a document each that scores this much, so the k-th best does too
                cut = cutoff(peaks if k <= n_groups else bits, k)
                threshold = max(threshold, cut)
            for g in range(n_groups):
                if peaks[g] < threshold:
                    continue
                for j in range(g, high - low, n_groups):
                    if bits[j] < threshold:
                        continue
                    key = (np.uint64(bits[j]) << SCORE_SHIFT) | (
                        TIE_MASK - np.uint64(tie_order[low + j])
                    )
                    if key > floor:
                        keys[n_keys] = key
                        n_keys += 1
                        if n_keys == len(keys):
                            n_keys = keep_best(keys, n_keys, k)
                            floor = keys[0]
            scores[:] = 0.0
            n_keys = keep_best(keys, n_keys, k)
            if n_keys == k:
                floor = keys[0]
                threshold = np.int32(floor >> SCORE_SHIFT)
        for place in range(n_keys):
            key = keys[n_keys - 1 - place]
            out_bits[q, place] = np.int32(key >> SCORE_SHIFT)
            out_rows[q, place] = row_at_tie[np.int64(TIE_MASK - (key & TIE_MASK))]
        out_bits[q, n_keys:] = 0
        out_rows[q, n_keys:] = -1


@kernel
def score_rows(
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    rows: NDArray[np.int32],
    list_indptr: NDArray[np.int64],
    list_rows: NDArray[np.int32],
    list_weights: NDArray[np.float32],
    out_scores: NDArray[np.float32],
) -> None:
    """Scores of chosen rows, to the bit as `scan_batch` sums them; each is looked up in the lists.

    Args:
        query_terms, query_weights: the query, terms ascending; those without a list are ignored.
        rows: in any order; ascending ones are found sooner.
        out_scores: float32, of the length of `rows`; takes the scores, 0 where no term matches.
    """
    out_scores[:] = 0.0
    for i in range(len(query_terms)):
        term = query_terms[i]
        if term >= len(list_indptr) - 1:
            continue
        end = list_indptr[term + 1]
        place = list_indptr[term]
        for j in range(len(rows)):
            begin = place if j > 0 and rows[j] >= rows[j - 1] else list_indptr[term]
            place = _first_at_least(list_rows, begin, end, rows[j])
            if place < end and list_rows[place] == rows[j]:
                out_scores[j] += query_weights[i] * list_weights[place]


@kernel
def document_weights(
    terms: NDArray[np.int32],
    rows: NDArray[np.int32],
    list_indptr: NDArray[np.int64],
    list_rows: NDArray[np.int32],
    list_weights: NDArray[np.float32],
    out_weights: NDArray[np.float32],
) -> None:
    """Weights of terms in chosen rows: the scores of queries of one term each.

    Args:
        out_weights: float32, shape (n_rows, n_terms); takes the weights, 0 where there is none.
    """
    one = np.ones(1, np.float32)
    column = np.empty(len(rows), np.float32)
    for i in range(len(terms)):
        term = terms[i : i + 1]
        score_rows(term, one, rows, list_indptr, list_rows, list_weights, column)
        out_weights[:, i] = column


@kernel
def add_scores(
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    list_indptr: NDArray[np.int64],
    list_rows: NDArray[np.int32],
    list_weights: NDArray[np.float32],
    out_scores: NDArray[np.float32],
) -> bool:
    """Scores of all rows, to the bit as `scan_batch` sums them.

    Args:
        query_terms, query_weights: the query, terms ascending; those without a list are ignored.
        out_scores: float32, shape (n_documents,), zeros; takes the scores, 0 where no term matches.

    Returns:
        Whether all lists hold rows of the segment; damaged ones do not.
    """
    n_documents = np.uint32(len(out_scores))
    sound = True
    for i in range(len(query_terms)):
        term = query_terms[i]
        if term >= len(list_indptr) - 1:
            continue
        weight = query_weights[i]
        for p in range(list_indptr[term], list_indptr[term + 1]):
            row = np.uint32(list_rows[p])
            if row < n_documents:
                out_scores[row] += weight * list_weights[p]
            else:
                sound = False
    return sound
