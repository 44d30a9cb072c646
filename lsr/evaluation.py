"""Relevance and cost of retrieval systems, side by side on one judged collection.

Measures come from ir_measures (trec_eval underneath); the paired t-test is SciPy's. Rankings are
measured as they stand: trec_eval would put documents of equal score into an order of its own, so
it is given ranks for scores.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from lsr.encoder import Progress, no_progress
from lsr.errors import InputError, UnavailableError
from lsr.retriever import Retriever
from lsr.types import Qrels, Query, Run

__all__ = [
    "DEFAULT_METRICS",
    "Comparison",
    "RetrieverSystem",
    "System",
    "SystemResult",
    "SystemRun",
    "evaluate",
    "judged_queries",
    "parse_metrics",
]

DEFAULT_METRICS = ("nDCG@10", "R@100", "MAP", "MRR@10")


@dataclass(frozen=True)
class SystemRun:
    """What a system returned, and how long each query took it, in milliseconds."""

    run: Run
    query_ms: list[float]


class System(Protocol):
    """Something to evaluate: a name, a size, and an answer to queries asked one at a time."""

    @property
    def name(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...

    def answer(self, queries: Sequence[Query], k: int, progress: Progress) -> SystemRun: ...


@dataclass(frozen=True)
class RetrieverSystem:
    """A `Retriever` timed from text to ranked ids, one query at a time on one thread."""

    name: str
    retriever: Retriever
    size_bytes: int

    def answer(self, queries: Sequence[Query], k: int, progress: Progress) -> SystemRun:
        run: Run = {}
        query_ms: list[float] = []
        self.retriever.retrieve(queries[:1], k)
        for done, query in enumerate(queries, start=1):
            begin = time.perf_counter()
            run |= self.retriever.retrieve([query], k)
            query_ms.append((time.perf_counter() - begin) * 1e3)
            progress(self.name, done, len(queries))
        return SystemRun(run, query_ms)


@dataclass(frozen=True)
class Comparison:
    """A system against the first one, query by query, on one measure.

    `p_value` is of a paired two-sided t-test; 1 when no query differs, or there is only one.
    """

    p_value: float
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class SystemResult:
    """Figures of one system on one collection.

    Attributes:
        metrics: measure to mean over the judged queries.
        by_query: measure to query_id to value.
        median_ms, p95_ms: of the time of single queries.
        against_first: measure to comparison; empty for the first system.
    """

    name: str
    metrics: dict[str, float]
    by_query: dict[str, dict[str, float]]
    median_ms: float
    p95_ms: float
    size_bytes: int
    run: Run
    against_first: dict[str, Comparison] = field(default_factory=dict)


def parse_metrics(names: Sequence[str]) -> dict[str, Any]:
    """Measure objects of ir_measures by the names given.

    Raises:
        UnavailableError: ir_measures is not installed.
        InputError: a name is not one of its measures; all bad names are reported together.
    """
    try:
        import ir_measures
    except ImportError as error:
        raise UnavailableError(
            "evaluation needs ir_measures, which is not installed; "
            "run: pip install 'lsr-search[eval]'"
        ) from error
    measures: dict[str, Any] = {}
    unknown: list[str] = []
    for name in names:
        try:
            measures[name] = ir_measures.parse_measure(name)
        except (NameError, ValueError, SyntaxError):
            unknown.append(name)
    if unknown or not measures:
        raise InputError(
            f"not a measure: {', '.join(unknown) or 'nothing given'}; "
            "write them like nDCG@10, R@100, MAP, MRR@10"
        )
    return measures


def judged_queries(queries: Sequence[Query], qrels: Qrels) -> list[Query]:
    """The queries that have judgements and say something, in order."""
    return [query for query in queries if qrels.get(query.query_id) and query.text.strip()]


def evaluate(
    systems: Sequence[System],
    queries: Sequence[Query],
    qrels: Qrels,
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    depth: int = 1000,
    progress: Progress = no_progress,
) -> list[SystemResult]:
    """Ask every system every query, and compare the first with the rest.

    A document with the id of the query is taken out of its answer: in collections like ArguAna
    the query is a document itself.

    Args:
        queries: judged ones, as `judged_queries` picks them.
        qrels: judgements; queries without an answer count as 0.
        depth: hits that count.

    Raises:
        InputError: there is no query, or a measure is unknown.
    """
    measures = parse_metrics(metrics)
    if not queries:
        raise InputError("no query has judgements, so there is nothing to measure; check the split")
    asked = {query.query_id for query in queries}
    judged = {query_id: grades for query_id, grades in qrels.items() if query_id in asked}
    results: list[SystemResult] = []
    for system in systems:
        answer = system.answer(queries, depth + 1, progress)
        run = {
            query_id: [hit for hit in hits if hit.doc_id != query_id][:depth]
            for query_id, hits in answer.run.items()
        }
        by_query = _measure(measures, judged, run)
        results.append(
            SystemResult(
                name=system.name,
                metrics={name: float(np.mean(list(v.values()))) for name, v in by_query.items()},
                by_query=by_query,
                median_ms=float(np.median(answer.query_ms)),
                p95_ms=float(np.percentile(answer.query_ms, 95)),
                size_bytes=system.size_bytes,
                run=run,
                against_first=_compare(by_query, results[0].by_query) if results else {},
            )
        )
    return results


def _measure(measures: dict[str, Any], qrels: Qrels, run: Run) -> dict[str, dict[str, float]]:
    import ir_measures

    scores = {
        query_id: {hit.doc_id: float(-rank) for rank, hit in enumerate(hits)}
        for query_id, hits in run.items()
    }
    names = {measure: name for name, measure in measures.items()}
    by_query: dict[str, dict[str, float]] = {name: {} for name in measures}
    for value in ir_measures.iter_calc(list(measures.values()), qrels, scores):
        by_query[names[value.measure]][value.query_id] = float(value.value)
    for values in by_query.values():
        for query_id in qrels:
            values.setdefault(query_id, 0.0)
    return by_query


def _compare(
    these: dict[str, dict[str, float]], first: dict[str, dict[str, float]]
) -> dict[str, Comparison]:
    from scipy.stats import ttest_rel

    comparisons: dict[str, Comparison] = {}
    for name, values in these.items():
        order = sorted(values)
        mine = np.array([values[query_id] for query_id in order])
        other = np.array([first[name][query_id] for query_id in order])
        difference = mine - other
        if len(order) > 1 and np.any(difference != difference[0]):
            p_value = float(ttest_rel(mine, other).pvalue)
        else:
            p_value = 0.0 if len(order) > 1 and difference[0] != 0 else 1.0
        comparisons[name] = Comparison(
            p_value=p_value,
            wins=int(np.sum(difference > 0)),
            ties=int(np.sum(difference == 0)),
            losses=int(np.sum(difference < 0)),
        )
    return comparisons
