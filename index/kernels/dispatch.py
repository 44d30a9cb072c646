"""The kernel that searches each query in its strategy: exactly, approximately, or as costs less."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks import layout as at
from lsr.index.blocks.config import Strategy
from lsr.index.jit import kernel
from lsr.index.kernels.block_search import search_blocks
from lsr.index.kernels.query_check import terms_beyond, wrong_query
from lsr.index.kernels.query_cost import costs_less, count_work
from lsr.index.kernels.scan_search import scan_lists
from lsr.index.kernels.scratch import IGNORED, scratch_counters

__all__ = ["AUTO", "STRATEGIES", "search_mixed"]

AUTO, EXACT, APPROXIMATE = range(3)
STRATEGIES: dict[Strategy, int] = {"auto": AUTO, "exact": EXACT, "approximate": APPROXIMATE}

PRIMED_POSTINGS = 300_000
"""Exact search of a query with more of them begins with approximate search: what that finds says
what the best score at least, and then much of the lists cannot matter."""

PRIMING_CUT, PRIMING_FACTOR = 6, 1.0
"""Query cut and heap factor of that search. It is not worth it for more hits than these:"""

PRIMED_HITS = 100


@kernel
def search_mixed(
    query_indptr: NDArray[np.int64],
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    first: int,
    last: int,
    blob: NDArray[np.uint8],
    layout: NDArray[np.int64],
    term_type: NDArray[np.uint16],
    entry_type: NDArray[np.uint32],
    rest_type: NDArray[np.int8],
    tie_order: NDArray[np.int32],
    row_at_tie: NDArray[np.int32],
    blocked: NDArray[np.uint8],
    allowed: NDArray[np.bool_],
    strategy: int,
    costs: NDArray[np.float64],
    query_cut: int,
    heap_factor: float,
    n_knn: int,
    scratch: NDArray[np.uint8],
    out_rows: NDArray[np.int32],
    out_scores: NDArray[np.float32],
) -> int:
    """Top-k of queries `first` to `last - 1`, each in its strategy.

    Args:
        term_type, entry_type, rest_type: empty arrays of the types of components, of summaries'
            entries and of rest.
        blocked, allowed: the same filter for both strategies: bits of rows that are not returned,
            and flags of those that are; empty without a filter.
        strategy: of `STRATEGIES`.
        costs: see `Costs.as_array`.
        query_indptr … layout, tie_order, row_at_tie, query_cut … out_scores: as in
            `search_blocks`.

    Returns:
        −1, or the first query that cannot be searched for: then nothing is.
    """
    wrong = wrong_query(query_indptr, query_terms, query_weights, first, last)
    if wrong >= 0:
        return int(wrong)
    scratch_counters(scratch)[IGNORED] += terms_beyond(
        query_indptr, query_terms, first, last, layout[at.N_TERMS]
    )
    k = out_rows.shape[1]
    n_queries = len(query_indptr) - 1
    postings = np.zeros(n_queries, np.int64)
    blocks = np.zeros(n_queries, np.int64)
    floors = np.zeros(n_queries, np.float32)
    queries = (query_indptr, query_terms, query_weights)
    ties = (tie_order, row_at_tie)
    index = (blob, layout, term_type, entry_type, rest_type, *ties)
    vectors = (blob, layout, term_type, rest_type, *ties)
    found = (scratch, out_rows, out_scores)
    if strategy != APPROXIMATE:
        count_work(*queries, first, last, blob, layout, query_cut, postings, blocks)
    begin = first
    while begin < last:
        approximate = strategy == APPROXIMATE
        if strategy == AUTO:
            approximate = costs_less(postings[begin], blocks[begin], costs)
        end = begin + 1
        while end < last and (
            strategy != AUTO or costs_less(postings[end], blocks[end], costs) == approximate
        ):
            end += 1
        if approximate:
            knobs = (query_cut, heap_factor, n_knn)
            search_blocks(*queries, begin, end, *index, blocked, *knobs, *found)
        else:
            for q in range(begin, end):
                if postings[q] > PRIMED_POSTINGS and k <= PRIMED_HITS:
                    knobs = (PRIMING_CUT, PRIMING_FACTOR, 0)
                    search_blocks(*queries, q, q + 1, *index, blocked, *knobs, *found)
                    floors[q] = out_scores[q, k - 1]
            scan_lists(*queries, begin, end, *vectors, allowed, floors, *found)
        begin = end
    return -1
