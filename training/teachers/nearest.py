"""The nearest rows of a matrix by inner product, block by block: memory does not grow with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.retrieval.retriever import Ranking

__all__ = ["nearest_rows"]

BLOCK_CELLS = 1 << 24
"""Scores held at once: 64 MB of them."""

BLOCK_ROWS = 1 << 15


def nearest_rows(
    queries: NDArray[np.floating], documents: NDArray[np.floating], depth: int
) -> Ranking:
    """The `depth` rows of `documents` with the largest inner products with each query.

    Args:
        queries: float16 or float32, shape (n_queries, dimension).
        documents: likewise, shape (n_documents, dimension); as many as `depth` or more. Products
            are computed in 32 bits.

    Returns:
        Shape (n_queries, depth), best first, of equal products the smaller row first. Of rows that
        are equal in the last place any may be returned.
    """
    n, n_documents = len(queries), len(documents)
    found = Ranking(np.zeros((n, depth), np.int32), np.full((n, depth), -np.inf, np.float32))
    for low in range(0, n_documents, BLOCK_ROWS):
        block = np.asarray(documents[low : low + BLOCK_ROWS], np.float32)
        k = min(depth, len(block))
        step = max(1, BLOCK_CELLS // len(block))
        for first in range(0, n, step):
            part = slice(first, first + step)
            scores = np.asarray(queries[part], np.float32) @ block.T
            top = np.argpartition(scores, len(block) - k, axis=1)[:, len(block) - k :]
            rows = np.hstack([found.rows[part], (top + low).astype(np.int32)])
            values = np.hstack([found.scores[part], np.take_along_axis(scores, top, axis=1)])
            best = np.lexsort((rows, -values), axis=1)[:, :depth]
            found.rows[part] = np.take_along_axis(rows, best, axis=1)
            found.scores[part] = np.take_along_axis(values, best, axis=1)
    return found
