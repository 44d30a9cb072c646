"""Summaries of blocks: the component-wise maximum of a block's documents, its light end cut off.

The summaries of neighbouring blocks of a list form a `group` of at most 256 blocks, inverted: one
sorted array of entries `component << 16 | block << 8 | code`. A query finds its terms in it by
binary search, so what it costs follows the matches and not the size of the summaries.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks.config import EnergySummary, Summary
from lsr.index.jit import kernel

__all__ = ["GROUP_BLOCKS", "Summaries", "summarise_lists"]

GROUP_BLOCKS = 256

SAMPLE = 32
"""Of the entries of a group, the component of every so-manieth is kept apart."""

COMPONENT_SHIFT = 16
TOP = 256


class Summaries(NamedTuple):
    """Summaries of some lists.

    Attributes:
        entries: uint32 or uint64: `component << 16 | block << 8 | code`, ascending in each group.
        group_sizes: int64: entries of each group.
    """

    entries: NDArray[np.uint64]
    group_sizes: NDArray[np.int64]


def summarise_lists(
    summary: Summary,
    first_block: int,
    last_block: int,
    group_ends: NDArray[np.int64],
    block_starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    head: NDArray[np.uint8],
    tail: NDArray[np.uint8],
    tail_start: NDArray[np.int64],
    term_type: NDArray[np.uint16],
    n_terms: int,
) -> Summaries:
    """Summaries of blocks `first_block` to `last_block - 1`, which are whole groups.

    Args:
        group_ends: block at which each group of them ends.
        block_starts: first posting of every block, and the end of the last.
        rows: documents of postings.
        head, tail, tail_start: see `ForwardIndex`.
        term_type: an empty array of the type of components.
    """
    energy, most = (summary.fraction, n_terms) if isinstance(summary, EnergySummary) else (1.0, 0)
    if not isinstance(summary, EnergySummary):
        most = summary.n_terms
    sizes = np.zeros(len(group_ends), np.int64)
    entry_type = np.empty(0, np.uint64 if term_type.itemsize > 2 else np.uint32)
    entries = _summarise(
        energy,
        most,
        first_block,
        last_block,
        group_ends,
        block_starts,
        rows,
        head,
        tail,
        tail_start,
        term_type,
        n_terms,
        entry_type,
        sizes,
    )
    return Summaries(entries, sizes)


@kernel
def _take_maxima(
    terms: NDArray[np.uint16],
    codes: NDArray[np.uint8],
    maxima: NDArray[np.uint8],
    touched: NDArray[np.int32],
    n_touched: int,
) -> np.int64:
    n = np.uint64(n_touched)
    for i in range(len(terms)):
        term = terms[i]
        code = codes[i]
        old = maxima[term]
        maxima[term] = max(old, code)
        touched[n] = term  # stays if it is new
        n += np.uint64((old == 0) & (code > 0))
    return np.int64(n)


@kernel
def _summarise(
    energy: float,
    most: int,
    first_block: int,
    last_block: int,
    group_ends: NDArray[np.int64],
    block_starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    head: NDArray[np.uint8],
    tail: NDArray[np.uint8],
    tail_start: NDArray[np.int64],
    term_type: NDArray[np.uint16],
    n_terms: int,
    entry_type: NDArray[np.uint64],
    sizes: NDArray[np.int64],
) -> NDArray[np.uint64]:
    """`summarise_lists`: the entries, in an array of the type of `entry_type`, which is empty.

    Args:
        energy, most: a block keeps the fewest entries that hold the share `energy` of its mass,
            `most` at most.
        sizes: takes the entries of each group.
    """
    width = term_type.itemsize
    record = width + 1
    n_documents = len(tail_start) - 1
    length = len(head) // max(n_documents, 1) // record
    head_terms = head.view(term_type.dtype)
    tail_terms = tail.view(term_type.dtype)
    maxima = np.zeros(n_terms, np.uint8)
    touched = np.empty(n_terms + 1, np.int32)
    histogram = np.zeros(TOP, np.int64)
    n_room = 1 << 16
    entries = np.empty(n_room, entry_type.dtype)
    n_entries = 0
    group = 0
    group_first = first_block
    group_begin = 0
    for block in range(first_block, last_block):
        n_touched = 0
        for p in range(block_starts[block], block_starts[block + 1]):
            row = rows[p]
            base = row * length * record
            code_base = base + length * width
            n_touched = _take_maxima(
                head_terms[base // width : base // width + length],
                head[code_base : code_base + length],
                maxima,
                touched,
                n_touched,
            )
            begin = tail_start[row]
            n = tail_start[row + 1] - begin
            if n > 0:
                base = begin * record
                code_base = base + n * width
                n_touched = _take_maxima(
                    tail_terms[base // width : base // width + n],
                    tail[code_base : code_base + n],
                    maxima,
                    touched,
                    n_touched,
                )
        cut, n_ties = _cut(maxima, touched[:n_touched], energy, most, histogram)
        if n_entries + n_touched > n_room:
            n_room = max(2 * n_room, n_entries + n_touched)
            wider = np.empty(n_room, entry_type.dtype)
            wider[:n_entries] = entries[:n_entries]
            entries = wider
        local = block - group_first
        for i in range(n_touched):
            term = touched[i]
            code = maxima[term]
            maxima[term] = 0
            kept = code > cut
            if code == cut and n_ties > 0:
                kept = True
                n_ties -= 1
            if kept:
                entries[n_entries] = (
                    (np.uint64(term) << np.uint64(16))
                    | (np.uint64(local) << np.uint64(8))
                    | np.uint64(code)
                )
                n_entries += 1
        if block + 1 == group_ends[group]:
            _sort_by_component(entries[group_begin:n_entries], n_terms)
            sizes[group] = n_entries - group_begin
            group_begin = n_entries
            group_first = block + 1
            group += 1
    return entries[:n_entries].copy()


@kernel
def _cut(
    maxima: NDArray[np.uint8],
    touched: NDArray[np.int32],
    energy: float,
    most: int,
    histogram: NDArray[np.int64],
) -> tuple[int, int]:
    """The code above which a block's entries are kept, and how many at it.

    They are the fewest that hold the share `energy` of the mass, and no more than `most`.
    """
    histogram[:] = 0
    mass = np.int64(0)
    for i in range(len(touched)):
        code = maxima[touched[i]]
        histogram[code] += 1
        mass += code
    wanted = energy * mass
    held = 0.0
    left = most
    for code in range(TOP - 1, 0, -1):
        count = histogram[code]
        if count == 0:
            continue
        needed = np.int64(np.ceil((wanted - held) / code))
        if needed <= count or left <= count:
            return code, max(0, min(needed, left, count))
        held += count * code
        left -= count
    return 0, 0


@kernel
def _sort_by_component(entries: NDArray[np.uint64], n_terms: int) -> None:
    """Radix sort by component, stable, so that blocks ascend within each."""
    spare = np.empty_like(entries)
    counts = np.zeros(257, np.int64)
    source, target = entries, spare
    first = np.uint64(COMPONENT_SHIFT)
    shift = first
    widest = np.uint64(max(n_terms - 1, 0))
    while True:
        counts[:] = 0
        for i in range(len(source)):
            counts[((np.uint64(source[i]) >> shift) & np.uint64(255)) + np.uint64(1)] += 1
        for b in range(256):
            counts[b + 1] += counts[b]
        for i in range(len(source)):
            byte = (np.uint64(source[i]) >> shift) & np.uint64(255)
            target[counts[byte]] = source[i]
            counts[byte] += 1
        source, target = target, source
        shift += np.uint64(8)
        if widest >> (shift - first) == np.uint64(0):
            break
    entries[:] = source
