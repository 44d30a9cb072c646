"""What a search costs, exactly and approximately: how the automatic mode chooses.

Exact search adds up the postings of a query's lists and looks over all documents. Approximate
search estimates the blocks of the heaviest lists and visits documents until blocks no longer
matter; how many, the heap factor decides. Each cost is a straight line in what can be counted
before the search.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lsr.index.blockestimates import heaviest

__all__ = ["Costs", "choose_approximate", "count_work", "typical_costs"]

EXACT_QUERY_US = 3.0
EXACT_DOCUMENT_NS = 0.12
EXACT_POSTING_NS = 0.9
APPROXIMATE_QUERY_US = 12.0
APPROXIMATE_BLOCK_NS = 45.0
VISIT_NS = 170.0
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


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def count_work(
    query_indptr: NDArray[np.int64],
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    list_indptr: NDArray[np.int64],
    list_groups: NDArray[np.int32],
    group_blocks: NDArray[np.int32],
    query_cut: int,
    out_postings: NDArray[np.int64],
    out_blocks: NDArray[np.int64],
) -> None:
    """Postings of each query's lists, and blocks of its `query_cut` heaviest ones."""
    chosen = np.empty(query_cut, np.int64)
    n_terms = len(list_indptr) - 1
    for q in range(len(query_indptr) - 1):
        begin, end = query_indptr[q], query_indptr[q + 1]
        n = 0
        for i in range(begin, end):
            term = query_terms[i]
            if term < n_terms:
                n += list_indptr[term + 1] - list_indptr[term]
        out_postings[q] = n
        n = 0
        for c in range(heaviest(query_weights[begin:end], chosen)):
            term = query_terms[begin + chosen[c]]
            if term < n_terms:
                n += group_blocks[list_groups[term + 1]] - group_blocks[list_groups[term]]
        out_blocks[q] = n


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def choose_approximate(
    query_indptr: NDArray[np.int64],
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    list_indptr: NDArray[np.int64],
    list_groups: NDArray[np.int32],
    group_blocks: NDArray[np.int32],
    query_cut: int,
    exact_query_us: float,
    exact_posting_ns: float,
    approximate_query_us: float,
    approximate_block_ns: float,
    out_chosen: NDArray[np.bool_],
) -> int:
    """Which queries cost less approximately than exactly; returns how many."""
    n = len(query_indptr) - 1
    postings = np.empty(n, np.int64)
    blocks = np.empty(n, np.int64)
    count_work(
        query_indptr,
        query_terms,
        query_weights,
        list_indptr,
        list_groups,
        group_blocks,
        query_cut,
        postings,
        blocks,
    )
    n_chosen = 0
    for q in range(n):
        exact_ns = exact_query_us * 1e3 + exact_posting_ns * postings[q]
        approximate_ns = approximate_query_us * 1e3 + approximate_block_ns * blocks[q]
        out_chosen[q] = approximate_ns < exact_ns
        n_chosen += out_chosen[q]
    return n_chosen
