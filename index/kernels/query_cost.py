"""Kernels that count the work of a query before it is searched, and say which search costs less."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks import layout as at
from lsr.index.jit import kernel
from lsr.index.kernels.block_estimates import heaviest

__all__ = ["costs_less", "count_work"]


@kernel
def count_work(
    query_indptr: NDArray[np.int64],
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    first: int,
    last: int,
    blob: NDArray[np.uint8],
    layout: NDArray[np.int64],
    query_cut: int,
    out_postings: NDArray[np.int64],
    out_blocks: NDArray[np.int64],
) -> None:
    """Work of queries `first` to `last - 1`, counted before the search.

    Args:
        blob, layout: a packed block index, see `lsr.index.blocks.layout`.
        out_postings: int64, shape (n_queries,): postings of all lists.
        out_blocks: the same, blocks of the `query_cut` heaviest lists.
    """
    lengths = at.part(blob, layout, at.SCAN_LENGTHS, np.int32)
    groups = at.part(blob, layout, at.LIST_GROUPS, np.int32)
    blocks = at.part(blob, layout, at.GROUP_BLOCKS, np.int32)
    longest = 0
    for q in range(first, last):
        longest = max(longest, query_indptr[q + 1] - query_indptr[q])
    chosen = np.empty(min(query_cut, longest), np.int64)
    for q in range(first, last):
        begin, end = query_indptr[q], query_indptr[q + 1]
        while end > begin and query_terms[end - 1] >= len(lengths):
            end -= 1
        n = 0
        for i in range(begin, end):
            n += lengths[query_terms[i]]
        out_postings[q] = n
        n = 0
        for c in range(heaviest(query_weights[begin:end], chosen)):
            term = query_terms[begin + chosen[c]]
            n += blocks[groups[term + 1]] - blocks[groups[term]]
        out_blocks[q] = n


@kernel
def costs_less(n_postings: int, n_blocks: int, costs: NDArray[np.float64]) -> bool:
    """Whether a query costs less approximately than exactly, by `Costs.as_array`."""
    return bool(costs[2] * 1e3 + costs[3] * n_blocks < costs[0] * 1e3 + costs[1] * n_postings)
