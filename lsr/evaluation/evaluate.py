"""Relevance and cost of retrieval systems, side by side on one judged collection.

Measures come from ir_measures (trec_eval underneath). Rankings are measured as they stand:
trec_eval would put documents of equal score into an order of its own, so it is given ranks for
scores. Every judged query counts: one that cannot be asked, or finds nothing, counts as 0.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError, UnavailableError
from lsr.evaluation.comparison import Comparison, against
from lsr.progress import Progress, no_progress
from lsr.retrieval.hybrid import HybridQuery, HybridSearcher
from lsr.retrieval.plan import SearchPlan
from lsr.retrieval.retriever import Retriever
from lsr.types import Qrels, Query, Run, ScoredDoc

__all__ = [
    "DEFAULT_METRICS",
    "PlanSystem",
    "RetrieverSystem",
    "System",
    "SystemResult",
    "SystemRun",
    "compared",
    "evaluate",
    "evaluate_system",
    "judged_queries",
    "measure",
    "named",
    "parse_metrics",
]

DEFAULT_METRICS = ("nDCG@10", "R@100", "MAP", "MRR@10")


@dataclass(frozen=True)
class SystemRun:
    """Rankings that a system returned, and the time that it took, in milliseconds.

    Attributes:
        query_ms: of each query; empty where it is not known.
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
    def size_bytes(self) -> int | None:
        """Bytes of its index, where there is one to know of."""
        ...

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
class SystemResult:
    """Figures of one system on one collection.

    Attributes:
        metrics: measure to mean over the judged queries.
        by_query: measure to query_id to value.
        median_ms, p95_ms: of the time of single queries, where it is known.
        size_bytes: of its index, where there is one to know of.
        stage_ms: mean of a query by stage, where it is known.
        against_baseline: measure to comparison; empty for the baseline itself.
        terms: active terms of a document, on average; None but for sparse systems.
        flops: terms that a query and a document share, on average; likewise.
        notes: sentences on how it was made, and on what it could not do.
    """

    name: str
    metrics: dict[str, float]
    by_query: dict[str, dict[str, float]]
    median_ms: float | None
    p95_ms: float | None
    size_bytes: int | None
    run: Run
    stage_ms: dict[str, float] = field(default_factory=dict)
    against_baseline: dict[str, Comparison] = field(default_factory=dict)
    terms: float | None = None
    flops: float | None = None
    notes: tuple[str, ...] = ()


def parse_metrics(names: Sequence[str]) -> dict[str, Any]:
    """Measure objects of ir_measures by the names given.

    Raises:
        UnavailableError: ir_measures is not installed.
        InputError: a name is not one of its measures; all bad names are reported together. Or
            two names are of one measure.
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
    pipeline: Any = ir_measures.DefaultPipeline
    for name, measure in measures.items():
        if not pipeline.supports(measure):
            raise InputError(
                f"nothing that is installed computes {name}; give it a cutoff, as {name}@10, or "
                "choose another measure"
            )
    last = {measure: name for name, measure in measures.items()}
    for name, measure in measures.items():
        if last[measure] != name:
            raise InputError(f"{name} and {last[measure]} are the same measure; leave one out")
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
    itself: AbstractSet[str] = frozenset(),
    progress: Progress = no_progress,
) -> list[SystemResult]:
    """Ask every system every query, and compare the first with the rest.

    Args:
        queries: judged ones, as `judged_queries` picks them.
        qrels: judgements; each query in it counts, as 0 without an answer.
        depth: hits that count.
        itself: query_ids of queries that are documents of the same id themselves, as in ArguAna;
            that document is taken out of the answer.

    Raises:
        InputError: there is no query, or a measure is unknown.
    """
    measures = parse_metrics(metrics)
    results = [
        evaluate_system(
            system, queries, qrels, measures, depth=depth, itself=itself, progress=progress
        )
        for system in systems
    ]
    return compared(results, results[0].name) if results else []


def evaluate_system(
    system: System,
    queries: Sequence[Query],
    qrels: Qrels,
    measures: dict[str, Any],
    *,
    depth: int = 1000,
    itself: AbstractSet[str] = frozenset(),
    progress: Progress = no_progress,
) -> SystemResult:
    """As `evaluate`, for one system.

    Args:
        measures: as `parse_metrics` gives them.

    Raises:
        InputError: there is no query.
    """
    if not queries:
        raise InputError("no query has judgements, so there is nothing to measure; check the split")
    judged = {query_id: grades for query_id, grades in qrels.items() if grades}
    answer = system.answer(queries, depth + 1, progress)
    run = {
        query_id: [hit for hit in hits if hit.doc_id != query_id or query_id not in itself][:depth]
        for query_id, hits in answer.run.items()
        if query_id in judged
    }
    by_query = measure(measures, judged, run)
    mute = [query.query_id for query in queries if not run.get(query.query_id)]
    notes = (f"{system.name}: {named(mute)} without hits, counted as 0",) if mute else ()
    return SystemResult(
        name=system.name,
        metrics={name: float(np.mean(list(v.values()))) for name, v in by_query.items()},
        by_query=by_query,
        median_ms=float(np.median(answer.query_ms)) if answer.query_ms else None,
        p95_ms=float(np.percentile(answer.query_ms, 95)) if answer.query_ms else None,
        size_bytes=system.size_bytes,
        run=run,
        stage_ms=answer.stage_ms,
        notes=notes,
    )


def named(query_ids: Sequence[str], most: int = 5) -> str:
    """The number of queries, and the ids of the first of them."""
    listed = ", ".join(query_ids[:most]) + (", ..." if len(query_ids) > most else "")
    queries = "judged query" if len(query_ids) == 1 else "judged queries"
    return f"{len(query_ids):,} {queries} ({listed})"


def compared(results: Sequence[SystemResult], baseline: str) -> list[SystemResult]:
    """The results, each with its comparison with the one of that name."""
    found = against({result.name: result.by_query for result in results}, baseline)
    return [replace(each, against_baseline=found.get(each.name, {})) for each in results]


def measure(measures: dict[str, Any], qrels: Qrels, run: Run) -> dict[str, dict[str, float]]:
    """Values by measure and query; hits count in the order in which they stand.

    Args:
        measures: as `parse_metrics` gives them.
        qrels: every query in it gets a value, 0 without hits.

    Raises:
        InputError: a measure cannot be computed on these queries.
    """
    import ir_measures

    scores = {
        query_id: {hit.doc_id: float(-rank) for rank, hit in enumerate(hits)}
        for query_id, hits in run.items()
    }
    names = {measure: name for name, measure in measures.items()}
    by_query: dict[str, dict[str, float]] = {name: {} for name in measures}
    try:
        for value in ir_measures.iter_calc(list(measures.values()), qrels, scores):
            by_query[names[value.measure]][value.query_id] = float(value.value)
    except subprocess.CalledProcessError as error:  # of measures that scripts in Perl compute
        raise InputError(
            f"one of {', '.join(measures)} cannot be computed on these queries; ERR, of gdeval, "
            "needs query ids that are numbers: choose other measures"
        ) from error
    for values in by_query.values():
        for query_id in qrels:
            values.setdefault(query_id, 0.0)
    return by_query
