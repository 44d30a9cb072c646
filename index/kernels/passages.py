"""Numba kernel of exact search where documents have passages.

Scores are summed and selected as in `lsr.index.kernels.exact`; its plain twin is in
`tests/naive/passage_scores.py`.
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

__all__ = ["scan_passages"]


@kernel
def _score_all(
    terms: NDArray[np.int32],
    weights: NDArray[np.float32],
    list_indptr: NDArray[np.int64],
    list_rows: NDArray[np.int32],
    list_weights: NDArray[np.float32],
    starts: NDArray[np.int64],
    row_of: NDArray[np.int32],
    whole_from: int,
    by_passage: NDArray[np.float32],
    scores: NDArray[np.float32],
) -> None:
    """The score of every document: the best of its passages, then the terms of the whole text.

    Args:
        by_passage: float32, shape (n_passages,), zeros; it is left so.
        scores: float32, shape (n_rows,); takes the scores.
    """
    n_terms = len(list_indptr) - 1
    for i in range(len(terms)):
        if terms[i] < min(whole_from, n_terms):
            for p in range(list_indptr[terms[i]], list_indptr[terms[i] + 1]):
                by_passage[np.uint32(list_rows[p])] += weights[i] * list_weights[p]
    for row in range(len(scores)):
        best = np.float32(0.0)
        for passage in range(starts[row], starts[row + 1]):
            best = max(best, by_passage[passage])
            by_passage[passage] = 0.0
        scores[row] = best
    for i in range(len(terms)):
        if whole_from <= terms[i] < n_terms:
            for p in range(list_indptr[terms[i]], list_indptr[terms[i] + 1]):
                scores[row_of[np.uint32(list_rows[p])]] += weights[i] * list_weights[p]


@kernel
def scan_passages(
    query_indptr: NDArray[np.int64],
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    first: int,
    last: int,
    list_indptr: NDArray[np.int64],
    list_rows: NDArray[np.int32],
    list_weights: NDArray[np.float32],
    starts: NDArray[np.int64],
    row_of: NDArray[np.int32],
    tie_order: NDArray[np.int32],
    row_at_tie: NDArray[np.int32],
    allowed: NDArray[np.bool_],
    whole_from: int,
    out_rows: NDArray[np.int32],
    out_scores: NDArray[np.float32],
) -> None:
    """Exact top-k documents of queries `first` to `last - 1`, a term at a time.

    Args:
        query_indptr, query_terms, query_weights: the queries as a CSR, terms ascending; those
            without a list are ignored.
        list_indptr, list_rows, list_weights: inverted lists of passages, ascending in each.
        starts: int64, shape (n_rows + 1,): row r has the passages `starts[r]` to before
            `starts[r + 1]`.
        row_of: int32, shape (n_passages,): the inverse.
        tie_order, row_at_tie: int32, shape (n_rows,), as `scan_batch`.
        allowed: bool, shape (n_rows,), or empty for all.
        whole_from: terms from here on are of whole documents.
        out_rows, out_scores: as `scan_batch`.
    """
    n_rows = len(tie_order)
    k = out_rows.shape[1]
    by_passage = np.zeros(len(row_of), np.float32)
    scores = np.empty(n_rows, np.float32)
    bits = scores.view(np.int32)
    n_groups = max(1, (n_rows + GROUP - 1) // GROUP)
    peaks = np.empty(n_groups, np.int32)
    keys = np.empty(2 * k + SPARE_KEYS, np.uint64)
    out_bits = out_scores.view(np.int32)
    lists = (list_indptr, list_rows, list_weights)
    for q in range(first, last):
        terms = query_terms[query_indptr[q] : query_indptr[q + 1]]
        weights = query_weights[query_indptr[q] : query_indptr[q + 1]]
        _score_all(terms, weights, *lists, starts, row_of, whole_from, by_passage, scores)
        if len(allowed) > 0:
            for row in range(n_rows):
                scores[row] = scores[row] if allowed[row] else np.float32(0.0)
        group_peaks(bits, peaks)
        threshold = max(ABOVE_ZERO, cutoff(peaks if k <= n_groups else bits, k))
        n_keys = 0
        floor = np.uint64(0)
        for row in range(n_rows):
            if bits[row] < threshold:
                continue
            key = (np.uint64(bits[row]) << SCORE_SHIFT) | (TIE_MASK - np.uint64(tie_order[row]))
            if key > floor:
                keys[n_keys] = key
                n_keys += 1
                if n_keys == len(keys):
                    n_keys = keep_best(keys, n_keys, k)
                    floor = keys[0]
        n_keys = keep_best(keys, n_keys, k)
        for place in range(n_keys):
            key = keys[n_keys - 1 - place]
            out_bits[q, place] = np.int32(key >> SCORE_SHIFT)
            out_rows[q, place] = row_at_tie[np.int64(TIE_MASK - (key & TIE_MASK))]
        out_bits[q, n_keys:] = 0
        out_rows[q, n_keys:] = -1
