"""The kernel of exact search in a block index: over its 8-bit lists, `ScanLists`.

A segment without a block index, or whose block index is not calibrated, is searched exactly by
`lsr.index.kernels.exact`, over float lists; `SegmentReader.open_searcher` decides.

All lists of a query add their codes to whole-number scores of a window of documents. These bound
the true scores from both sides, so that few documents can be among the best; they are scored by
their stored weights, and the answer is exact to the bit.

Where the caller knows k documents that score a `floor` or more, lists whose weights together cannot
reach a share of it are left out (after MaxScore: Turtle and Flood, 1995). A document that only they
hold cannot be a hit, and the bound of every other document grows by what they may add.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks import layout as at
from lsr.index.blocks.scan_lists import TOP_CODE, WINDOW
from lsr.index.jit import kernel
from lsr.index.kernels.block_scores import Vectors, put_hits, room_for_places, stored_keys
from lsr.index.kernels.prefetch import prefetch
from lsr.index.kernels.scratch import clear_query, put_query, scratch_parts
from lsr.index.kernels.top_k import GROUP, SCORE_SHIFT, group_peaks, keep_best

__all__ = ["scan_lists"]

SHARE = 0.4
"""Lists are left out as long as they can add less than this share of the floor. With more, too many
documents stay in question. Measured: with .4, 43 terms read 41 % of their postings and score 180
documents of a million; .3 reads 49 %, .5 35 % and scores 430."""

TOP_SCORE = 65_535
"""Whole-number scores have 16 bits: a window of them is nearer to the processor than wider ones."""

FRACTION_BITS = np.uint32(15)
ROUND_UP = np.uint32((1 << 15) - 1)

TABLE_PAYS = 1_500
"""Postings of a list in a window from which on a table of products is worth filling."""

LONG = 20_000
"""The scores of longer queries would be mostly roundings: whatever they match is in question."""

SPARE = 2_048
"""Documents in question beyond 2k before they are looked through."""

LARGEST, SMALLEST = 1e37, 1e-30
"""Where scores may lie outside, float32 overflows or loses bits, and every document is scored: …"""

EVERYTHING = np.int64(2**40)
"""… scores are in doubt by more than there is."""

AHEAD = 256
"""Postings of the next list that are fetched while one is added up."""

LINE = 64


@kernel
def _add(
    scores: NDArray[np.uint16],
    factor: int,
    rows: NDArray[np.uint16],
    codes: NDArray[np.uint8],
    shares: NDArray[np.uint16],
) -> None:
    """Add a list's postings to the scores: codes times the factor in steps of 1 / 2^15, rounded up.

    So each adds 1 at least.

    Args:
        shares: uint16, shape (256,): working memory. In long lists a product is looked up in it.
    """
    steps = np.uint32(factor)
    if len(rows) < TABLE_PAYS:
        for p in range(len(rows)):
            scores[rows[p]] += np.uint16((steps * np.uint32(codes[p]) + ROUND_UP) >> FRACTION_BITS)
        return
    for code in range(np.uint32(len(shares))):
        shares[code] = np.uint16((steps * np.uint32(code) + ROUND_UP) >> FRACTION_BITS)
    for p in range(len(rows)):
        scores[rows[p]] += shares[codes[p]]


@kernel
def _touch(scores: NDArray[np.uint16], rows: NDArray[np.uint16]) -> None:
    """Give rows a score."""
    for p in range(len(rows)):
        scores[rows[p]] = 1


@kernel
def _kth(scores: NDArray[np.uint16], peaks: NDArray[np.uint16], k: int) -> np.int64:
    """Lower bound of the k-th best score, or 0; found bit by bit, the highest first.

    If there are so many groups, k of them hold a document each that scores their peak.
    """
    some = peaks if k <= len(peaks) else scores
    cut = 0
    for bit in range(15, -1, -1):
        trial = np.uint16(cut | (1 << bit))
        # counting in 16 bits fills whole vectors; if all 65,536 reach it they count as 0, and the
        # bit stays unset: less than could be said, but true
        n = np.uint16(0)
        for i in range(len(some)):
            n = np.uint16(n + np.uint16(some[i] >= trial))
        if n >= k:
            cut = cut | (1 << bit)
    return np.int64(cut)


@kernel
def _whole(score: float, unit: float, slack: int) -> np.int64:
    """The least whole-number score of a document that has a true one; 0 where all are in doubt."""
    if slack == EVERYTHING:
        return np.int64(0)
    return max(np.int64(score / unit) - slack, np.int64(0))


@kernel
def _leave_out(
    bounds: NDArray[np.int64], lengths: NDArray[np.int64], budget: int, out_kept: NDArray[np.bool_]
) -> int:
    """Choose lists to leave out, those first that have most postings for what they can add.

    Returns:
        What the lists left out can add together, at most `budget`.
    """
    out_kept[:] = True
    left_out = 0
    if budget > 0:
        for i in np.argsort(bounds / np.maximum(lengths, 1)):
            if left_out + bounds[i] <= budget:
                left_out += bounds[i]
                out_kept[i] = False
    return left_out


@kernel
def _in_question(
    pending: NDArray[np.uint64], n: int, k: int, threshold: np.int64, doubt: int
) -> tuple[int, np.int64]:
    """Leave what may be among the `k` best at the front of `pending[:n]`, ascending.

    Args:
        doubt: a document may be better than one whose score is larger by so much.

    Returns:
        How many are left, and the score that others must reach.
    """
    part = pending[:n]
    part.sort()
    if n >= k:
        threshold = max(threshold, np.int64(part[n - k] >> SCORE_SHIFT) - doubt)
    gone = 0
    while gone < n and np.int64(part[gone] >> SCORE_SHIFT) < threshold:
        gone += 1
    for i in range(gone, n):
        part[i - gone] = part[i]
    return n - gone, threshold


@kernel
def _settle(
    vectors: Vectors, pending: NDArray[np.uint64], best: NDArray[np.uint64], n_best: int, k: int
) -> int:
    """Score documents in question by their stored weights; the `k` best are left in `best`."""
    stored_keys(*vectors, pending)
    for key in pending:
        if n_best == len(best):
            n_best = keep_best(best, n_best, k)
        best[n_best] = key
        n_best += 1
    n_kept: int = keep_best(best, n_best, k)
    return n_kept


@kernel
def scan_lists(
    query_indptr: NDArray[np.int64],
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    first: int,
    last: int,
    blob: NDArray[np.uint8],
    layout: NDArray[np.int64],
    term_type: NDArray[np.uint16],
    rest_type: NDArray[np.int8],
    tie_order: NDArray[np.int32],
    row_at_tie: NDArray[np.int32],
    allowed: NDArray[np.bool_],
    floors: NDArray[np.float32],
    scratch: NDArray[np.uint8],
    out_rows: NDArray[np.int32],
    out_scores: NDArray[np.float32],
) -> None:
    """Exact top-k of queries `first` to `last - 1`, by the 8-bit lists of a block index.

    Args:
        term_type, rest_type: empty arrays of the types of components and rest.
        allowed: bool, shape (n_documents,), or empty for all.
        floors: float32, shape (n_queries,): scores that k allowed documents are known to have at
            least, or 0.
        scratch: `scratch_bytes` of zeros.
        query_indptr … layout, tie_order, row_at_tie, out_rows, out_scores: as in `search_blocks`.
    """
    starts = at.part(blob, layout, at.SCAN_STARTS, np.int64)
    rows = at.part(blob, layout, at.SCAN_ROWS, np.uint16)
    codes = at.part(blob, layout, at.SCAN_CODES, np.uint8)
    steps = at.part(blob, layout, at.SCAN_STEPS, np.float32)
    errors = at.part(blob, layout, at.SCAN_ERRORS, np.float32)
    lengths = at.part(blob, layout, at.SCAN_LENGTHS, np.int32)
    n_documents = layout[at.N_DOCUMENTS]
    n_terms = layout[at.N_TERMS]
    k = out_rows.shape[1]
    filtered = len(allowed) > 0
    out_bits = out_scores.view(np.int32)
    _, _, codes_of, weights_of, buffer, _ = scratch_parts(scratch, n_documents, n_terms)
    peak_buffer = np.empty((len(buffer) + GROUP - 1) // GROUP, np.uint16)
    pending = np.empty(2 * k + SPARE, np.uint64)
    best = np.empty(2 * k + SPARE, np.uint64)
    longest = 0
    for q in range(first, last):
        longest = max(longest, query_indptr[q + 1] - query_indptr[q])
    places = room_for_places(layout, longest)
    shares = np.empty(TOP_CODE + 1, np.uint16)
    factors = np.empty(longest, np.int64)
    bounds = np.empty(longest, np.int64)
    sizes = np.empty(longest, np.int64)
    kept = np.empty(longest, np.bool_)
    least = np.empty(1, np.int32)

    for q in range(first, last):
        begin = query_indptr[q]
        end = query_indptr[q + 1]
        while end > begin and query_terms[end - 1] >= n_terms:
            end -= 1
        q_terms = query_terms[begin:end]
        q_weights = query_weights[begin:end]
        n = len(q_terms)
        most = 0.0
        off = 0.0
        for i in range(n):
            weight = np.float64(q_weights[i])
            most += weight * (np.float64(steps[q_terms[i]]) * TOP_CODE + errors[q_terms[i]])
            off += weight * errors[q_terms[i]]
        put_query(q_terms, q_weights, 1, codes_of, weights_of)
        vectors = (blob, layout, term_type, rest_type, codes_of, weights_of, places, tie_order)
        # shares are 2 too large at most, and so that sums stay below the top, room is left
        unit = max(most, SMALLEST) / (TOP_SCORE - 2 * min(n, LONG))
        slack = np.int64(off / unit) + 2 * n + n // 64 + 3
        if n > LONG or most > LARGEST or most < SMALLEST:
            slack = EVERYTHING
        for i in range(n):
            factor = np.float64(q_weights[i]) * np.float64(steps[q_terms[i]]) / unit
            factors[i] = np.int64(factor * (1 << 15)) + 1
            bounds[i] = np.int64(factor * TOP_CODE) + 2
            sizes[i] = lengths[q_terms[i]]
        floor = _whole(floors[q], unit, slack)
        left_out = _leave_out(bounds[:n], sizes[:n], np.int64(SHARE * floor), kept[:n])
        doubt = 2 * slack + left_out
        threshold = max(np.int64(1), floor - left_out)
        n_pending = 0
        n_best = 0
        for window in range(-(-n_documents // WINDOW) if most > 0 else 0):
            low = window * WINDOW
            size = min(WINDOW, n_documents - low)
            scores = buffer[:size]
            base = window * n_terms
            for i in range(n):
                prefetch(starts, base + q_terms[i])
            for i in range(n):
                if i + 1 < n and kept[i + 1]:
                    place = starts[base + q_terms[i + 1]]
                    for ahead in range(0, AHEAD, LINE):
                        prefetch(codes, place + ahead)
                        prefetch(rows, place + ahead)
                        prefetch(rows, place + ahead + LINE // 2)
                if kept[i]:
                    list_begin = starts[base + q_terms[i]]
                    list_end = starts[base + q_terms[i] + 1]
                    list_rows = rows[list_begin:list_end]
                    if n > LONG:
                        _touch(buffer, list_rows)
                    else:
                        _add(buffer, factors[i], list_rows, codes[list_begin:list_end], shares)
            if filtered:
                passing = allowed[low : low + size]
                for j in range(size):  # without a branch, which a processor cannot foretell
                    scores[j] = scores[j] if passing[j] else np.uint16(0)
            n_groups = (size + GROUP - 1) // GROUP
            peaks = peak_buffer[:n_groups]
            group_peaks(scores, peaks)
            if window == 0:
                threshold = max(threshold, _kth(scores, peaks, k) - doubt)
            for g in range(n_groups):
                if peaks[g] < threshold:
                    continue
                for j in range(g, size, n_groups):
                    if scores[j] < threshold:
                        continue
                    if n_pending == len(pending):
                        n_pending, threshold = _in_question(pending, n_pending, k, threshold, doubt)
                        if n_pending > len(pending) // 2:
                            n_best = _settle(vectors, pending[:n_pending], best, n_best, k)
                            n_pending = 0
                            if n_best == k:
                                least[0] = np.int32(best[0] >> SCORE_SHIFT)
                                floor = _whole(least.view(np.float32)[0], unit, slack)
                                threshold = max(threshold, floor - left_out)
                        if scores[j] < threshold:
                            continue
                    pending[n_pending] = (np.uint64(scores[j]) << SCORE_SHIFT) | np.uint64(low + j)
                    n_pending += 1
            scores[:] = 0
        n_pending, threshold = _in_question(pending, n_pending, k, threshold, doubt)
        n_best = _settle(vectors, pending[:n_pending], best, n_best, k)
        put_hits(best[:n_best], row_at_tie, out_rows[q], out_bits[q])
        clear_query(q_terms, codes_of, weights_of)
