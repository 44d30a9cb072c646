"""Tables of figures, as headers and lines of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lsr.evaluation.comparison import Family, Test
from lsr.evaluation.evaluate import SystemResult
from lsr.evaluation.report import CollectionReport, MeanReport, SystemMean

__all__ = [
    "Table",
    "comparison_table",
    "mean_table",
    "p_text",
    "report_comparisons",
    "stage_table",
    "table",
]

Table = tuple[list[str], list[list[str]]]
"""A header, and lines of as many cells."""


def table(report: CollectionReport) -> Table:
    """One collection. `*` marks a difference from the baseline with p < 0.05 after Holm."""
    costs = _cost_names(report.results)
    header = ["system", *report.metrics, *costs, "median ms", "p95 ms", "index MB"]
    lines = [
        [
            result.name,
            *(_value(result, metric) for metric in report.metrics),
            *_costs(result, costs),
            _milliseconds(result.median_ms),
            _milliseconds(result.p95_ms),
            "" if result.size_bytes is None else f"{result.size_bytes / 1e6:.1f}",
        ]
        for result in report.results
    ]
    return header, lines


def mean_table(mean: MeanReport) -> Table:
    """Means over collections, and on how many each system beats the baseline, by first measure."""
    costs = _cost_names(mean.systems)
    against = bool(mean.baseline and mean.metrics)
    header = ["system", *mean.metrics, *costs, *(["wins/ties/losses"] if against else [])]
    lines = [
        [
            system.name,
            *(f"{system.metrics[metric]:.4f}" for metric in mean.metrics),
            *_costs(system, costs),
            *([_counts(system, mean.metrics[0])] if against else []),
        ]
        for system in mean.systems
    ]
    return header, lines


def comparison_table(
    results: Sequence[SystemResult], baseline: str, tests: Mapping[Test, Family]
) -> Table:
    """Differences from the baseline, a line for each other system and measure.

    Args:
        tests: test to comparisons; named in the header where there are several.
    """
    several = len(tests) > 1
    columns = [f"{name}p{end}" for test in tests
               for name in [f"{test} " if several else ""] for end in ("", " (Holm)")]  # fmt: skip
    base = next(result for result in results if result.name == baseline)
    first = next(iter(tests.values()))
    lines = [
        [
            result.name,
            metric,
            f"{result.metrics[metric] - base.metrics[metric]:+.4f}",
            *(
                p_text(p)
                for family in tests.values()
                for each in [family[result.name][metric]]
                for p in (each.p_value, each.p_holm)
            ),
            f"{comparison.wins}/{comparison.ties}/{comparison.losses}",
        ]
        for result in results
        if result.name in first
        for metric, comparison in first[result.name].items()
    ]
    return ["system", "measure", "difference", *columns, "wins/ties/losses"], lines


def report_comparisons(report: CollectionReport) -> Table | None:
    """`comparison_table` of a collection; None where there is no baseline, or nothing beside it."""
    family = {each.name: each.against_baseline for each in report.results if each.against_baseline}
    if not family or report.baseline not in {each.name for each in report.results}:
        return None
    return comparison_table(report.results, report.baseline, {"t-test": family})


def p_text(p_value: float) -> str:
    """A p-value to three digits."""
    return f"{p_value:.3g}"


def stage_table(report: CollectionReport) -> Table:
    """Mean milliseconds by stage, for systems that know theirs."""
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


def _cost_names(results: Sequence[SystemResult | SystemMean]) -> list[str]:
    return ["terms", "FLOPS"] if any(result.terms is not None for result in results) else []


def _costs(result: SystemResult | SystemMean, names: list[str]) -> list[str]:
    """Terms to one digit and FLOPS to two, as papers have them."""
    told = {
        "terms": "" if result.terms is None else f"{result.terms:.1f}",
        "FLOPS": "" if result.flops is None else f"{result.flops:.2f}",
    }
    return [told[name] for name in names]


def _counts(system: SystemMean, metric: str) -> str:
    if metric not in system.wins:
        return ""
    return f"{system.wins[metric]}/{system.ties[metric]}/{system.losses[metric]}"


def _value(result: SystemResult, metric: str) -> str:
    comparison = result.against_baseline.get(metric)
    mark = "*" if comparison is not None and comparison.is_significant else ""
    return f"{result.metrics[metric]:.4f}{mark}"


def _milliseconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"
