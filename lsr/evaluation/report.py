"""Figures of an evaluation: of each collection, and means over several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from lsr.evaluation.evaluate import SystemResult

__all__ = ["CollectionReport", "MeanReport", "SystemMean", "as_json", "mean_report"]


@dataclass(frozen=True)
class CollectionReport:
    """Figures of one collection.

    Attributes:
        dataset, split: as the user named them; no split where the collection has none.
        n_documents, n_queries: of the collection, and of those judged, which all count.
        depth: hits that counted.
        results: one for each system, in the order asked for.
        unavailable: system to the reason why it was left out.
        warnings: sentences about the data, such as judgements of unknown documents.
        notes: sentences about systems, such as how one was tuned.
        baseline: the system that the others are compared with; empty where it was left out.
    """

    dataset: str
    split: str
    n_documents: int
    n_queries: int
    depth: int
    results: list[SystemResult]
    unavailable: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    baseline: str = ""

    @property
    def metrics(self) -> list[str]:
        return list(self.results[0].metrics) if self.results else []

    @property
    def title(self) -> str:
        """Name and split."""
        return f"{self.dataset} ({self.split})" if self.split else self.dataset


@dataclass(frozen=True)
class SystemMean:
    """Means of a system over collections.

    Attributes:
        metrics: measure to the mean of the collections' means, for measures that all have.
        terms, flops: as in `SystemResult`; None where a collection has none.
        wins, ties, losses: measure to collections on which it is better than the baseline, equal,
            worse; empty for the baseline itself.
    """

    name: str
    metrics: dict[str, float]
    terms: float | None
    flops: float | None
    wins: dict[str, int] = field(default_factory=dict)
    ties: dict[str, int] = field(default_factory=dict)
    losses: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class MeanReport:
    """Means over collections, each of which counts alike.

    Attributes:
        n_collections: how many.
        systems: those that were measured on all of them.
        left_out: the names of the others.
    """

    n_collections: int
    systems: list[SystemMean]
    left_out: list[str]
    baseline: str = ""

    @property
    def metrics(self) -> list[str]:
        return list(self.systems[0].metrics) if self.systems else []


def mean_report(reports: Sequence[CollectionReport]) -> MeanReport:
    """Means over at least one collection."""
    by_name = [{result.name: result for result in report.results} for report in reports]
    everywhere = [name for name in by_name[0] if all(name in named for named in by_name)]
    names = dict.fromkeys(name for named in by_name for name in named)
    metrics = [m for m in reports[0].metrics if all(m in report.metrics for report in reports)]
    baseline = reports[0].baseline if reports[0].baseline in everywhere else ""
    base = [named[baseline] for named in by_name] if baseline else []
    systems = [
        _mean(name, [named[name] for named in by_name], base, metrics) for name in everywhere
    ]
    left_out = [name for name in names if name not in everywhere]
    return MeanReport(len(reports), systems, left_out, baseline)


def _mean(
    name: str, results: list[SystemResult], base: list[SystemResult], metrics: list[str]
) -> SystemMean:
    counts: dict[str, tuple[int, int, int]] = {}
    if base and base[0].name != name:
        for metric in metrics:
            pairs = zip(results, base, strict=True)
            differences = [r.metrics[metric] - b.metrics[metric] for r, b in pairs]
            wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
            counts[metric] = (wins, len(differences) - wins - losses, losses)
    return SystemMean(
        name,
        {metric: float(np.mean([r.metrics[metric] for r in results])) for metric in metrics},
        _mean_or_none([result.terms for result in results]),
        _mean_or_none([result.flops for result in results]),
        *({metric: count[place] for metric, count in counts.items()} for place in range(3)),
    )


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def as_json(reports: Sequence[CollectionReport]) -> dict[str, Any]:
    """Everything but the runs, which are saved as TREC files."""
    told: dict[str, Any] = {
        "collections": [
            {
                "dataset": report.dataset,
                "split": report.split,
                "n_documents": report.n_documents,
                "n_queries": report.n_queries,
                "depth": report.depth,
                "baseline": report.baseline,
                "systems": [_system(result) for result in report.results],
                "unavailable": report.unavailable,
                "warnings": report.warnings,
                "notes": report.notes,
            }
            for report in reports
        ]
    }
    if len(reports) > 1:
        told["mean"] = asdict(mean_report(reports))
    return told


def _system(result: SystemResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "metrics": result.metrics,
        "terms": result.terms,
        "flops": result.flops,
        "median_ms": result.median_ms,
        "p95_ms": result.p95_ms,
        "size_bytes": result.size_bytes,
        "stage_ms": result.stage_ms,
        "against_baseline": {
            metric: asdict(comparison) for metric, comparison in result.against_baseline.items()
        },
        "by_query": result.by_query,
    }
