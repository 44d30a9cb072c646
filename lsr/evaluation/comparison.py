"""Systems beside a baseline, query by query: wins, paired tests, and Holm's correction of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIGNIFICANT", "Comparison", "against", "compare", "holm"]

SIGNIFICANT = 0.05
"""Corrected p below which a difference is marked."""

ByQuery = Mapping[str, Mapping[str, float]]
"""Measure to query_id to value."""


@dataclass(frozen=True)
class Comparison:
    """A system against another one, query by query, on one measure.

    Attributes:
        p_value: of a paired two-sided t-test; 1 when no query differs, or there is only one.
        wins, ties, losses: queries on which it is better, equal, worse.
        p_holm: `p_value` corrected for the other systems compared with the same one (Holm 1979).
    """

    p_value: float
    wins: int
    ties: int
    losses: int
    p_holm: float

    @property
    def is_significant(self) -> bool:
        return self.p_holm < SIGNIFICANT


def compare(these: NDArray[np.float64], others: NDArray[np.float64]) -> Comparison:
    """Values of two systems on the same queries, shape (n_queries,), at least one."""
    from scipy.stats import ttest_rel

    difference = these - others
    if len(difference) > 1 and np.any(difference != difference[0]):
        p_value = float(ttest_rel(these, others).pvalue)
    else:
        p_value = 0.0 if len(difference) > 1 and difference[0] != 0 else 1.0
    return Comparison(
        p_value=p_value,
        wins=int(np.sum(difference > 0)),
        ties=int(np.sum(difference == 0)),
        losses=int(np.sum(difference < 0)),
        p_holm=p_value,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of one family, corrected by Holm's step-down method (Holm 1979), at most 1.

    The smallest is multiplied by their number, the next by one less, and so on; none becomes
    smaller than one that was smaller before.
    """
    corrected = [1.0] * len(p_values)
    highest = 0.0
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def against(systems: Mapping[str, ByQuery], baseline: str) -> dict[str, dict[str, Comparison]]:
    """Comparisons by system and measure of all systems but the baseline with it.

    All systems on one measure are a family for Holm's correction.

    Args:
        systems: name to values, all on the same measures and queries.
    """
    first = systems[baseline]
    others = {name: values for name, values in systems.items() if name != baseline}
    found: dict[str, dict[str, Comparison]] = {name: {} for name in others}
    for metric, expected in first.items():
        order = sorted(expected)
        base = np.array([expected[query_id] for query_id in order])
        family = [
            compare(np.array([values[metric][query_id] for query_id in order]), base)
            for values in others.values()
        ]
        corrected = holm([comparison.p_value for comparison in family])
        for name, comparison, p_holm in zip(others, family, corrected, strict=True):
            found[name][metric] = replace(comparison, p_holm=p_holm)
    return found
