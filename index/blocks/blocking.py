"""Postings of each list put into blocks of documents that are alike.

Clustering follows Seismic: centroids are documents of the list drawn at random, a document goes to
the one with the largest inner product with its few heaviest terms, and small clusters are
dissolved. One pass, no iterations. Everything depends on the list and the seed alone, so lists
can be shared out among threads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks.config import Blocking, ClusteredBlocks
from lsr.index.jit import kernel

__all__ = ["block_lists", "heaviest_terms"]

FEW = 24
"""Length up to which lists are cut into blocks by weight; clustering them gains nothing."""

MAX_CLUSTERS = 4_096


def block_lists(
    blocking: Blocking,
    seed: int,
    first: int,
    last: int,
    indptr: NDArray[np.int64],
    rows: NDArray[np.int32],
    weights: NDArray[np.float32],
    top_terms: NDArray[np.uint16],
    top_codes: NDArray[np.uint8],
    head: NDArray[np.uint8],
    n_terms: int,
    starts: NDArray[np.bool_],
) -> None:
    """Re-order the postings of lists `first` to `last - 1` by block, in place.

    Args:
        indptr, rows, weights: the lists; `rows` and `weights` are re-ordered.
        top_terms, top_codes: the heaviest terms of each row, shape (n_documents, doc_cut).
        head: heads of the forward index.
        starts: takes True where a block starts.
    """
    fraction, smallest, size = 0.0, 0, 0
    if isinstance(blocking, ClusteredBlocks):
        fraction, smallest = blocking.centroid_fraction, blocking.min_cluster_size
        size = max(1, round(1 / fraction)) if fraction > 0 else MAX_CLUSTERS
    else:
        size = blocking.size
    _block_lists(
        fraction,
        smallest,
        size,
        np.uint64(seed),
        first,
        last,
        indptr,
        rows,
        weights,
        top_terms,
        top_codes,
        head,
        n_terms,
        starts,
    )


@kernel
def heaviest_terms(
    head: NDArray[np.uint8],
    length: int,
    out_terms: NDArray[np.uint16],
    out_codes: NDArray[np.uint8],
) -> None:
    """The heaviest terms of each row, equal ones in ascending order, shape (n_documents, cut)."""
    width = out_terms.itemsize
    head_bytes = length * (width + 1)
    head_terms = head.view(out_terms.dtype)
    cut = out_terms.shape[1]
    for row in range(len(out_terms)):
        term_base = row * head_bytes // width
        code_base = row * head_bytes + length * width
        n = 0
        for i in range(length):
            code = head[code_base + i]
            if code == 0 or (n == cut and code <= out_codes[row, n - 1]):
                continue
            place = n if n < cut else cut - 1
            while place > 0 and out_codes[row, place - 1] < code:
                out_codes[row, place] = out_codes[row, place - 1]
                out_terms[row, place] = out_terms[row, place - 1]
                place -= 1
            out_codes[row, place] = code
            out_terms[row, place] = head_terms[term_base + i]
            n = min(n + 1, cut)


@kernel
def _next_random(state: np.uint64) -> np.uint64:
    """SplitMix64."""
    mixed = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.uint64(mixed ^ (mixed >> np.uint64(31)))


@kernel
def _block_lists(
    fraction: float,
    smallest: int,
    size: int,
    seed: int,
    first: int,
    last: int,
    indptr: NDArray[np.int64],
    rows: NDArray[np.int32],
    weights: NDArray[np.float32],
    top_terms: NDArray[np.uint16],
    top_codes: NDArray[np.uint8],
    head: NDArray[np.uint8],
    n_terms: int,
    starts: NDArray[np.bool_],
) -> None:
    """`block_lists`, with the blocking as numbers. A list at a time, in five steps:

    1. draw centroids: different postings of the list, the same for a seed and a term;
    2. invert their heads, so that a term leads to the centroids that have it, and their codes;
    3. give each posting to the centroid with the largest inner product with its heaviest terms;
    4. dissolve clusters that are too small, and give their postings to the nearest of the others;
    5. put postings in order by cluster, in each the heaviest first, and mark where blocks start.

    Short lists, and those with one centroid, are cut into blocks by weight instead.

    Args:
        fraction: centroids for each posting; 0 for blocks by weight alone.
        smallest: clusters of so few postings, or fewer, are dissolved.
        size: postings of a block that is cut by weight.
        first, last … starts: see `block_lists`.
    """
    longest = 0
    for term in range(first, last):
        longest = max(longest, indptr[term + 1] - indptr[term])
    if longest == 0:
        return
    width = top_terms.itemsize
    length = len(head) // len(top_terms) // (width + 1)
    head_bytes = length * (width + 1)
    head_terms = head.view(top_terms.dtype)
    n_most = min(max(1, int(fraction * longest)), MAX_CLUSTERS)
    counts = np.zeros(n_terms + 1, np.int32)
    inverted = np.empty(n_most * length, np.uint32)  # cluster << 8 | code, by term
    touched = np.empty(n_most * length, np.int32)
    scores = np.empty(n_most, np.int32)
    sizes = np.empty(n_most, np.int32)
    alive = np.empty(n_most, np.bool_)
    centroids = np.empty(n_most, np.int32)
    cluster = np.empty(longest, np.int32)
    order = np.empty(longest, np.int64)
    old_rows = np.empty(longest, np.int32)
    old_weights = np.empty(longest, np.float32)

    for term in range(first, last):
        begin = indptr[term]
        n = indptr[term + 1] - begin
        if n == 0:
            continue
        n_clusters = min(max(1, int(fraction * n)), MAX_CLUSTERS)
        if n <= FEW or fraction == 0.0 or n_clusters == 1:
            by_weight = np.argsort(-weights[begin : begin + n], kind="mergesort")
            old_rows[:n] = rows[begin : begin + n]
            old_weights[:n] = weights[begin : begin + n]
            for i in range(n):
                rows[begin + i] = old_rows[by_weight[i]]
                weights[begin + i] = old_weights[by_weight[i]]
                starts[begin + i] = i % size == 0
            continue

        # centroids: n_clusters different postings
        state = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(term)
        left, wanted = n, n_clusters
        for i in range(n):
            state += np.uint64(0x9E3779B97F4A7C15)
            draw = np.int64(_next_random(state) % np.uint64(left))
            if draw < wanted:
                centroids[n_clusters - wanted] = rows[begin + i]
                wanted -= 1
            left -= 1

        # the centroids' terms, inverted
        n_touched = 0
        for c in range(n_clusters):
            base = centroids[c] * head_bytes // width
            codes = centroids[c] * head_bytes + length * width
            for i in range(length):
                if head[codes + i] == 0:
                    continue
                t = head_terms[base + i]
                if counts[t] == 0:
                    touched[n_touched] = t
                    n_touched += 1
                counts[t] += 1
        total = 0
        for i in range(n_touched):
            t = touched[i]
            total += counts[t]
            counts[t] = total  # the end of the term's run; filled backwards
        for c in range(n_clusters - 1, -1, -1):
            base = centroids[c] * head_bytes // width
            codes = centroids[c] * head_bytes + length * width
            for i in range(length):
                code = head[codes + i]
                if code == 0:
                    continue
                t = head_terms[base + i]
                counts[t] -= 1
                inverted[counts[t]] = (c << 8) | np.int64(code)
        # runs now start at counts[t], and are found by term: runs[i] of touched[i]
        alive[:n_clusters] = True
        sizes[:n_clusters] = 0
        ends = np.empty(n_touched + 1, np.int32)
        for i in range(n_touched):
            ends[i] = counts[touched[i]]
        ends[n_touched] = total
        for i in range(n_touched):
            counts[touched[i]] = i + 1
        for i in range(n):
            row = rows[begin + i]
            best = _nearest(
                row, top_terms, top_codes, counts, ends, inverted, scores[:n_clusters], alive
            )
            cluster[i] = best
            sizes[best] += 1
        n_alive = 0
        for c in range(n_clusters):
            alive[c] = sizes[c] > smallest
            n_alive += alive[c]
        if 0 < n_alive < n_clusters:
            for i in range(n):
                if not alive[cluster[i]]:
                    row = rows[begin + i]
                    cluster[i] = _nearest(
                        row,
                        top_terms,
                        top_codes,
                        counts,
                        ends,
                        inverted,
                        scores[:n_clusters],
                        alive,
                    )
        for i in range(n_touched):
            counts[touched[i]] = 0

        # group by cluster; in a cluster the heaviest first
        by_weight = np.argsort(-weights[begin : begin + n], kind="mergesort")
        sizes[:n_clusters] = 0
        for i in range(n):
            sizes[cluster[i]] += 1
        place = 0
        for c in range(n_clusters):
            count = sizes[c]
            sizes[c] = place
            if count > 0:
                starts[begin + place] = True
            place += count
        for i in range(n):
            j = by_weight[i]
            c = cluster[j]
            order[sizes[c]] = j
            sizes[c] += 1
        old_rows[:n] = rows[begin : begin + n]
        old_weights[:n] = weights[begin : begin + n]
        for i in range(n):
            rows[begin + i] = old_rows[order[i]]
            weights[begin + i] = old_weights[order[i]]


@kernel
def _nearest(
    row: int,
    top_terms: NDArray[np.uint16],
    top_codes: NDArray[np.uint8],
    places: NDArray[np.int32],
    ends: NDArray[np.int32],
    inverted: NDArray[np.uint32],
    scores: NDArray[np.int32],
    alive: NDArray[np.bool_],
) -> int:
    """The cluster, of those alive, whose centroid is nearest to a document; the first of equals."""
    scores[:] = 0
    for i in range(top_terms.shape[1]):
        place = places[top_terms[row, i]]
        if place == 0:
            continue
        weight = np.int32(top_codes[row, i])
        for entry in inverted[ends[place - 1] : ends[place]]:
            scores[entry >> np.uint32(8)] += weight * np.int32(entry & np.uint32(255))
    best, most = -1, -1
    for c in range(len(scores)):
        if alive[c] and scores[c] > most:
            best, most = c, scores[c]
    return best
