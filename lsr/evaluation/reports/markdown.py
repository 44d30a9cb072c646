"""A report in Markdown, with every comparison."""

from __future__ import annotations

from collections.abc import Sequence

from lsr.evaluation.report import CollectionReport, mean_report
from lsr.evaluation.reports.single_table import markdown_table
from lsr.evaluation.reports.tables import mean_table, report_comparisons, stage_table, table

__all__ = ["as_markdown"]


def as_markdown(reports: Sequence[CollectionReport]) -> str:
    """One section per collection, with the paired comparisons below the table; then the means."""
    parts: list[str] = ["# Evaluation\n"]
    for report in reports:
        parts.append(
            f"## {report.title}\n\n{report.n_documents:,} documents, "
            f"{report.n_queries:,} judged queries, {report.depth:,} hits a query.\n"
        )
        parts.append(markdown_table(*table(report)))
        parts += _comparisons(report)
        if any(result.stage_ms for result in report.results):
            parts.append("Milliseconds a query, mean, by stage:\n")
            parts.append(markdown_table(*stage_table(report)))
        parts += [f"- {note}\n" for note in report.notes]
        parts += [f"- {name}: not available. {why}\n" for name, why in report.unavailable.items()]
        parts += [f"- Warning: {warning}\n" for warning in report.warnings]
    if len(reports) > 1:
        mean = mean_report(reports)
        parts.append(f"## Mean of {mean.n_collections} collections\n")
        parts.append(markdown_table(*mean_table(mean)))
        parts += [f"- {name}: not measured on every collection.\n" for name in mean.left_out]
    return "\n".join(parts)


def _comparisons(report: CollectionReport) -> list[str]:
    compared = report_comparisons(report)
    if compared is None:
        return []
    return [
        f"Against {report.baseline}, query by query (paired t-test, corrected for the number of "
        "systems by Holm's method; `*` above marks a corrected p < 0.05):\n",
        markdown_table(*compared),
    ]
