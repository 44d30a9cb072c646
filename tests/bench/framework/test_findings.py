"""The paper's findings from made-up figures: signs are computed, and never assumed."""

from __future__ import annotations

import pytest

from bench.framework.findings import effects, findings
from bench.framework.methods import COMPONENTS, METHODS, PAIRS

AS_IN_THE_PAPER = {
    "mlm-binary": 0.10,
    "mlm-mlp": 0.35,
    "unicoil-binary-tilde": 0.15,
    "unicoil-tilde-distil": 0.35,
    "tildev2-distil": 0.34,
    "epic-binary-query": 0.30,
    "epic-distil": 0.31,
    "splade-doc": 0.36,
    "splade-qmlp": 0.37,
    "unicoil-distil": 0.30,
    "distil-splade-sep": 0.36,
    "splade-qmlp-none": 0.37,
    "splade-qmlp-l1": 0.37,
    "splade-qmlp-top-k": 0.37,
}


def test_pairs_are_of_methods_there_are() -> None:
    assert {pair.component for pair in PAIRS} == set(COMPONENTS)
    assert {name for pair in PAIRS for name in (pair.before, pair.after)} == set(AS_IN_THE_PAPER)
    assert set(AS_IN_THE_PAPER) <= set(METHODS)
    assert len({pair.row for pair in PAIRS}) == len(PAIRS)


def test_signs_as_in_the_paper() -> None:
    most, little, cancel = findings(effects(AS_IN_THE_PAPER))
    assert [most.holds, little.holds, cancel.holds] == [True, True, True]
    assert most.differences == pytest.approx(
        {
            "document weighting": (0.25 + 0.20) / 2,
            "query weighting": 0.01,
            "document expansion": (0.05 + 0.01 + 0.07) / 3,
            "query expansion": (-0.01 + 0.05) / 2,
        }
    )
    assert list(cancel.differences.values()) == pytest.approx([0.05, -0.01])


@pytest.mark.parametrize(
    ("changed", "holds"),
    [
        ({"mlm-binary": 0.4, "unicoil-binary-tilde": 0.4}, [False, True, True]),
        ({"epic-binary-query": -0.3, "tildev2-distil": -0.3}, [False, False, True]),
        ({"unicoil-distil": 0.0}, [False, True, True]),
        ({"distil-splade-sep": 0.5}, [True, True, False]),
        ({"tildev2-distil": 0.9, "epic-binary-query": 0.9}, [True, False, True]),
    ],
)
def test_signs_that_are_not(changed: dict[str, float], holds: list[bool]) -> None:
    found = findings(effects(AS_IN_THE_PAPER | changed))
    assert [each.holds for each in found] == holds


def test_what_was_not_measured_is_not_judged() -> None:
    without = {name: v for name, v in AS_IN_THE_PAPER.items() if name != "epic-distil"}
    found = effects(without)
    assert [each.pair.row for each in found if each.difference is None] == ["2b"]
    most, little, cancel = findings(found)
    assert [most.holds, little.holds, cancel.holds] == [None, None, True]
    assert little.differences["query weighting"] is None
    assert [each.holds for each in findings(effects({}))] == [None, None, None]
