"""What a search costs, exactly and approximately: how the automatic mode chooses.

Exact search adds up the postings of a query's lists and looks over all documents. Approximate
search estimates the blocks of the heaviest lists and visits documents until blocks no longer
matter; how many, the heap factor decides. Each cost is a straight line in what can be counted
before the search.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lsr.index import layout as at
from lsr.index.blockestimates import heaviest
from lsr.index.compiled import kernel
from lsr.index.segment import frozen

__all__ = ["Costs", "costs_less", "count_work", "typical_costs"]

EXACT_QUERY_US = 3.0
EXACT_DOCUMENT_NS = 0.25
EXACT_POSTING_NS = 1.4
APPROXIMATE_QUERY_US = 25.0
APPROXIMATE_BLOCK_NS = 45.0
VISIT_NS = 90.0
ROW_NS = 300.0
"""Scoring a chosen document by its stored weights."""

VISITS = 200.0
"""Documents visited for ten hits at a heap factor of 1 …"""

VISITS_GROW = 6.5
"""… and how fast they become more below it."""


@dataclass(frozen=True)
class Costs:
    """Times of one query, in microseconds, and per unit of work in nanoseconds.

    Attributes:
        exact_query_us, exact_posting_ns: of exact search, by postings of all lists.
        approximate_query_us, approximate_block_ns: of approximate search, by blocks of the lists
            visited.
    """

    exact_query_us: float
    exact_posting_ns: float
    approximate_query_us: float
    approximate_block_ns: float

    def as_array(self) -> NDArray[np.float64]:
        """The four numbers, for kernels; read-only, as all that they are compiled for once."""
        return frozen(np.array(astuple(self), np.float64))


@cache
def typical_costs(n_documents: int, k: int, heap_factor: float) -> Costs:
    """Costs as measured where this was written; `calibrate` measures them where it runs."""
    visits = VISITS * math.exp(VISITS_GROW * (1 - heap_factor)) * math.sqrt(k / 10)
    return Costs(
        EXACT_QUERY_US + EXACT_DOCUMENT_NS * n_documents / 1e3,
        EXACT_POSTING_NS,
        APPROXIMATE_QUERY_US + VISIT_NS * min(visits, n_documents) / 1e3,
        APPROXIMATE_BLOCK_NS,
    )


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
        blob, layout: a packed block index, see `lsr.index.layout`.
        out_postings: int64, shape (n_queries,): postings of all lists.
        out_blocks: the same, blocks of the `query_cut` heaviest lists.
    """
    lengths = blob[layout[2 * at.SCAN_LENGTHS] : layout[2 * at.SCAN_LENGTHS + 1]].view(np.int32)
    groups = blob[layout[2 * at.LIST_GROUPS] : layout[2 * at.LIST_GROUPS + 1]].view(np.int32)
    blocks = blob[layout[2 * at.GROUP_BLOCKS] : layout[2 * at.GROUP_BLOCKS + 1]].view(np.int32)
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
