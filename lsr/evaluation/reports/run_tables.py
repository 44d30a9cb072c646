"""Tables of a comparison of runs: of measures, of differences, of queries; in all formats."""

from __future__ import annotations

from typing import Any

from lsr.evaluation.compare.run_comparison import RunComparison
from lsr.evaluation.reports.single_table import csv_counts, csv_text, laid_out, markdown_table
from lsr.evaluation.reports.tables import Table, comparison_table, p_text

__all__ = [
    "against_title",
    "difference_table",
    "queries_table",
    "queries_title",
    "runs_as_markdown",
    "runs_in_one_table",
    "runs_table",
]


def runs_table(comparison: RunComparison) -> Table:
    """A line for each run: its means."""
    header = ["run", *comparison.metrics]
    return header, [
        [result.name, *(f"{value:.4f}" for value in result.metrics.values())]
        for result in comparison.results
    ]


def difference_table(comparison: RunComparison) -> Table:
    """A line for each other run and measure; call it only where there are tests."""
    header, lines = comparison_table(comparison.results, comparison.baseline, comparison.tests)
    return ["run", *header[1:]], lines


def against_title(comparison: RunComparison) -> str:
    """A title for `difference_table`."""
    tests = " and ".join(f"paired {test}" for test in comparison.tests)
    return f"against {comparison.baseline} by query: {tests}, corrected by Holm"


def queries_table(comparison: RunComparison, most: int) -> Table:
    """The queries that differ most by the first measure, with their texts where any is known."""
    names = [result.name for result in comparison.results]
    found = comparison.differing(most)
    known = any(difference.text for difference in found)
    header = ["query", *names, "change", *(["text"] if known else [])]
    return header, [
        [
            difference.query_id,
            *(f"{difference.values[name]:.4f}" for name in names),
            f"{difference.change:+.4f}",
            *([" ".join(difference.text.split())] if known else []),
        ]
        for difference in found
    ]


def queries_title(comparison: RunComparison) -> str:
    """A title for `queries_table`."""
    return f"queries that differ most from {comparison.baseline} by {comparison.metrics[0]}"


def runs_in_one_table(comparison: RunComparison, format_name: str) -> str:
    """A line for each run: means, and the first measure's comparison; the CSV has all in full.

    Args:
        format_name: markdown, latex or csv.
    """
    if format_name == "csv":
        return csv_text(_csv_rows(comparison))
    first = comparison.metrics[0]
    header, lines = runs_table(comparison)
    several = len(comparison.tests) > 1
    for place, (test, family) in enumerate(comparison.tests.items()):
        header = [
            *header,
            *(["wins/ties/losses"] if not place else []),
            f"{test} p (Holm)" if several else "p (Holm)",
        ]
        for line, result in zip(lines, comparison.results, strict=True):
            each = family.get(result.name, {}).get(first)
            counts = "" if each is None else f"{each.wins}/{each.ties}/{each.losses}"
            line += [counts] if not place else []
            line.append("" if each is None else p_text(each.p_holm))
    return laid_out(header, [lines], format_name)


def _csv_rows(comparison: RunComparison) -> list[dict[str, Any]]:
    rows = []
    for result in comparison.results:
        row: dict[str, Any] = {
            "judgements": comparison.title,
            "run": result.name,
            "queries": comparison.n_queries,
            **result.metrics,
        }
        for test, family in comparison.tests.items():
            for metric, each in family.get(result.name, {}).items():
                row |= csv_counts(metric, each)
                row[f"{metric} {test} p"] = each.p_value
                row[f"{metric} {test} p_holm"] = each.p_holm
        rows.append(row)
    return rows


def runs_as_markdown(comparison: RunComparison, most: int) -> str:
    """All tables, and what did not count.

    Args:
        most: queries that are listed.
    """
    parts = [
        f"# Comparison on {comparison.title}\n\n{comparison.n_queries:,} judged queries.\n",
        markdown_table(*runs_table(comparison)),
    ]
    if comparison.tests:
        parts += [
            _sentence(against_title(comparison)),
            markdown_table(*difference_table(comparison)),
        ]
        header, lines = queries_table(comparison, most)
        if lines:
            parts += [_sentence(queries_title(comparison)), markdown_table(header, lines)]
    parts += [f"- {note}\n" for note in comparison.notes]
    return "\n".join(parts)


def _sentence(title: str) -> str:
    return f"{title[0].upper()}{title[1:]}:\n"
