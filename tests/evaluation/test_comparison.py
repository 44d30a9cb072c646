"""Tests beside SciPy's, Holm's correction beside hand arithmetic and its step-down rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test, ttest_rel

from lsr.evaluation.comparison import RESAMPLES, against, compare, holm

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_holm_by_hand() -> None:
    assert holm([]) == []
    assert holm([0.03]) == [0.03]
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6, 0.01]) == pytest.approx([1.0, 1.0, 0.03])
    # 4 * 0.005, 3 * 0.01, 2 * 0.03, 1 * 0.04 made no smaller than the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(P_VALUES)
def test_holm_rejects_step_by_step(p_values: list[float]) -> None:
    """A corrected p of at most alpha means that the step-down procedure rejects at alpha."""
    corrected = holm(p_values)
    assert all(p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    alpha = 0.05
    rejected: set[int] = set()
    for rank, place in enumerate(np.argsort(p_values, kind="stable").tolist()):
        if p_values[place] * (len(p_values) - rank) > alpha:
            break
        rejected.add(place)
    assert {place for place, c in enumerate(corrected) if c <= alpha} == rejected


def test_a_measure_is_a_family() -> None:
    rng = np.random.default_rng(3)
    base = rng.random(40)
    values = {"base": base, "up": base + rng.normal(0.05, 0.1, 40), "noise": rng.random(40)}
    systems = {
        name: {"m": {f"q{i}": float(v) for i, v in enumerate(each)}, "same": {"q": 1.0}}
        for name, each in values.items()
    }
    found = against(systems, "base")
    assert list(found) == ["up", "noise"]
    alone = {name: compare(values[name], base) for name in found}
    expected = holm([alone["up"].p_value, alone["noise"].p_value])
    assert [found[name]["m"].p_holm for name in found] == pytest.approx(expected)
    assert found["up"]["m"].wins == alone["up"].wins == int((values["up"] > base).sum())
    assert found["up"]["same"].ties == 1
    assert found["up"]["same"].p_holm == 1.0
    assert set(against(systems, "up")) == {"base", "noise"}


def test_the_t_test_is_scipys() -> None:
    rng = np.random.default_rng(4)
    these, others = rng.random((2, 30))
    others[:9] = these[:9]
    found = compare(these, others)
    assert found.p_value == ttest_rel(these, others).pvalue
    assert found.ties == 9
    assert found.wins + found.losses == 21
    flat = np.full(30, 0.25)
    assert compare(flat + 0.5, flat).p_value == 0
    assert compare(flat, flat).p_value == 1
    # equal but for rounding: no warning of SciPy's comes through
    assert compare(flat + 0.1 + np.arange(30) * 1e-17, flat - np.arange(30) * 1e-17).p_value < 1e-9


@pytest.mark.parametrize("n_queries", [1, 2, 13, 60])
def test_the_randomization_test_is_scipys(n_queries: int) -> None:
    """Exact where all exchanges can be made, and within chance otherwise."""
    rng = np.random.default_rng(n_queries)
    others = rng.integers(0, 5, n_queries) / 4
    these = np.concatenate([others + rng.integers(-1, 3, n_queries) / 4, [0.5]])
    others = np.append(others, 0.5)
    theirs = permutation_test(
        (these - others,), np.mean, permutation_type="samples", n_resamples=20_000,
        vectorized=True, axis=0,
    )  # fmt: skip
    found = compare(these, others, "randomization")
    chance = 0 if 2 ** np.sum(these != others) <= RESAMPLES else 0.02
    assert found.p_value == pytest.approx(theirs.pvalue, abs=1e-9 + chance)
    assert compare(these, others, "randomization") == found
    assert compare(others, others, "randomization").p_value == 1


def test_the_randomization_test_by_hand() -> None:
    """Three gains of one size: of eight exchanges two are as extreme."""
    gain, none = np.array([0.1, 0.1, 0.1, 0.0]), np.zeros(4)
    assert compare(gain, none, "randomization").p_value == 0.25
    assert (
        against({"a": {"m": {"q": 1.0}}, "b": {"m": {"q": 0.0}}}, "a", "randomization")["b"][
            "m"
        ].p_value
        == 1
    )
