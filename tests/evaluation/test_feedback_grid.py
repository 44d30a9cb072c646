"""Grids of feedback: as typed, as systems with names and plans, and the choice of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsr.errors import InputError
from lsr.evaluation.evaluate import SystemResult
from lsr.evaluation.feedback_grid import FeedbackPoint, feedback_grid, numbers_of
from lsr.evaluation.report import CollectionReport
from lsr.evaluation.system_names import chosen_specs, named_systems
from lsr.evaluation.systems import SystemOptions, check_systems, fusion_window
from lsr.retrieval.plan import plan_from


def test_every_setting_once() -> None:
    points = feedback_grid("1,3,3", "average,rocchio", "0:1:.5", {})
    assert [point.label for point in points] == [
        "average:k1",
        "average:k3",
        "rocchio:k1:a0",
        "rocchio:k1:a0.5",
        "rocchio:k1:a1",
        "rocchio:k3:a0",
        "rocchio:k3:a0.5",
        "rocchio:k3:a1",
    ]
    assert [point.label for point in feedback_grid(None, None, ".4", {})] == ["rocchio:a0.4"]
    assert [point.label for point in feedback_grid("5", None, None, {})] == ["k5"]
    assert feedback_grid(None, None, None, {"window": 9}) == []


def test_a_setting_is_a_plan() -> None:
    plan = plan_from(FeedbackPoint("rocchio", 5, 0.4).fields)
    assert (plan.prf.depth, plan.prf.dense.method) == (5, "rocchio")
    assert (plan.prf.dense.alpha, plan.prf.dense.beta) == (0.4, 0.6)
    assert plan_from(FeedbackPoint("average").fields).prf.dense.method == "average"


def test_numbers() -> None:
    assert numbers_of("0:1:.1", "--x") == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert numbers_of("3:1:-1", "--x") == [3, 2, 1]
    for wrong in ("", "a", "0:1", "0:1:0", "1:0:.1", "0:1:1e-9", "0:1:nan"):
        with pytest.raises(InputError, match="--x is .*; give numbers with commas"):
            numbers_of(wrong, "--x")


@pytest.mark.parametrize(
    ("given", "settings", "sentence"),
    [
        (("0", None, None), {}, "--prf-depth has whole numbers from 1 to 20"),
        (("1.5", None, None), {}, "--prf-depth has whole numbers"),
        ((None, "mean", None), {}, "--prf-method has 'mean'; choose from average, rocchio"),
        ((None, "average", ".5"), {}, "--prf-alpha is of Rocchio"),
        ((None, None, "0,2"), {}, "--prf-alpha is '0,2'; give numbers from 0 to 1"),
        (("3", None, None), {"prf": {"depth": 5}}, "prf.depth is set by --set and by the grid"),
        (
            (None, None, ".5"),
            {"prf": {"dense": {"beta": 0.3}}},
            "prf.dense.beta is set by --set and by the grid",
        ),
    ],
)
def test_refusals(
    given: tuple[str | None, str | None, str | None], settings: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        feedback_grid(*given, settings)


def test_systems_with_feedback_are_measured_with_each() -> None:
    points = feedback_grid("1,3", None, None, {})
    specs = named_systems(["bm25", "dense", "prf:dense", "learned:prf:both"], ["m"], ["a"], points)
    assert [spec.name for spec in specs] == [
        "bm25",
        "dense",
        "prf:dense:k1",
        "prf:dense:k3",
        "learned:prf:both:k1",
        "learned:prf:both:k3",
    ]
    assert [spec.condition for spec in specs[2:5]] == ["prf:dense"] * 2 + ["learned:prf:both"]
    several = named_systems(["dense", "prf:pre"], ["m"], ["x/ance", "x/tct"], points)
    assert [spec.name for spec in several] == [
        "ance",
        "tct",
        "prf:pre:k1+ance",
        "prf:pre:k3+ance",
        "prf:pre:k1+tct",
        "prf:pre:k3+tct",
    ]
    check_systems(specs, SystemOptions(Path()))
    assert fusion_window(specs[-1], SystemOptions(Path(), settings={"window": 7})) == 7


def test_the_best_of_each_condition_is_chosen() -> None:
    points = feedback_grid("1,3,5", None, None, {})
    specs = named_systems(["bm25", "prf:pre", "prf:post"], ["m"], ["a"], points)
    values = dict(
        zip([spec.name for spec in specs], [0.9, 0.1, 0.3, 0.2, 0.4, 0.4, 0.1], strict=True)
    )
    results = [
        SystemResult(name, {"nDCG@10": v, "MAP": 1 - v}, {}, None, None, None, {})
        for name, v in values.items()
    ]
    kept, notes = chosen_specs(specs, CollectionReport("dl19", "", 9, 9, 1000, results))
    assert [spec.name for spec in kept] == ["bm25", "prf:pre:k3", "prf:post:k1"]
    assert notes[0] == (
        "prf:pre:k3 was chosen for prf:pre among 3 settings on dl19 by nDCG@10 (0.3000 there)"
    )
    unmeasured, told = chosen_specs(specs, CollectionReport("dl19", "", 9, 9, 1000, results[:1]))
    assert [spec.name for spec in unmeasured] == ["bm25", "prf:pre:k1", "prf:post:k1"]
    assert told == []
