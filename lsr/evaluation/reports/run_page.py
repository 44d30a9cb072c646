"""A comparison of runs as one HTML file, which loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from lsr.evaluation.compare.run_comparison import RunComparison
from lsr.evaluation.reports.run_tables import (
    against_title,
    difference_table,
    queries_table,
    queries_title,
    runs_table,
)

__all__ = ["runs_as_html"]

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 2rem; }
th, td { padding: .25rem .75rem; text-align: right; border-bottom: 1px solid #8886; }
th:first-child, td:first-child, .text { text-align: left; }
.text { overflow-wrap: anywhere; }
figure { margin: 0 0 1.5rem; }
svg { width: 100%; height: 10rem; border: 1px solid #8886; }
.up { fill: #2a7f62; } .down { fill: #b5482f; } line { stroke: #888; }
"""
_WIDTH, _HEIGHT = 1000.0, 160.0


def runs_as_html(comparison: RunComparison, most: int) -> str:
    """All tables, the differences query by query as bars, and what did not count.

    Args:
        most: queries that are listed.
    """
    title = escape(f"Comparison on {comparison.title}")
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>",
        f"<p>{comparison.n_queries:,} judged queries.</p>",
        _table("measures", *runs_table(comparison)),
    ]
    if comparison.tests:
        parts.append(_table(against_title(comparison), *difference_table(comparison)))
        header, lines = queries_table(comparison, most)
        if lines:
            parts.append(_table(queries_title(comparison), header, lines))
    parts.append(_bars(comparison, comparison.sorted_changes()))
    if comparison.notes:
        notes = "".join(f"<li>{escape(note)}</li>\n" for note in comparison.notes)
        parts.append(f"{_heading('notes')}<ul>\n{notes}</ul>")
    return "\n".join([*parts, "</body>\n</html>\n"])


def _heading(title: str) -> str:
    return f"<h2>{escape(title[0].upper() + title[1:])}</h2>\n"


def _table(title: str, header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        kinds = [' class="text"' if name == "text" else "" for name in header]
        pairs = zip(cells, kinds, strict=True)
        return f"<tr>{''.join(f'<{tag}{kind}>{escape(cell)}</{tag}>' for cell, kind in pairs)}</tr>"

    body = "\n".join(row(line, "td") for line in lines)
    return (
        f"{_heading(title)}<table>\n<thead>{row(header, 'th')}</thead>\n"
        f"<tbody>\n{body}\n</tbody>\n</table>"
    )


def _bars(comparison: RunComparison, changes: Mapping[str, Sequence[float]]) -> str:
    """A picture for each run: a bar for each query, above or below the line of the baseline."""
    metric = comparison.metrics[0]
    only = len(comparison.results) == 1
    what = f"{metric} by query" if only else f"{metric} by query, less {comparison.baseline}"
    largest = max((abs(value) for values in changes.values() for value in values), default=0) or 1
    figures = []
    for name, values in changes.items():
        width = _WIDTH / len(values)
        bars = "".join(
            f'<rect class="{"up" if value > 0 else "down"}" x="{place * width:.2f}" '
            f'y="{_HEIGHT / 2 - max(value, 0) / largest * _HEIGHT / 2:.2f}" '
            f'width="{width:.2f}" height="{abs(value) / largest * _HEIGHT / 2:.2f}"/>'
            for place, value in enumerate(values)
            if value
        )
        label = escape(f"{name}: {what}, {len(values):,} queries sorted, at most {largest:.4f}")
        figures.append(
            f"<figure>\n<figcaption>{label}</figcaption>\n"
            f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" preserveAspectRatio="none" '
            f'role="img" aria-label="{label}">{bars}'
            f'<line x1="0" x2="{_WIDTH:.0f}" y1="{_HEIGHT / 2}" y2="{_HEIGHT / 2}"/></svg>\n'
            "</figure>"
        )
    return _heading("query by query") + "\n".join(figures)
