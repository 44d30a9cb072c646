"""Plots: relevance against time, and runs against a baseline query by query."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lsr.errors import InputError, StorageError, UnavailableError
from lsr.evaluation.compare.run_comparison import RunComparison
from lsr.evaluation.report import CollectionReport

__all__ = ["check_plot", "plot", "plot_differences"]


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
    figure = _figure(len(reports))
    for place, report in enumerate(reports, start=1):
        axes = figure.add_subplot(1, len(reports), place)
        metric = report.metrics[0]
        for result in report.results:
            if result.median_ms is None:  # a given run has no times
                continue
            axes.scatter(result.median_ms, result.metrics[metric], s=36)
            axes.annotate(
                result.name,
                (result.median_ms, result.metrics[metric]),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=9,
                parse_math=False,
            )
        axes.set_xscale("log")
        axes.set_xlabel("median milliseconds a query")
        axes.set_ylabel(metric)
        axes.set_title(f"{report.title}, {report.n_queries:,} queries", parse_math=False)
        axes.grid(visible=True, which="both", alpha=0.25)
        axes.margins(0.15)
    _save(figure, path)


def plot_differences(comparison: RunComparison, path: Path) -> None:
    """Draw the first measure's differences from the baseline, sorted, a panel for each other run.

    One run alone is drawn by its values.

    Args:
        path: its suffix says the format, such as `.svg` or `.png`.

    Raises:
        UnavailableError, InputError: as `check_plot`.
        StorageError: the file cannot be written.
    """
    check_plot(path)
    panels = comparison.sorted_changes()
    figure = _figure(len(panels))
    first = None
    for place, (name, values) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(1, len(panels), place, sharey=first)
        first = axes if first is None else first
        axes.bar(range(len(values)), values, width=1.0)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xlabel(f"{len(values):,} queries, sorted")
        only = len(comparison.results) == 1
        against = "" if only else f", difference from {comparison.baseline}"
        axes.set_ylabel(f"{comparison.metrics[0]}{against}", parse_math=False)
        axes.set_title(f"{name} on {comparison.title}", parse_math=False)
        axes.grid(visible=True, axis="y", alpha=0.25)
    _save(figure, path)


def _figure(n_panels: int) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4 * n_panels, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror})") from error
