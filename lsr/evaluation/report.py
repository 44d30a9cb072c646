"""Evaluation results as a table for the terminal, as Markdown, as JSON, and as a plot."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsr.errors import InputError, StorageError, UnavailableError
from lsr.evaluation.evaluate import SystemResult

__all__ = [
    "CollectionReport",
    "as_json",
    "as_markdown",
    "check_plot",
    "plot",
    "stage_table",
    "table",
]


@dataclass(frozen=True)
class CollectionReport:
    """Figures of one collection.

    Attributes:
        dataset, split: as the user named them.
        n_documents, n_queries: of the collection, and of those judged and asked.
        depth: hits that counted.
        results: one for each system, in the order asked for.
        unavailable: system to the reason why it was left out.
        warnings: sentences about the data, such as judgements of unknown documents.
        notes: sentences about systems, such as how one was tuned.
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

    @property
    def metrics(self) -> list[str]:
        return list(self.results[0].metrics) if self.results else []


def table(report: CollectionReport) -> tuple[list[str], list[list[str]]]:
    """Header and lines. `*` marks a difference from the first system with p < 0.05."""
    header = ["system", *report.metrics, "median ms", "p95 ms", "index MB"]
    lines = [
        [
            result.name,
            *(_value(result, metric) for metric in report.metrics),
            _milliseconds(result.median_ms),
            _milliseconds(result.p95_ms),
            f"{result.size_bytes / 1e6:.1f}",
        ]
        for result in report.results
    ]
    return header, lines


def stage_table(report: CollectionReport) -> tuple[list[str], list[list[str]]]:
    """Header and lines of mean milliseconds by stage, for systems that know theirs."""
    known = [result for result in report.results if result.stage_ms]
    stages = list(dict.fromkeys(stage for result in known for stage in result.stage_ms))
    lines = [
        [
            result.name,
            *(f"{result.stage_ms[s]:.3f}" if s in result.stage_ms else "" for s in stages),
        ]
        for result in known
    ]
    return ["system", *stages], lines


def as_markdown(reports: list[CollectionReport]) -> str:
    """One section per collection, with the paired comparisons below the table."""
    parts: list[str] = ["# Evaluation\n"]
    for report in reports:
        parts.append(
            f"## {report.dataset} ({report.split})\n\n{report.n_documents:,} documents, "
            f"{report.n_queries:,} judged queries, {report.depth:,} hits a query.\n"
        )
        header, lines = table(report)
        parts.append(_markdown_table(header, lines))
        comparisons = [
            [
                result.name,
                metric,
                f"{result.metrics[metric] - report.results[0].metrics[metric]:+.4f}",
                f"{comparison.p_value:.3g}",
                f"{comparison.wins}/{comparison.ties}/{comparison.losses}",
            ]
            for result in report.results
            for metric, comparison in result.against_first.items()
        ]
        if comparisons:
            parts.append(
                f"Against {report.results[0].name}, query by query (paired t-test; `*` above marks "
                "p < 0.05):\n"
            )
            columns = ["system", "measure", "difference", "p", "wins/ties/losses"]
            parts.append(_markdown_table(columns, comparisons))
        if any(result.stage_ms for result in report.results):
            parts.append("Milliseconds a query, mean, by stage:\n")
            parts.append(_markdown_table(*stage_table(report)))
        parts += [f"- {note}\n" for note in report.notes]
        parts += [f"- {name}: not available. {why}\n" for name, why in report.unavailable.items()]
        parts += [f"- Warning: {warning}\n" for warning in report.warnings]
    return "\n".join(parts)


def as_json(reports: list[CollectionReport]) -> dict[str, Any]:
    """Everything but the runs, which are saved as TREC files."""
    return {
        "collections": [
            {
                "dataset": report.dataset,
                "split": report.split,
                "n_documents": report.n_documents,
                "n_queries": report.n_queries,
                "depth": report.depth,
                "systems": [_system(result) for result in report.results],
                "unavailable": report.unavailable,
                "warnings": report.warnings,
                "notes": report.notes,
            }
            for report in reports
        ]
    }


def check_plot(path: Path) -> None:
    """Refuse a plot that cannot be drawn.

    Raises:
        UnavailableError: matplotlib is not installed.
        InputError: the suffix says no format that there is.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        raise UnavailableError(
            "the plot needs matplotlib, which is not installed; run: pip install 'lsr-search[eval]'"
        ) from error
    formats = FigureCanvasAgg.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in formats:
        raise InputError(
            f"{path}: a plot can be {', '.join(sorted(formats))}; choose such a suffix"
        )


def plot(reports: list[CollectionReport], path: Path) -> None:
    """Draw the first measure against the median time of a query, a panel for each collection.

    Args:
        path: its suffix says the format, such as `.svg` or `.png`.

    Raises:
        UnavailableError, InputError: as `check_plot`.
        StorageError: the file cannot be written.
    """
    check_plot(path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4 * len(reports), 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    for place, report in enumerate(reports, start=1):
        axes = figure.add_subplot(1, len(reports), place)
        metric = report.metrics[0]
        for result in report.results:
            axes.scatter(result.median_ms, result.metrics[metric], s=36)
            axes.annotate(
                result.name,
                (result.median_ms, result.metrics[metric]),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=9,
            )
        axes.set_xscale("log")
        axes.set_xlabel("median milliseconds a query")
        axes.set_ylabel(metric)
        axes.set_title(f"{report.dataset} ({report.split}), {report.n_queries:,} queries")
        axes.grid(visible=True, which="both", alpha=0.25)
        axes.margins(0.15)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror})") from error


def _system(result: SystemResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "metrics": result.metrics,
        "median_ms": result.median_ms,
        "p95_ms": result.p95_ms,
        "size_bytes": result.size_bytes,
        "stage_ms": result.stage_ms,
        "against_first": {
            metric: {
                "p_value": comparison.p_value,
                "wins": comparison.wins,
                "ties": comparison.ties,
                "losses": comparison.losses,
            }
            for metric, comparison in result.against_first.items()
        },
        "by_query": result.by_query,
    }


def _value(result: SystemResult, metric: str) -> str:
    comparison = result.against_first.get(metric)
    mark = "*" if comparison is not None and comparison.p_value < 0.05 else ""
    return f"{result.metrics[metric]:.4f}{mark}"


def _milliseconds(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _markdown_table(header: list[str], lines: list[list[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
