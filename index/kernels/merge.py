"""The kernel that makes one ranking of several, each over rows of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.index.jit import kernel

__all__ = ["merge_rankings"]


@kernel
def merge_rankings(
    rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    edges: NDArray[np.int64],
    first_rows: NDArray[np.int64],
    tie_order: NDArray[np.int32],
    out_rows: NDArray[np.int32],
    out_scores: NDArray[np.float32],
) -> None:
    """The best of each query's rankings, taken off their heads one by one.

    Args:
        rows: shape (n_queries, n); ranking i is the slice `[edges[i]]:[edges[i + 1]]` of each
            line, in order, with rows of its own; −1 beyond its last hit.
        scores: shape (n_queries, n).
        edges: shape (n_rankings + 1,).
        first_rows: shape (n_rankings,); what to add to a ranking's rows, ascending.
        tie_order: of all rows; among equal scores the smaller comes first.
        out_rows, out_scores: shape (n_queries, k); take the result, −1 and 0 beyond its end.
    """
    n_queries, k = out_rows.shape
    n_rankings = len(edges) - 1
    heads = np.empty(n_rankings, np.int64)
    for q in range(n_queries):
        heads[:] = edges[:-1]
        for place in range(k):
            best = -1
            best_row = -1
            best_score = np.float32(0.0)
            for i in range(n_rankings):
                head = heads[i]
                if head == edges[i + 1] or rows[q, head] < 0:
                    continue
                row = rows[q, head] + first_rows[i]
                score = scores[q, head]
                if (
                    best < 0
                    or score > best_score
                    or (score == best_score and tie_order[row] < tie_order[best_row])
                ):
                    best, best_row, best_score = i, row, score
            out_rows[q, place] = best_row
            out_scores[q, place] = best_score
            if best >= 0:
                heads[best] += 1
