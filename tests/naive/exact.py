"""Plain-Python twins of the kernels: slow, obvious, and equal to them bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lsr.sparse import CSR

__all__ = [
    "keep_best",
    "merge_rankings",
    "rows_of",
    "scan_batch",
    "score",
    "score_rows",
    "tie_order",
    "top_terms",
    "transpose",
]


def rows_of(matrix: CSR) -> list[dict[int, np.float32]]:
    """Each row as term to weight."""
    return [
        {
            int(matrix.terms[p]): np.float32(matrix.weights[p])
            for p in range(int(matrix.indptr[i]), int(matrix.indptr[i + 1]))
        }
        for i in range(len(matrix.indptr) - 1)
    ]


def score(query: Mapping[int, np.float32], document: Mapping[int, np.float32]) -> np.float32:
    """The dot product in float32, added up in ascending term order."""
    total = np.float32(0)
    with np.errstate(over="ignore", under="ignore"):
        for term in sorted(query.keys() & document.keys()):
            total = np.float32(total + np.float32(query[term] * document[term]))
    return total


def scan_batch(
    queries: CSR,
    documents: CSR,
    doc_ids: Sequence[str],
    k: int,
    allowed: Sequence[bool] | NDArray[np.bool_] | None = None,
) -> list[list[tuple[int, np.float32]]]:
    """For each query the `k` best (row, score): score descending, then doc_id ascending."""
    results = []
    rows = rows_of(documents)
    for query in rows_of(queries):
        hits = [
            (row, value)
            for row, document in enumerate(rows)
            if (value := score(query, document)) > 0 and (allowed is None or allowed[row])
        ]
        hits.sort(key=lambda hit: (-float(hit[1]), doc_ids[hit[0]]))
        results.append(hits[:k])
    return results


def score_rows(queries: CSR, documents: CSR, rows: Sequence[int]) -> list[list[np.float32]]:
    """For each query the scores of `rows`, in their order."""
    found = rows_of(documents)
    return [[score(query, found[row]) for row in rows] for query in rows_of(queries)]


def keep_best(keys: Sequence[int], k: int) -> list[int]:
    """The `k` largest, ascending."""
    return sorted(keys)[-k:] if k else []


def merge_rankings(
    parts: Sequence[Sequence[Sequence[tuple[int, float]]]],
    first_rows: Sequence[int],
    tie_order: Sequence[int],
    k: int,
) -> list[list[tuple[int, float]]]:
    """For each query the `k` best of the parts' (row, score), rows counted through."""
    n_queries = len(parts[0])
    return [
        sorted(
            (
                (first + row, score)
                for part, first in zip(parts, first_rows, strict=True)
                for row, score in part[query]
            ),
            key=lambda hit: (-hit[1], tie_order[hit[0]]),
        )[:k]
        for query in range(n_queries)
    ]


def top_terms(matrix: CSR, m: int) -> list[dict[int, np.float32]]:
    """The `m` heaviest entries of each row; among equals the smaller term stays."""
    return [
        dict(sorted(sorted(row.items(), key=lambda entry: (-entry[1], entry[0]))[:m]))
        for row in rows_of(matrix)
    ]


def transpose(matrix: CSR) -> list[dict[int, np.float32]]:
    """Rows of the transposed matrix."""
    lists: list[dict[int, np.float32]] = [{} for _ in range(matrix.n_terms)]
    for row, entries in enumerate(rows_of(matrix)):
        for term, weight in entries.items():
            lists[term][row] = weight
    return lists


def tie_order(groups: Sequence[Sequence[str]]) -> list[int]:
    """The place of each doc_id when those of all segments are sorted, the earlier segment first."""
    rows = [
        (doc_id, number, row)
        for number, group in enumerate(groups)
        for row, doc_id in enumerate(group)
    ]
    places = {row: place for place, row in enumerate(sorted(rows))}
    return [places[row] for row in rows]
