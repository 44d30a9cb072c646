"""All figures in one table, in Markdown, LaTeX (booktabs) or CSV.

A line is a system on a collection; the last lines are means over the collections. The CSV has every
figure and comparison in full; the other two round, and compare on each collection's first measure.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lsr.evaluation.comparison import Comparison
from lsr.evaluation.evaluate import SystemResult
from lsr.evaluation.report import CollectionReport, MeanReport, SystemMean, mean_report

__all__ = [
    "FORMATS",
    "csv_counts",
    "csv_text",
    "laid_out",
    "markdown_table",
    "single_table",
]

FORMATS = ("markdown", "latex", "csv")
_MEAN = "mean"
_SPECIAL = re.compile(r"[\\&%$#_{}~^]")
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}

Row = list[str]


def single_table(reports: Sequence[CollectionReport], format_name: str) -> str:
    """The reports as one table, ended by a line end.

    Args:
        format_name: one of `FORMATS`.
    """
    mean = mean_report(reports) if len(reports) > 1 else None
    if format_name == "csv":
        return _csv(reports, mean)
    metrics = list(dict.fromkeys(metric for report in reports for metric in report.metrics))
    compares = any(result.against_baseline for report in reports for result in report.results)
    tail = ["terms", "FLOPS", *(["wins/ties/losses", "p (Holm)"] if compares else [])]
    header = ["collection", "system", *metrics, *tail]
    groups = [[_line(report, each, metrics, compares) for each in report.results]
              for report in reports]  # fmt: skip
    if mean is not None:
        groups.append([_mean_line(mean, each, metrics, compares) for each in mean.systems])
    return laid_out(header, groups, format_name, 2)


def laid_out(
    header: Row, groups: Sequence[Sequence[Row]], format_name: str, n_left: int = 1
) -> str:
    """Groups of lines as a table in Markdown, or in LaTeX with a rule between groups.

    Args:
        n_left: columns that are left-aligned in LaTeX.
    """
    if format_name == "latex":
        return _latex(header, groups, n_left)
    return markdown_table(header, [line for group in groups for line in group])


def markdown_table(header: Row, lines: Sequence[Row]) -> str:
    """A table in Markdown."""
    rows = [header, ["---"] * len(header), *lines]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n"
                   for row in rows)  # fmt: skip


def _line(
    report: CollectionReport, result: SystemResult, metrics: list[str], compares: bool
) -> Row:
    values = []
    for metric in metrics:
        comparison = result.against_baseline.get(metric)
        mark = "*" if comparison is not None and comparison.is_significant else ""
        values.append(f"{result.metrics[metric]:.4f}{mark}" if metric in result.metrics else "")
    row = [report.title, result.name, *values, *_costs(result)]
    first = result.against_baseline.get(report.metrics[0])
    if compares and first is not None:
        row += [f"{first.wins}/{first.ties}/{first.losses}", f"{first.p_holm:.3g}"]
    elif compares:
        row += ["", ""]
    return row


def _mean_line(mean: MeanReport, system: SystemMean, metrics: list[str], compares: bool) -> Row:
    values = [
        f"{system.metrics[metric]:.4f}" if metric in system.metrics else "" for metric in metrics
    ]
    row = [f"{_MEAN} of {mean.n_collections}", system.name, *values, *_costs(system)]
    if compares:
        first = mean.metrics[0] if mean.metrics else ""
        counts = (system.wins, system.ties, system.losses)
        row += ["/".join(str(n[first]) for n in counts) if first in system.wins else "", ""]
    return row


def _costs(result: SystemResult | SystemMean) -> Row:
    return [
        "" if result.terms is None else f"{result.terms:.1f}",
        "" if result.flops is None else f"{result.flops:.2f}",
    ]


def _latex(header: Row, groups: Sequence[Sequence[Row]], n_left: int) -> str:
    aligned = "l" * n_left + "r" * (len(header) - n_left)
    lines = [rf"\begin{{tabular}}{{{aligned}}}", r"\toprule"]
    lines.append(_latex_row(header))
    for group in groups:
        lines.append(r"\midrule")
        lines += [_latex_row(row) for row in group]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _latex_row(row: Row) -> str:
    cells = (_SPECIAL.sub(lambda m: _LATEX.get(m[0], "\\" + m[0]), cell) for cell in row)
    return " & ".join(re.sub(r"(?<=\d)\*$", "$^{*}$", cell) for cell in cells) + r" \\"


def _csv(reports: Sequence[CollectionReport], mean: MeanReport | None) -> str:
    rows = [_csv_row(report, result) for report in reports for result in report.results]
    if mean is not None:
        rows += [_csv_mean(system) for system in mean.systems]
    return csv_text(rows)


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of named values as CSV; what a row lacks is empty."""
    stream = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _csv_row(report: CollectionReport, result: SystemResult) -> dict[str, Any]:
    row: dict[str, Any] = {
        "collection": report.dataset,
        "split": report.split,
        "system": result.name,
        "queries": report.n_queries,
        **result.metrics,
        "terms": result.terms,
        "flops": result.flops,
        "median_ms": result.median_ms,
        "p95_ms": result.p95_ms,
        "size_bytes": result.size_bytes,
    }
    for metric, comparison in result.against_baseline.items():
        row |= csv_counts(metric, comparison)
        row[f"{metric} p"] = comparison.p_value
        row[f"{metric} p_holm"] = comparison.p_holm
    return row


def csv_counts(metric: str, comparison: Comparison) -> dict[str, int]:
    """Wins, ties and losses by the names of their columns."""
    return {
        f"{metric} wins": comparison.wins,
        f"{metric} ties": comparison.ties,
        f"{metric} losses": comparison.losses,
    }


def _csv_mean(system: SystemMean) -> dict[str, Any]:
    row: dict[str, Any] = {"collection": _MEAN, "system": system.name, **system.metrics}
    row |= {"terms": system.terms, "flops": system.flops}
    for metric in system.wins:
        row[f"{metric} wins"] = system.wins[metric]
        row[f"{metric} ties"] = system.ties[metric]
        row[f"{metric} losses"] = system.losses[metric]
    return row
