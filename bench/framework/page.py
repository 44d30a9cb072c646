"""The page: circumstances, methods, pairs and findings, as Markdown and as values for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.framework.budget import Budget
from bench.framework.findings import Effect, effects, findings
from bench.framework.measurement import SetFigures, mean_of

__all__ = ["Row", "as_json", "as_markdown"]


@dataclass(frozen=True)
class Row:
    """A system on the page.

    Attributes:
        figures: by collection; empty where it failed.
        minutes: of training; None where nothing is trained.
        failure: why there are no figures; empty where there are.
        query, document, loss: what its parts are, for people.
    """

    name: str
    figures: dict[str, SetFigures]
    minutes: float | None = None
    failure: str = ""
    query: str = ""
    document: str = ""
    loss: str = ""
    tables: str = ""


def as_markdown(
    about: Mapping[str, Any],
    budget: Budget,
    sets: Mapping[str, str],
    rows: Sequence[Row],
    notes: Sequence[str],
) -> str:
    """The page.

    Args:
        sets: collections, and how large each is, in words.
        rows: in their order.
        notes: sentences on data and methods.
    """
    found = effects(_ndcg(rows))
    layers = "" if budget.layers is None else f", its first {budget.layers} layers"
    rate = "the presets' learning rates" if budget.lr is None else f"learning rate {budget.lr:g}"
    lines = [
        "# The framework of Nguyen et al. (2023), under one budget",
        "",
        f"Measured {about['date']} at {about['commit']} on {about['machine']}; load average at the "
        f"start {about['load']}.",
        "",
        f"Base {budget.base}{layers}; {budget.steps:,} steps of {budget.queries} queries with "
        f"{budget.candidates} documents each, {rate}, {budget.document_tokens} tokens of a "
        f"document; teachers, where a method has any: {', '.join(budget.teachers)}. "
        f"{'; '.join(f'{name}: {size}' for name, size in sets.items())}. Milliseconds are of one "
        "query from text to ranked ids, the median.",
        "",
        *_methods(list(sets), rows),
        "",
        *_pairs(found),
        "",
        *_findings(found),
    ]
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def as_json(
    about: Mapping[str, Any],
    budget: Budget,
    sets: Mapping[str, str],
    rows: Sequence[Row],
    notes: Sequence[str],
) -> dict[str, Any]:
    """The same as values."""
    found = effects(_ndcg(rows))
    return {
        **about,
        "budget": budget.as_dict(),
        "collections": dict(sets),
        "methods": [
            {
                **{name: value for name, value in vars(row).items() if name != "figures"},
                "figures": {name: each.as_dict() for name, each in row.figures.items()},
                "mean": mean_of(list(row.figures.values())) if row.figures else None,
            }
            for row in rows
        ],
        "pairs": [{**vars(each.pair), "difference": each.difference} for each in found],
        "findings": [vars(each) for each in findings(found)],
        "notes": list(notes),
    }


def _ndcg(rows: Sequence[Row]) -> dict[str, float]:
    means = {row.name: mean_of(list(row.figures.values())) for row in rows if row.figures}
    return {name: mean["ndcg"] for name, mean in means.items() if mean["ndcg"] is not None}


def _methods(sets: list[str], rows: Sequence[Row]) -> list[str]:
    each = " | ".join(f"{name} nDCG@10 | {name} MRR@10" for name in sets)
    header = (
        f"| method | table | query | document | loss | {each} | nDCG@10 | MRR@10 | query terms "
        "| document terms | FLOPS | ms | ÷ BM25's | minutes |"
    )
    lines = [header, "|---" * (header.count("|") - 1) + "|"]
    failed = []
    for row in rows:
        said = f"| {row.name} | {row.tables} | {row.query} | {row.document} | {row.loss} |"
        if row.failure:
            failed.append(f"- {row.name}: {row.failure}")
            lines.append(f"{said} not measured, see below |{' |' * (2 * len(sets) + 7)}")
            continue
        mean = mean_of(list(row.figures.values()))
        cells = [
            *(_short(v) for name in sets for v in (row.figures[name].ndcg, row.figures[name].mrr)),
            _short(mean["ndcg"]),
            _short(mean["mrr"]),
            _number(mean["query_terms"], 1),
            _number(mean["document_terms"], 0),
            _number(mean["flops"], 2),
            _number(mean["ms"], 2),
            _number(mean["ratio"], 2),
            _number(row.minutes, 1),
        ]
        lines.append(f"{said} {' | '.join(cells)} |")
    return [*lines, *([""] if failed else []), *failed]


def _pairs(found: Sequence[Effect]) -> list[str]:
    lines = [
        "| component | row | before | after | nDCG@10, after less before |",
        "|---|---|---|---|---|",
    ]
    for each in found:
        pair = each.pair
        lines.append(
            f"| {pair.component} | {pair.row} | {pair.before} | {pair.after} "
            f"| {_signed(each.difference)} |"
        )
    return lines


def _findings(found: Sequence[Effect]) -> list[str]:
    lines = ["| finding | holds | from |", "|---|---|---|"]
    for each in findings(found):
        holds = "not measured" if each.holds is None else "yes" if each.holds else "**no**"
        values = ", ".join(f"{name} {_signed(value)}" for name, value in each.differences.items())
        lines.append(f"| {each.statement} | {holds} | {values} |")
    return lines


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _signed(value: float | None) -> str:
    return "not measured" if value is None else f"{value:+.4f}"
