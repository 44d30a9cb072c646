"""Kernels that score documents by their stored weights, to the bit as exact search does."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lsr.index import layout as at
from lsr.index.kernels import SCORE_SHIFT, SPARE_KEYS, TIE_MASK, keep_best

__all__ = ["score_rows_stored", "score_stored", "search_rows", "stored_keys"]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def score_stored(
    blob: NDArray[np.uint8],
    layout: NDArray[np.int64],
    terms: NDArray[np.uint16],
    rest: NDArray[np.int8],
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    row: int,
) -> np.float32:
    """One document's score: float32, summed in ascending order of terms.

    Head and tail ascend each, so this is a merge of the query with both.
    """
    length = layout[at.HEAD_LENGTH]
    width = terms.itemsize
    record = width + 1
    head = blob[layout[2 * at.HEAD] : layout[2 * at.HEAD + 1]]
    tail = blob[layout[2 * at.TAIL] : layout[2 * at.TAIL + 1]]
    tail_start = blob[layout[2 * at.TAIL_START] : layout[2 * at.TAIL_START + 1]].view(np.int64)
    stored = blob[layout[2 * at.REST] : layout[2 * at.REST + 1]].view(rest.dtype)
    scale = layout[at.SCALE : at.SCALE + 1].view(np.float64)[0]
    step = np.float32(scale / 256)
    whole = rest.itemsize > 1

    begin = row * length * record
    h_terms = head[begin : begin + length * width].view(terms.dtype)
    h_codes = head[begin + length * width : begin + length * record]
    h_rest = stored[row * length : (row + 1) * length]
    first = tail_start[row]
    n = tail_start[row + 1] - first
    begin = first * record
    t_terms = tail[begin : begin + n * width].view(terms.dtype)
    t_codes = tail[begin + n * width : begin + n * record]
    begin = layout[at.N_DOCUMENTS] * length + first
    t_rest = stored[begin : begin + n]
    score = np.float32(0.0)
    h = 0
    t = 0
    for i in range(len(query_terms)):
        term = query_terms[i]
        while h < length and h_terms[h] < term:
            h += 1
        while t < n and t_terms[t] < term:
            t += 1
        if h < length and h_terms[h] == term:
            value = _value(h_codes[h], h_rest[h], step, whole)
        elif t < n and t_terms[t] == term:
            value = _value(t_codes[t], t_rest[t], step, whole)
        else:
            continue
        score += query_weights[i] * value
    return score


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _value(code: int, rest: float, step: np.float32, whole: bool) -> np.float32:
    """The stored weight of an entry."""
    if whole:
        return np.float32(rest)
    return np.float32(np.float32(np.int32(code) * 256 + np.int32(rest)) * step)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def stored_keys(
    blob: NDArray[np.uint8],
    layout: NDArray[np.int64],
    terms: NDArray[np.uint16],
    rest: NDArray[np.int8],
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    tie_order: NDArray[np.int32],
    keys: NDArray[np.uint64],
) -> None:
    """Turn keys `anything << 32 | row` into `bits of the stored score << 32 | tie`.

    Of two, the larger one stands first: by score descending, then by tie order ascending.
    """
    score = np.empty(1, np.float32)
    bits = score.view(np.int32)
    for i in range(len(keys)):
        row = np.int64(keys[i] & TIE_MASK)
        score[0] = score_stored(blob, layout, terms, rest, query_terms, query_weights, row)
        keys[i] = (np.uint64(bits[0]) << SCORE_SHIFT) | (TIE_MASK - np.uint64(tie_order[row]))


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def score_rows_stored(
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    rows: NDArray[np.int32],
    blob: NDArray[np.uint8],
    layout: NDArray[np.int64],
    terms: NDArray[np.uint16],
    _entries: NDArray[np.uint32],
    rest: NDArray[np.int8],
    out_scores: NDArray[np.float32],
) -> None:
    """Scores of chosen rows, float32, of the length of `rows`."""
    for i in range(len(rows)):
        out_scores[i] = score_stored(
            blob, layout, terms, rest, query_terms, query_weights, np.int64(rows[i])
        )


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def search_rows(
    query_indptr: NDArray[np.int64],
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    first: int,
    last: int,
    rows: NDArray[np.int32],
    blob: NDArray[np.uint8],
    layout: NDArray[np.int64],
    terms: NDArray[np.uint16],
    _entries: NDArray[np.uint32],
    rest: NDArray[np.int8],
    tie_order: NDArray[np.int32],
    row_at_tie: NDArray[np.int32],
    out_rows: NDArray[np.int32],
    out_scores: NDArray[np.float32],
) -> None:
    """Exact top-k of queries `first` to `last - 1` among `rows`; the rest as in `search_blocks`."""
    k = out_rows.shape[1]
    keys = np.empty(k + SPARE_KEYS, np.uint64)
    out_bits = out_scores.view(np.int32)
    for q in range(first, last):
        begin, end = query_indptr[q], query_indptr[q + 1]
        n = np.int64(0)
        for i in range(len(rows)):
            if n == len(keys):
                n = keep_best(keys, n, k)
            keys[n] = np.uint64(rows[i])
            stored_keys(
                blob,
                layout,
                terms,
                rest,
                query_terms[begin:end],
                query_weights[begin:end],
                tie_order,
                keys[n : n + 1],
            )
            n += np.int64(keys[n] >> SCORE_SHIFT > 0)
        n = np.int64(keep_best(keys, n, k))
        for place in range(k):
            if place < n:
                key = keys[n - 1 - place]
                out_bits[q, place] = np.int32(key >> SCORE_SHIFT)
                out_rows[q, place] = row_at_tie[np.int64(TIE_MASK - (key & TIE_MASK))]
            else:
                out_bits[q, place] = 0
                out_rows[q, place] = -1
