"""`calibrate`: search parameters for a wanted recall, measured against exact search."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError
from lsr.index.blocks.config import SearchParams
from lsr.index.search.block_searcher import BlockSearcher
from lsr.index.search.calibration_file import Calibration
from lsr.index.search.costs import Costs
from lsr.progress import Progress, no_progress
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR

__all__ = ["calibrate", "pseudo_queries", "recall_of"]

QUERY_CUTS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 30)
HEAP_FACTORS = (1.2, 1.1, 1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4, 0.2, 0.0)
MOST_QUERIES = 1_000
PASSES = 3
RELATIVE = 1e-6
"""Scores this close to the k-th count as reaching it."""


def calibrate(
    searcher: BlockSearcher,
    queries: CSR,
    target_recall: float,
    *,
    k: int = 10,
    source: str = "given queries",
    progress: Progress = no_progress,
) -> Calibration:
    """Find the fastest parameters whose recall reaches `target_recall`.

    Every second query chooses, the others give the recall that is reported. Where no parameters
    reach the target, the result's strategy is exact. Costs of both strategies are measured as well,
    so that the automatic strategy knows this machine.

    Args:
        queries: at least 20 that find something; of more than 1,000 the first 1,000 are used.
        k: hits that recall is measured over.

    Raises:
        InputError: too few queries, or a target outside 0 to 1.
    """
    if not 0 < target_recall <= 1:
        raise InputError(f"a recall of {target_recall} cannot be aimed at; give one above 0, to 1")
    queries = queries.take(range(min(queries.n_rows, MOST_QUERIES)))
    k = min(k, searcher.index.n_documents)
    exact = SearchParams(k=k, strategy="exact")
    truth = searcher.search_batch(queries, exact) if queries.n_rows else None
    finds = [] if truth is None else np.flatnonzero(truth.rows[:, 0] >= 0).tolist()
    if truth is None or len(finds) < 20:
        raise InputError(
            f"{len(finds)} queries find something, and calibration needs 20; give more queries"
        )
    queries = queries.take(finds)
    wanted = truth.scores[finds]
    choosing, judging = list(range(0, len(finds), 2)), list(range(1, len(finds), 2))
    chosen = _walk(searcher, queries.take(choosing), wanted[choosing], target_recall, k, progress)
    exact_us = _mean_us(lambda: searcher.search_batch(queries, exact), queries.n_rows)
    params = chosen or SearchParams(k=k, query_cut=max(QUERY_CUTS), heap_factor=min(HEAP_FACTORS))
    approximate = replace(params, strategy="approximate")
    approximate_us = _mean_us(lambda: searcher.search_batch(queries, approximate), queries.n_rows)
    held_out = searcher.search_batch(queries.take(judging), approximate)
    return Calibration(
        params=replace(params, strategy="auto" if chosen else "exact"),
        costs=_costs(searcher, queries, exact, approximate),
        target_recall=target_recall,
        recall=recall_of(held_out, wanted[judging]),
        approximate_us=approximate_us,
        exact_us=exact_us,
        n_queries=len(finds),
        source=source,
    )


def recall_of(found: Ranking, wanted: NDArray[np.float32]) -> float:
    """The share of hits whose score reaches the k-th exact score, so that ties are forgiven.

    Args:
        wanted: exact scores, shape (n_queries, k), 0 beyond the last hit.
    """
    there = wanted > 0
    least = np.where(there, wanted, np.inf).min(axis=1, keepdims=True)
    reached = (found.scores >= least * (1 - RELATIVE)) & (found.rows >= 0)
    hits = np.minimum(reached.sum(axis=1), there.sum(axis=1))
    return float((hits / np.maximum(there.sum(axis=1), 1)).mean())


def pseudo_queries(documents: CSR, n: int = MOST_QUERIES, *, seed: int = 0) -> CSR:
    """Queries made of documents: of each of `n` drawn ones, its 4 to 16 heaviest terms."""
    rng = np.random.default_rng(seed)
    full = np.flatnonzero(np.diff(documents.indptr) > 0)
    drawn = rng.choice(full, min(n, len(full)), replace=False)
    parts = [
        documents.take([row]).top_terms(int(m))
        for row, m in zip(drawn.tolist(), rng.integers(4, 17, len(drawn)), strict=True)
    ]
    return CSR.concatenate(parts)


def _walk(
    searcher: BlockSearcher,
    queries: CSR,
    wanted: NDArray[np.float32],
    target: float,
    k: int,
    progress: Progress,
) -> SearchParams | None:
    """The fastest parameters that reach the target; recall grows with every step taken here."""
    longest = int(np.diff(queries.indptr).max())
    cuts = [cut for cut in QUERY_CUTS if cut < longest] + [max(longest, 1)]
    neighbours = [0, searcher.index.n_neighbours]
    best, best_us = None, np.inf
    steps = [(n_knn, cut) for n_knn in sorted(set(neighbours)) for cut in cuts[:12]]
    for done, (n_knn, cut) in enumerate(steps, 1):
        for heap_factor in HEAP_FACTORS:
            params = SearchParams(
                k=k, query_cut=cut, heap_factor=heap_factor, n_knn=n_knn, strategy="approximate"
            )
            start = time.perf_counter()
            found = searcher.search_batch(queries, params)
            us = (time.perf_counter() - start) / queries.n_rows * 1e6
            if us > 1.5 * best_us:
                break  # and slower from here on
            if recall_of(found, wanted) >= target:
                us = _mean_us(lambda: searcher.search_batch(queries, params), queries.n_rows)  # noqa: B023
                if us < best_us:
                    best, best_us = params, us
                break
        progress("calibrate", done, len(steps))
    return best


def _mean_us(search: Callable[[], Ranking], n_queries: int) -> float:
    """Time of a query, the fastest of some passes over all of them."""
    fastest = np.inf
    for _ in range(PASSES):
        start = time.perf_counter()
        search()
        fastest = min(fastest, time.perf_counter() - start)
    return float(fastest / n_queries * 1e6)


def _costs(
    searcher: BlockSearcher, queries: CSR, exact: SearchParams, approximate: SearchParams
) -> Costs:
    """A line for each strategy, through the lighter and the heavier half of the queries."""
    postings, blocks = searcher.work(queries, approximate)
    exact_line = _line(searcher, queries, exact, postings)
    return Costs(*exact_line, *_line(searcher, queries, approximate, blocks))


def _line(
    searcher: BlockSearcher, queries: CSR, params: SearchParams, work: NDArray[np.int64]
) -> tuple[float, float]:
    """Microseconds of a query without work, and nanoseconds for each unit of it."""
    order = np.argsort(work, kind="stable").tolist()
    half = len(order) // 2
    points = []
    for part in (order[:half], order[half:]):
        chosen = queries.take(part)
        us = _mean_us(lambda: searcher.search_batch(chosen, params), len(part))  # noqa: B023
        points.append((float(work[part].mean()), us))
    (light, light_us), (heavy, heavy_us) = points
    if heavy <= light or heavy_us <= light_us:
        return (light_us + heavy_us) / 2, 0.0
    slope = (heavy_us - light_us) / (heavy - light)
    slope = min(slope, light_us / light) if light > 0 else slope
    return max(light_us - slope * light, 0.0), slope * 1e3
