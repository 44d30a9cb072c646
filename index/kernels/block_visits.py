"""The kernel that visits blocks and scores their documents by 8-bit codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks import layout as at
from lsr.index.jit import kernel
from lsr.index.kernels.prefetch import prefetch
from lsr.index.kernels.sparse_dot import LANES, match_dot
from lsr.index.kernels.top_k import keep_best

__all__ = ["visit"]

LAG = 8
"""Documents fetched ahead of the one that is scored."""

TAIL_FACTOR = 0.8
"""A document's tail is read if its head alone scores this share of the k-th best score. Heads hold
most of a document's weight, and a tail costs cache misses of its own."""

TAIL_LAG = 8
"""Documents visited between finding that a tail is needed and reading it: half of them wait for the
place of the tail, half for the tail."""

LINE = 64
SCORE_SHIFT = np.uint64(32)


@kernel
def _dot(
    table: NDArray[np.uint8],
    terms: NDArray[np.uint16],
    codes: NDArray[np.uint8],
    first_term: int,
    first_code: int,
    length: int,
) -> np.int32:
    """Inner product of a document's part, of an even number of entries, and the query.

    It is given whole arrays and places in them: slices have their references counted, which takes
    longer than the product.
    """
    a = np.uint32(0)
    b = np.uint32(0)
    one = np.uint64(1)
    two = np.uint64(2)
    t = np.uint64(first_term)
    c = np.uint64(first_code)
    end = t + np.uint64(length)
    while t < end:
        a = np.uint32(a + np.uint32(table[terms[t]]) * np.uint32(codes[c]))
        b = np.uint32(b + np.uint32(table[terms[t + one]]) * np.uint32(codes[c + one]))
        t += two
        c += two
    return np.int32(a + b)


@kernel
def _raise_least(heap: NDArray[np.int32], score: int) -> None:
    """Put `score` in place of the least of a heap, which is its first."""
    place = 0
    while True:
        child = 2 * place + 1
        if child >= len(heap):
            break
        if child + 1 < len(heap) and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= score:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = score


