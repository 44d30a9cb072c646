"""Documents scored by their best passage, as plainly as can be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lsr.sparse import CSR
from tests.naive.exact import rows_of

__all__ = ["scan_passages", "scores"]


def scores(
    query: dict[int, np.float32], passages: Sequence[dict[int, np.float32]], whole_from: int
) -> np.float32:
    """The score of one document, in float32, added up in ascending term order."""
    sums = []
    for passage in passages:
        total = np.float32(0)
        for term in sorted(query.keys() & passage.keys()):
            if term < whole_from:
                total = np.float32(total + np.float32(query[term] * passage[term]))
        sums.append(total)
    best = max(sums)
    for term in sorted(query.keys() & passages[0].keys()):
        if term >= whole_from:
            best = np.float32(best + np.float32(query[term] * passages[0][term]))
    return best


def scan_passages(
    queries: CSR,
    vectors: CSR,
    counts: Sequence[int],
    whole_from: int,
    doc_ids: Sequence[str],
    k: int,
    allowed: Sequence[bool] | None = None,
) -> list[list[tuple[int, float]]]:
    """For each query the `k` best (row, score): score descending, then doc_id ascending."""
    rows, start = [], 0
    passages = rows_of(vectors)
    for count in counts:
        rows.append(passages[start : start + count])
        start += count
    results = []
    for query in rows_of(queries):
        found = [(row, float(scores(query, parts, whole_from))) for row, parts in enumerate(rows)]
        hits = [
            (row, value) for row, value in found if value > 0 and (allowed is None or allowed[row])
        ]
        hits.sort(key=lambda hit: (-hit[1], doc_ids[hit[0]]))
        results.append(hits[:k])
    return results
