"""Exact answers of a benchmark, and recall that forgives ties.

The scorer is also the plain opponent of the exact modes: term at a time over float32 inverted
lists into one dense accumulator, which is emptied while it is scanned for the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lsr.index.storage.inverted_lists import inverted_lists
from lsr.sparse import CSR

TOLERANCE = 1e-5
"""Relative, between float32 sums of the same products in another order."""


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def best_of(
    indptr: Any, rows: Any, weights: Any, terms: Any, query: Any, accumulator: Any, k: int
) -> tuple[Any, Any]:
    """Best `k` rows (int32, padded with -1) and scores over inverted lists, descending.

    `accumulator` (float32, one for each document) is all zeros before and after.
    """
    for i in range(len(terms)):
        weight = query[i]
        for j in range(indptr[terms[i]], indptr[terms[i] + 1]):
            accumulator[rows[j]] += weight * weights[j]
    best, scores = np.full(k, -1, np.int32), np.zeros(k, np.float32)
    least = np.float32(0)
    for row in range(len(accumulator)):
        score = accumulator[row]
        accumulator[row] = 0
        if score > least:
            place = k - 1
            while place > 0 and scores[place - 1] < score:
                scores[place], best[place] = scores[place - 1], best[place - 1]
                place -= 1
            scores[place], best[place] = score, row
            least = scores[k - 1]
    return best, scores


def exact_top(documents: CSR, queries: CSR, k: int) -> NDArray[np.float32]:
    """Exact best scores, shape (n_queries, k), descending, padded with zeros."""
    lists = inverted_lists(documents)
    accumulator = np.zeros(documents.n_rows, np.float32)
    tops = np.zeros((queries.n_rows, k), np.float32)
    for i in range(queries.n_rows):
        row = queries.row(i)
        arguments = lists.indptr, lists.terms, lists.weights, row.terms, row.weights
        tops[i] = best_of(*arguments, accumulator, k)[1]
    return tops


def recall(
    found: Sequence[Sequence[int]], documents: CSR, queries: CSR, tops: NDArray[np.float32]
) -> float:
    """Mean share of a query's best that were found.

    A found row counts, once, when its exact score reaches that of the last of the true best, so
    that it does not matter which of equals are returned. Rows that do not exist are no hits.

    Args:
        found: document rows of the first `len(found)` queries.
        tops: as `exact_top` returns them.
    """
    widest = max((len(rows) for rows in found), default=0)
    table = np.full((len(found), max(widest, 1)), -1, np.int64)
    for i, rows in enumerate(found):
        table[i, : len(rows)] = rows
    shares = _shares(*documents[:3], documents.n_terms, *queries[:3], tops, table)
    answerable = tops[: len(found), 0] > 0
    return float(shares[answerable].mean()) if answerable.any() else 1.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _shares(
    indptr: Any,
    terms: Any,
    weights: Any,
    n_terms: int,
    query_indptr: Any,
    query_terms: Any,
    query_weights: Any,
    tops: Any,
    table: Any,
) -> NDArray[np.float64]:
    """What share of its best each query found, shape (len(table),); 0 where there are none."""
    shares, dense = np.zeros(len(table)), np.zeros(n_terms, np.float32)
    for query in range(len(table)):
        possible = 0
        while possible < tops.shape[1] and tops[query, possible] > 0:
            possible += 1
        if possible == 0:
            continue
        least = tops[query, possible - 1] * (1 - TOLERANCE)
        first, last = query_indptr[query], query_indptr[query + 1]
        for j in range(first, last):
            dense[query_terms[j]] = query_weights[j]
        hits = 0
        for place in range(table.shape[1]):
            row = table[query, place]
            if row < 0 or row >= len(indptr) - 1 or (table[query, :place] == row).any():
                continue
            score = np.float32(0)
            for j in range(indptr[row], indptr[row + 1]):
                score += dense[terms[j]] * weights[j]
            hits += score >= least
        for j in range(first, last):
            dense[query_terms[j]] = 0
        shares[query] = min(hits, possible) / possible
    return shares
