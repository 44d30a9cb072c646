"""Relevance against time, as a plot."""

from __future__ import annotations

from pathlib import Path

from lsr.errors import InputError, StorageError, UnavailableError
from lsr.evaluation.report import CollectionReport

__all__ = ["check_plot", "plot"]


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
            if result.median_ms is None:  # a given run has no times
                continue
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
        axes.set_title(f"{report.title}, {report.n_queries:,} queries")
        axes.grid(visible=True, which="both", alpha=0.25)
        axes.margins(0.15)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror})") from error
