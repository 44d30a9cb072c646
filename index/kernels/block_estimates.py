"""Kernels that estimate blocks by their summaries, and put them in descending order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks import layout as at
from lsr.index.blocks.summaries import GROUP_BLOCKS, SAMPLE
from lsr.index.jit import kernel
from lsr.index.kernels.prefetch import prefetch

__all__ = ["estimate", "falling", "heaviest"]

BUCKETS = 512
"""Steps in which blocks are put in order."""

LINE = 64
COMPONENT_SHIFT = np.uint64(16)
BLOCK_SHIFT = np.uint64(8)
BYTE = np.uint64(255)


@kernel
def heaviest(weights: NDArray[np.float32], chosen: NDArray[np.int64]) -> int:
    """The places of the largest of `weights`, descending, the first of equals first.

    Returns:
        How many there are, at most `len(chosen)`.
    """
    cut = len(chosen)
    n = 0
    for i in range(len(weights)):
        weight = weights[i]
        if n == cut and weight <= weights[chosen[n - 1]]:
            continue
        place = n if n < cut else cut - 1
        while place > 0 and weights[chosen[place - 1]] < weight:
            chosen[place] = chosen[place - 1]
            place -= 1
        chosen[place] = i
        n = min(n + 1, cut)
    return n


@kernel
def _last_below(samples: NDArray[np.uint16], begin: int, end: int, term: int) -> int:
    """The last place in `samples[begin:end]`, which ascend, that is below `term`, or `begin`.

    It halves without branches, so that a processor can do several at once.
    """
    base = np.uint64(begin)
    n = np.uint64(end - begin)
    one = np.uint64(1)
    while n > one:
        half = n >> one
        base = base + half if samples[base + half] < term else base
        n -= half
    return int(base)


@kernel
def estimate(
    blob: NDArray[np.uint8],
    layout: NDArray[np.int64],
    term_type: NDArray[np.uint16],
    entry_type: NDArray[np.uint32],
    query_terms: NDArray[np.int32],
    table: NDArray[np.uint8],
    chosen: NDArray[np.int64],
    everything: bool,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Inner products of the query with the summaries of the chosen lists' blocks.

    Args:
        blob, layout: a packed block index, see `lsr.index.blocks.layout`.
        term_type, entry_type: empty arrays of the types of components and of summaries' entries.
        query_terms: ascending.
        table: the query's codes by term.
        chosen: places in `query_terms` whose lists are visited.
        everything: also give blocks whose estimate is 0.

    Returns:
        Blocks and their estimates, int32 both.
    """
    lists = at.part(blob, layout, at.LIST_GROUPS, np.int32)
    group_entries = at.part(blob, layout, at.GROUP_ENTRIES, np.int64)
    group_samples = at.part(blob, layout, at.GROUP_SAMPLES, np.int64)
    group_blocks = at.part(blob, layout, at.GROUP_BLOCKS, np.int32)
    packed = at.part(blob, layout, at.ENTRIES, entry_type.dtype)
    samples = at.part(blob, layout, at.SAMPLES, term_type.dtype)
    block_postings = at.part(blob, layout, at.BLOCK_POSTINGS, np.int64)
    n_query = len(query_terms)
    n_most = 0
    for c in range(len(chosen)):
        term = query_terms[chosen[c]]
        first = lists[term]
        last = lists[term + 1]
        n_most += group_blocks[last] - group_blocks[first]
        for place in range(group_samples[first], group_samples[last], LINE // samples.itemsize):
            prefetch(samples, place)
        for block in range(group_blocks[first], group_blocks[last], LINE // 8):
            prefetch(block_postings, block)  # for `visit`
    blocks = np.empty(n_most, np.int32)
    estimates = np.empty(n_most, np.int32)
    sums = np.empty(GROUP_BLOCKS, np.int32)
    places = np.empty(n_query, np.int64)
    n = 0
    for c in range(len(chosen)):
        term = query_terms[chosen[c]]
        for group in range(lists[term], lists[term + 1]):
            first_block = group_blocks[group]
            n_blocks = group_blocks[group + 1] - first_block
            begin = group_entries[group]
            end = group_entries[group + 1]
            sample_begin = group_samples[group]
            sample_end = group_samples[group + 1]
            for i in range(n_query):
                sample = _last_below(samples, sample_begin, sample_end, query_terms[i])
                place = begin + (sample - sample_begin) * SAMPLE
                prefetch(packed, place)
                prefetch(packed, place + SAMPLE // 2)
                places[i] = place
            sums[:n_blocks] = 0
            for i in range(n_query):
                _add_matches(packed, places[i], end, query_terms[i], table, sums)
            for b in range(n_blocks):
                if sums[b] > 0 or everything:
                    blocks[n] = first_block + b
                    estimates[n] = sums[b]
                    n += 1
    return blocks[:n], estimates[:n]


@kernel
def _add_matches(
    packed: NDArray[np.uint32],
    begin: int,
    end: int,
    term: int,
    table: NDArray[np.uint8],
    sums: NDArray[np.int32],
) -> None:
    """Add one query term's share to the blocks that have it; its entries start after `begin`."""
    bound = np.uint64(term) << COMPONENT_SHIFT
    limit = np.uint64(term + 1) << COMPONENT_SHIFT
    one = np.uint64(1)
    place = np.uint64(begin)
    last = np.uint64(end)
    n = min(last - place, np.uint64(SAMPLE + 1))
    while n > one:
        half = n >> one
        place = place + half if packed[place + half - one] < bound else place
        n -= half
    while place < last and packed[place] < bound:
        place += one
    weight = np.int32(table[term])
    while place < last and packed[place] < limit:
        entry = np.uint64(packed[place])
        block = (entry >> BLOCK_SHIFT) & BYTE
        sums[block] += weight * np.int32(entry & BYTE)
        place += one


@kernel
def falling(estimates: NDArray[np.int32]) -> tuple[NDArray[np.int32], int]:
    """An order in which estimates fall, but for the last bits of large ones.

    Returns:
        Places, int32, and how many bits were not looked at.
    """
    most = 0
    for i in range(len(estimates)):
        most = max(most, estimates[i])
    shift = 0
    while most >> shift >= BUCKETS:
        shift += 1
    starts = np.zeros(BUCKETS + 1, np.int32)
    for i in range(len(estimates)):
        starts[BUCKETS - (estimates[i] >> shift)] += 1
    for b in range(BUCKETS):
        starts[b + 1] += starts[b]
    order = np.empty(len(estimates), np.int32)
    for i in range(len(estimates)):
        bucket = BUCKETS - 1 - (estimates[i] >> shift)
        order[starts[bucket]] = i
        starts[bucket] += 1
    return order, shift
