"""Relevance and cost of retrieval systems, side by side on one judged collection.

Measures come from ir_measures (trec_eval underneath); the paired t-test is SciPy's. Rankings are
measured as they stand: trec_eval would put documents of equal score into an order of its own, so
it is given ranks for scores.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError, UnavailableError
from lsr.progress import Progress, no_progress
from lsr.retrieval.hybrid import HybridQuery, HybridSearcher
from lsr.retrieval.plan import SearchPlan
from lsr.retrieval.retriever import Retriever
from lsr.types import Qrels, Query, Run, ScoredDoc

__all__ = [
    "DEFAULT_METRICS",
    "Comparison",
    "PlanSystem",
    "RetrieverSystem",
    "System",
    "SystemResult",
    "SystemRun",
    "compare",
    "evaluate",
    "judged_queries",
    "measure",
    "parse_metrics",
]

DEFAULT_METRICS = ("nDCG@10", "R@100", "MAP", "MRR@10")


@dataclass(frozen=True)
class SystemRun:
    """Rankings that a system returned, and the time that it took, in milliseconds.

    Attributes:
        query_ms: of each query.
        stage_ms: mean of a query by stage; empty where stages are not known.
    """

    run: Run
    query_ms: list[float]
    stage_ms: dict[str, float] = field(default_factory=dict)


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
class PlanSystem:
    """A search plan timed from text to ranked ids, one query at a time on one thread.

    Attributes:
        doc_ids: identifiers of rows.
        by_query: plans by query_id that override `plan`, as cross-validation gives them.
    """

    name: str
    searcher: HybridSearcher
    doc_ids: Callable[[NDArray[np.int32]], list[str]]
    plan: SearchPlan
    size_bytes: int
    by_query: Mapping[str, SearchPlan] = field(default_factory=dict)

    def answer(self, queries: Sequence[Query], k: int, progress: Progress) -> SystemRun:
        run: Run = {}
        query_ms: list[float] = []
        stage_ms: dict[str, float] = {}
        self._hits(queries[0], k, {})
        for done, query in enumerate(queries, start=1):
            begin = time.perf_counter()
            run[query.query_id] = self._hits(query, k, stage_ms)
            query_ms.append((time.perf_counter() - begin) * 1e3)
            progress(self.name, done, len(queries))
        stage_ms["ids"] = sum(query_ms) - sum(stage_ms.values())
        means = {stage: ms / len(queries) for stage, ms in stage_ms.items()}
        return SystemRun(run, query_ms, means)

    def _hits(self, query: Query, k: int, stage_ms: dict[str, float]) -> list[ScoredDoc]:
        plan = self.by_query.get(query.query_id, self.plan)
        outcome = self.searcher.search(HybridQuery(query.text), plan, reach=k)
        for stage, ms in outcome.took_ms.items():
            stage_ms[stage] = stage_ms.get(stage, 0.0) + ms
        found = zip(self.doc_ids(outcome.rows[:k]), outcome.scores[:k].tolist(), strict=True)
        return [ScoredDoc(query.query_id, doc_id, score) for doc_id, score in found]


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
        stage_ms: mean of a query by stage, where it is known.
        against_first: measure to comparison; empty for the first system.
    """

    name: str
    metrics: dict[str, float]
    by_query: dict[str, dict[str, float]]
    median_ms: float
    p95_ms: float
    size_bytes: int
    run: Run
    stage_ms: dict[str, float] = field(default_factory=dict)
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
        by_query = measure(measures, judged, run)
        results.append(
            SystemResult(
                name=system.name,
                metrics={name: float(np.mean(list(v.values()))) for name, v in by_query.items()},
                by_query=by_query,
                median_ms=float(np.median(answer.query_ms)),
                p95_ms=float(np.percentile(answer.query_ms, 95)),
                size_bytes=system.size_bytes,
                run=run,
                stage_ms=answer.stage_ms,
                against_first=_compare(by_query, results[0].by_query) if results else {},
            )
        )
    return results


def measure(measures: dict[str, Any], qrels: Qrels, run: Run) -> dict[str, dict[str, float]]:
    """Values by measure and query; hits count in the order in which they stand.

    Args:
        measures: as `parse_metrics` gives them.
        qrels: every query in it gets a value, 0 without hits.
    """
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
    comparisons: dict[str, Comparison] = {}
    for name, values in these.items():
        order = sorted(values)
        mine = np.array([values[query_id] for query_id in order])
        other = np.array([first[name][query_id] for query_id in order])
        comparisons[name] = compare(mine, other)
    return comparisons


def compare(these: NDArray[np.float64], others: NDArray[np.float64]) -> Comparison:
    """Values of two systems on the same queries, shape (n_queries,), at least one."""
    from scipy.stats import ttest_rel

    difference = these - others
    if len(difference) > 1 and np.any(difference != difference[0]):
        p_value = float(ttest_rel(these, others).pvalue)
    else:
        p_value = 0.0 if len(difference) > 1 and difference[0] != 0 else 1.0
    return Comparison(
        p_value=p_value,
        wins=int(np.sum(difference > 0)),
        ties=int(np.sum(difference == 0)),
        losses=int(np.sum(difference < 0)),
    )
