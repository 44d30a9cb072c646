"""Systems beside a baseline, query by query: wins, paired tests, and Holm's correction of them.

There are two tests, both two-sided. Student's paired t-test; and the randomization test of Fisher
and Pitman, which asks how often a difference of means as large comes about when the two systems'
values of each query are exchanged by chance (Smucker, Allan and Carterette 2007).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "RESAMPLES",
    "SIGNIFICANT",
    "TESTS",
    "Comparison",
    "Family",
    "Test",
    "against",
    "compare",
    "holm",
]

SIGNIFICANT = 0.05
"""Corrected p below which a difference is marked."""

RESAMPLES = 10_000
"""Exchanges by chance of the randomization test; where there are fewer in all, all are made."""

Test = Literal["t-test", "randomization"]
TESTS: tuple[Test, ...] = ("t-test", "randomization")

ByQuery = Mapping[str, Mapping[str, float]]
"""Measure to query_id to value."""


@dataclass(frozen=True)
class Comparison:
    """A system against another one, query by query, on one measure.

    Attributes:
        p_value: of a paired two-sided test; 1 when no query differs, or there is only one.
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


Family = dict[str, dict[str, Comparison]]
"""System to measure to comparison, corrected together, all with one baseline by one test."""


def compare(
    these: NDArray[np.float64], others: NDArray[np.float64], test: Test = "t-test"
) -> Comparison:
    """Values of two systems on the same queries, shape (n_queries,), at least one."""
    difference = these - others
    p_value = _t_test(these, others) if test == "t-test" else _randomization(difference)
    return Comparison(
        p_value=p_value,
        wins=int(np.sum(difference > 0)),
        ties=int(np.sum(difference == 0)),
        losses=int(np.sum(difference < 0)),
        p_holm=p_value,
    )


def _t_test(these: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    from scipy.stats import ttest_rel

    difference = these - others
    if len(difference) > 1 and np.any(difference != difference[0]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # differences equal but for rounding
            return float(ttest_rel(these, others).pvalue)
    return 0.0 if len(difference) > 1 and difference[0] != 0 else 1.0


def _randomization(difference: NDArray[np.float64]) -> float:
    """Share of the exchanges with a sum of differences as large, the given one among them."""
    moved = difference[difference != 0]
    if not len(moved):
        return 1.0
    # sums of the same numbers in another order differ in their last bits
    least = abs(moved.sum()) - 1e-12 * np.abs(moved).sum()
    if 2 ** len(moved) <= RESAMPLES:
        exchanged = np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved)) & 1
        return float(np.mean(np.abs((1 - 2 * exchanged) @ moved) >= least))
    random = np.random.default_rng(0)
    as_large = 1
    for begin in range(0, RESAMPLES, 500):
        n = min(500, RESAMPLES - begin)
        signs = 1.0 - 2.0 * random.integers(0, 2, (n, len(moved)), np.int8)
        as_large += int(np.sum(np.abs(signs @ moved) >= least))
    return as_large / (RESAMPLES + 1)


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


def against(systems: Mapping[str, ByQuery], baseline: str, test: Test = "t-test") -> Family:
    """Comparisons by system and measure of all systems but the baseline with it.

    All systems on one measure are a family for Holm's correction.

    Args:
        systems: name to values, all on the same measures and queries.
    """
    first = systems[baseline]
    others = {name: values for name, values in systems.items() if name != baseline}
    found: Family = {name: {} for name in others}
    for metric, expected in first.items():
        order = sorted(expected)
        base = np.array([expected[query_id] for query_id in order])
        family = [
            compare(np.array([values[metric][query_id] for query_id in order]), base, test)
            for values in others.values()
        ]
        corrected = holm([comparison.p_value for comparison in family])
        for name, comparison, p_holm in zip(others, family, corrected, strict=True):
            found[name][metric] = replace(comparison, p_holm=p_holm)
    return found
