"""Working memory of one search thread, kept between searches: zero at first, and left zero.

Allocating and clearing it for every query would take longer than some queries.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.index.blocks.scan_lists import WINDOW
from lsr.index.jit import kernel

__all__ = [
    "COUNTERS",
    "IGNORED",
    "clear_query",
    "put_query",
    "scratch_bytes",
    "scratch_counters",
    "scratch_parts",
]

LINE = 64
COUNTERS = (
    "blocks_estimated",
    "blocks_visited",
    "documents_scored_by_heads",
    "documents_scored",
    "query_terms_ignored",
)
"""Counters of a thread: of approximate search, and terms of queries that no document has a place
for."""

IGNORED = COUNTERS.index("query_terms_ignored")
N_COUNTERS = len(COUNTERS)


@kernel
def _lines(n_bytes: int) -> int:
    return -(-n_bytes // LINE) * LINE


def scratch_bytes(n_documents: int, n_terms: int) -> int:
    """Size in bytes of the working memory for a collection."""
    window = min(WINDOW, n_documents)
    sizes = (4 * n_documents, n_documents // 8 + 1, n_terms, 4 * n_terms, 2 * window)
    return N_COUNTERS * 8 + sum(int(_lines(size)) for size in sizes)


@kernel
def scratch_parts(
    scratch: NDArray[np.uint8], n_documents: int, n_terms: int
) -> tuple[
    NDArray[np.int32],
    NDArray[np.uint8],
    NDArray[np.uint8],
    NDArray[np.float32],
    NDArray[np.uint16],
    NDArray[np.int64],
]:
    """The parts of working memory.

    Returns:
        Rows seen, for each document, which need not be zero; bits of documents visited; the
        query's codes by term; its weights by term; scores of a window of documents; and, never set
        back, the counters.
    """
    begin = 0
    seen = scratch[: 4 * n_documents].view(np.int32)
    begin += _lines(4 * n_documents)
    visited = scratch[begin : begin + n_documents // 8 + 1]
    begin += _lines(n_documents // 8 + 1)
    codes_of = scratch[begin : begin + n_terms]
    begin += _lines(n_terms)
    weights_of = scratch[begin : begin + 4 * n_terms].view(np.float32)
    begin += _lines(4 * n_terms)
    window = scratch[begin : begin + 2 * min(WINDOW, n_documents)].view(np.uint16)
    return seen, visited, codes_of, weights_of, window, scratch_counters(scratch)


@kernel
def scratch_counters(scratch: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Counts so far, in the order of `COUNTERS`, shape (5,)."""
    return scratch[len(scratch) - N_COUNTERS * 8 :].view(np.int64)


@kernel
def put_query(
    terms: NDArray[np.int32],
    weights: NDArray[np.float32],
    top: int,
    codes_of: NDArray[np.uint8],
    weights_of: NDArray[np.float32],
) -> None:
    """Spread a query over the tables by term; the heaviest term's code is `top`, none is 0."""
    largest = weights.max() if len(weights) > 0 else np.float32(1.0)
    for i in range(len(terms)):
        code = np.int32(weights[i] / largest * np.float32(top) + np.float32(0.5))
        codes_of[terms[i]] = max(code, np.int32(1))
        weights_of[terms[i]] = weights[i]


@kernel
def clear_query(
    terms: NDArray[np.int32], codes_of: NDArray[np.uint8], weights_of: NDArray[np.float32]
) -> None:
    """Undo `put_query`."""
    for i in range(len(terms)):
        codes_of[terms[i]] = 0
        weights_of[terms[i]] = 0.0