@kernel
def visit(
    blob: NDArray[np.uint8],
    layout: NDArray[np.int64],
    term_type: NDArray[np.uint16],
    table: NDArray[np.uint8],
    few_terms: NDArray[np.uint16],
    few_codes: NDArray[np.uint16],
    blocks: NDArray[np.int32],
    estimates: NDArray[np.int32],
    order: NDArray[np.int32],
    shift: int,
    heap_factor: float,
    heap: NDArray[np.int32],
    visited: NDArray[np.uint8],
    seen: NDArray[np.int32],
    candidates: NDArray[np.uint64],
    n_final: int,
    counters: NDArray[np.int64],
) -> tuple[int, int]:
    """Score the documents of blocks in order, until no block can matter.

    A block is passed over when its estimate is below `heap_factor` times the k-th best score.

    Fetching from memory takes longer than scoring, so a document passes through three stages, each
    some documents behind the one before it: its row is seen, and its head fetched; its head is
    scored, and the place of its tail fetched, then the tail; head and tail are scored as a whole.

    Args:
        blob, layout: a packed block index, see `lsr.index.blocks.layout`.
        term_type: an empty array of the type of components.
        table: the query's codes by term.
        few_terms, few_codes: a short query's terms, of the type of components, and their codes;
            empty for others.
        blocks, estimates: see `estimate`.
        order, shift: see `falling`.
        heap: int32, shape (k,): working memory.
        visited: bits of rows, set for those seen before, or not to be returned.
        seen: takes the rows visited here.
        candidates: takes score << 32 | row of the `n_final` best at least, in no order.

    Returns:
        How many were seen, and how many are candidates.
    """
    head = at.part(blob, layout, at.HEAD, np.uint8)
    head_terms = head.view(term_type.dtype)
    tail = at.part(blob, layout, at.TAIL, np.uint8)
    tail_terms = tail.view(term_type.dtype)
    tail_start = at.part(blob, layout, at.TAIL_START, np.int64)
    block_postings = at.part(blob, layout, at.BLOCK_POSTINGS, np.int64)
    postings = at.part(blob, layout, at.POSTINGS, np.int32)
    length = layout[at.HEAD_LENGTH]
    width = term_type.itemsize
    record = width + 1
    head_bytes = length * record
    n_few = len(few_terms) if length % LANES == 0 else 0
    everything = heap_factor == 0.0
    k = len(heap)
    n_heap = 0  # scores in the heap, k at most
    least_estimate = np.int32(-1)  # what a block's estimate must reach, once the heap is full
    least_head = -1.0  # what a head must score above for its tail to be read
    next_block = 0  # place in the order
    n_visited = 0  # blocks not passed over
    n_seen = 0  # rows in `seen`, their heads fetched
    front = 0  # of these, how many are scored by their heads; runs on while tails are waited for
    n_waiting = 0  # documents that have ever waited for their tail: a ring, oldest first …
    n_fetched = 0  # … of these, how many had their tail itself asked for, not only its place
    n_taken = 0  # … and how many are scored as a whole
    n_candidates = 0
    waiting = np.empty((3, TAIL_LAG + 1), np.int64)  # rows, heads' scores, and `front` at the time
    while True:
        while n_seen - front <= LAG and next_block < len(order):
            place = order[next_block]
            next_block += 1
            if estimates[place] < least_estimate:
                if ((estimates[place] >> shift) + 1) << shift <= least_estimate:
                    next_block = len(order)  # and so are all that follow
                continue
            n_visited += 1
            if next_block + 1 < len(order):
                ahead = block_postings[blocks[order[next_block + 1]]]
                prefetch(postings, ahead)
                prefetch(postings, ahead + 16)
            block = blocks[place]
            for posting in range(block_postings[block], block_postings[block + 1]):
                row = postings[np.uint64(posting)]
                byte = np.uint32(row) >> np.uint32(3)
                bit = np.uint8(1) << np.uint8(row & 7)
                if visited[byte] & bit:
                    continue
                visited[byte] |= bit
                seen[n_seen] = row
                n_seen += 1
                begin = np.int64(row) * head_bytes
                for line in range(begin, begin + head_bytes, LINE):
                    prefetch(head, line)
        if front < n_seen:
            row = np.int64(seen[front])
            begin = row * head_bytes
            codes = begin + length * width
            if n_few > 0:
                score = np.int64(
                    match_dot(
                        head_terms, head, begin // width, codes, length, few_terms, few_codes, n_few
                    )
                )
            else:
                score = np.int64(_dot(table, head_terms, head, begin // width, codes, length))
            if score > least_head:
                prefetch(tail_start, row)
                place = n_waiting % (TAIL_LAG + 1)
                waiting[0, place] = row
                waiting[1, place] = score
                waiting[2, place] = front
                n_waiting += 1
        elif n_taken == n_waiting:
            break
        front += 1
        if n_fetched < n_waiting:
            place = n_fetched % (TAIL_LAG + 1)
            if front - waiting[2, place] > TAIL_LAG // 2:
                row = waiting[0, place]
                for line in range(tail_start[row] * record, tail_start[row + 1] * record, LINE):
                    prefetch(tail, line)
                n_fetched += 1
        if n_taken == n_waiting:
            continue
        place = n_taken % (TAIL_LAG + 1)
        if front - waiting[2, place] <= TAIL_LAG:
            continue
        n_taken += 1
        row = waiting[0, place]
        n = tail_start[row + 1] - tail_start[row]
        begin = tail_start[row] * record
        codes = begin + n * width
        score = waiting[1, place] + _dot(table, tail_terms, tail, begin // width, codes, n)
        if n_candidates == len(candidates):
            n_candidates = keep_best(candidates, n_candidates, n_final)
        candidates[n_candidates] = (np.uint64(score) << SCORE_SHIFT) | np.uint64(row)
        n_candidates += 1
        if n_heap < k:
            heap[n_heap] = score
            n_heap += 1
            if n_heap == k:
                heap.sort()
        elif score > heap[0]:
            _raise_least(heap, score)
        if n_heap == k and not everything:
            least_estimate = np.int32(heap[0] * heap_factor)
            least_head = heap[0] * TAIL_FACTOR
    counters[1] += n_visited
    counters[2] += n_seen
    counters[3] += n_taken
    return n_seen, n_candidates
