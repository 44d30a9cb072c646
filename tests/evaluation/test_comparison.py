"""Holm's correction beside hand arithmetic and its step-down rule, and families of comparisons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.evaluation.comparison import against, compare, holm

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_holm_by_hand() -> None:
    assert holm([]) == []
    assert holm([0.03]) == [0.03]
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6, 0.01]) == pytest.approx([1.0, 1.0, 0.03])


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
