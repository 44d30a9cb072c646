"""The choice of one setting for each condition of a grid, by a collection that is not reported."""

from __future__ import annotations

from collections.abc import Sequence

from lsr.evaluation.report import CollectionReport
from lsr.evaluation.system_names import SystemSpec

__all__ = ["chosen_specs"]


def chosen_specs(
    specs: Sequence[SystemSpec], report: CollectionReport
) -> tuple[list[SystemSpec], list[str]]:
    """Of each condition the best setting by the report's first measure, and sentences on it.

    Systems that are no part of a grid stay. Of equal settings the first counts; where none was
    measured, the first is kept, so that the reason is told again.

    Args:
        report: of the collection that settings are chosen on.
    """
    measure = next(iter(report.metrics), "")
    values = {result.name: result.metrics[measure] for result in report.results}
    groups: dict[str, list[SystemSpec]] = {}
    for spec in specs:
        groups.setdefault(spec.condition or spec.name, []).append(spec)
    kept: list[SystemSpec] = []
    notes: list[str] = []
    for condition, group in groups.items():
        best = max(group, key=lambda spec: values.get(spec.name, float("-inf")))
        kept.append(best)
        if len(group) > 1 and best.name in values:
            notes.append(
                f"{best.name} was chosen for {condition} among {len(group)} settings on "
                f"{report.title} by {measure} ({values[best.name]:.4f} there)"
            )
    return kept, notes
