"""Plans: what is left open, what goes together, and which weight counts where."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings

from lsr.errors import QueryError
from lsr.retrieval.feedback import DenseFeedback, SparseFeedback
from lsr.retrieval.fusion import DEFAULT_WEIGHTS, Fusion
from lsr.retrieval.plan import INTERPOLATIONS, MODES, Mode, Prf, SearchPlan, Weights, plan_from
from tests.support.strategies import plans

quick = settings(max_examples=80, deadline=None)
WITHOUT_DENSE: tuple[Mode, ...] = ("sparse",)
CONDITIONS = ["none", "pre", "post", "both"]
TUNED = SearchPlan(
    window=50,
    fusion=Fusion(weight_sparse=0.25),
    prf=Prf("both", 5, weight_sparse_pre=0.4, dense=DenseFeedback(alpha=0.5, beta=0.5)),
)


@quick
@given(plans())
def test_round_trip(plan: SearchPlan) -> None:
    assert plan_from(plan.as_dict()) == plan
    assert plan_from(json.loads(json.dumps(plan.as_dict()))) == plan
    assert plan_from({}, plan) == plan
    assert plan_from(plan.as_dict(), TUNED) == plan, "everything is given, so no default counts"
    assert hash(plan_from(plan.as_dict())) == hash(plan)


@quick
@given(plans(), plans())
def test_what_is_left_out_is_as_before(base: SearchPlan, other: SearchPlan) -> None:
    """Any one field on its own changes nothing else, but for what steps back."""
    given_ = other.as_dict()
    assert plan_from({"window": given_["window"]}, base) == replace(base, window=other.window)
    assert plan_from({"explain": given_["explain"]}, base) == replace(base, explain=other.explain)
    changed = plan_from({"prf": {"dense": given_["prf"]["dense"]}}, base)
    assert changed == replace(base, prf=replace(base.prf, dense=other.prf.dense))


@pytest.mark.parametrize(
    ("fusion", "weight"),
    [
        ({}, 0.25),
        ({"norm": "tmm"}, 0.25),
        ({"method": "convex"}, 0.25),
        ({"missing": "zero"}, 0.25),
        ({"norm": "minmax"}, 0.5),
        ({"norm": "max"}, 0.5),
        ({"norm": "zscore"}, 0.5),
        ({"norm": "none"}, 0.5),
        ({"method": "rrf"}, 0.5),
        ({"norm": "minmax", "weight_sparse": 0.7}, 0.7),
        ({"method": "rrf", "weight_sparse": 0.0}, 0.0),
        ({"weight_sparse": None}, 0.3),
        ({"norm": "minmax", "weight_sparse": None}, 0.5),
    ],
)
def test_a_weight_belongs_to_its_norm(fusion: dict[str, Any], weight: float) -> None:
    plan = plan_from({"fusion": fusion}, TUNED)
    resolved = plan.resolved(MODES)
    assert resolved.fusion.weight_sparse == weight
    kept = fusion.get("norm", "tmm") == "tmm" and fusion.get("method", "convex") == "convex"
    first = 0.4 if kept else weight
    assert resolved.weights == Weights(first, weight, weight)
    assert plan.prf == replace(TUNED.prf, weight_sparse_pre=0.4 if kept else None)


def test_from_one_norm_back_to_tmm() -> None:
    base = replace(TUNED, fusion=Fusion(norm="minmax", weight_sparse=0.6))
    assert plan_from({"fusion": {"norm": "tmm"}}, base).resolved(MODES).fusion.weight_sparse == 0.3
    assert plan_from({"fusion": {"norm": "minmax"}}, base).fusion.weight_sparse == 0.6


@pytest.mark.parametrize("mode", ["sparse", "dense"])
def test_a_single_mode_drops_the_default_interpolation(mode: str) -> None:
    for condition in ("none", "pre", "post", "both", "dense_only"):
        base = replace(TUNED, prf=replace(TUNED.prf, interpolate=condition))
        plan = plan_from({"mode": mode}, base)
        assert (plan.mode, plan.prf.interpolate) == (mode, "none")
        assert (plan.prf.depth, plan.prf.dense, plan.window) == (5, TUNED.prf.dense, 50)
        assert plan_from({"mode": mode, "prf": {"depth": 2}}, base).prf.interpolate == "none"
        assert plan_from({"mode": "hybrid"}, base).prf.interpolate == condition


def test_a_chosen_interpolation_does_not_step_back() -> None:
    for condition in ("pre", "post", "both", "dense_only"):
        with pytest.raises(QueryError, match=f"prf.interpolate is '{condition}', which needs mode"):
            plan_from({"mode": "sparse", "prf": {"interpolate": condition}}, TUNED)
        if condition != "dense_only":
            with pytest.raises(QueryError, match="in dense search choose none or dense_only"):
                plan_from({"mode": "dense", "prf": {"interpolate": condition}}, TUNED)
    plan = plan_from({"mode": "dense", "prf": {"interpolate": "dense_only"}}, TUNED)
    assert plan.resolved(MODES).weights == Weights(0, 0, 0)


def test_default_mode() -> None:
    assert SearchPlan().resolved(MODES).mode == "hybrid"
    assert SearchPlan().resolved(WITHOUT_DENSE).mode == "sparse"
    for mode in ("hybrid", "dense"):
        with pytest.raises(QueryError, match=f"mode is '{mode}' and this collection has no dense"):
            SearchPlan(mode=mode).resolved(WITHOUT_DENSE)


def test_interpolation_without_dense_vectors_is_refused() -> None:
    for condition in ("pre", "post", "both", "dense_only"):
        plan = SearchPlan(prf=Prf(condition))
        with pytest.raises(QueryError, match="needs mode hybrid; .* prf.sparse.enabled"):
            plan.resolved(WITHOUT_DENSE)


@pytest.mark.parametrize("method", ["convex", "rrf"])
@pytest.mark.parametrize("norm", ["tmm", "minmax", "max", "zscore", "none"])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_weights_of_the_conditions(method: Any, norm: Any, condition: Any) -> None:
    """Where rankings are fused: the one thing in which the conditions differ."""
    default = DEFAULT_WEIGHTS["rrf" if method == "rrf" else norm]
    for weight, pre in product((None, 0, 0.2, 1), (None, 0, 0.6, 1)):
        fusion = Fusion(method=method, norm=norm, weight_sparse=weight)
        plan = SearchPlan(fusion=fusion, prf=Prf(condition, weight_sparse_pre=pre))
        own = default if weight is None else weight
        first = own if pre is None else pre
        expected = {
            "none": Weights(first, own, own),
            "pre": Weights(first, 0.0, own),
            "post": Weights(0.0, own, own),
            "both": Weights(first, own, own),
        }[condition]
        for resolved in (plan.resolved(MODES), replace(plan, mode="hybrid").resolved(MODES)):
            assert resolved.weights == expected
            assert resolved.mode == "hybrid"
            assert resolved.resolved(MODES) == resolved, "resolving twice changes nothing"
            assert (resolved.fusion.method, resolved.fusion.norm) == (method, norm)


def test_single_modes_are_fusions_of_raw_scores() -> None:
    for weight, pre in product((None, 0.2, 1.0), (None, 0.6)):
        open_ = SearchPlan(
            fusion=Fusion(method="rrf", weight_sparse=weight, rrf_k=9, missing="zero"),
            prf=Prf(weight_sparse_pre=pre, sparse=SparseFeedback(enabled=True)),
        )
        cases: list[tuple[Mode, Any, float]] = [
            ("sparse", "none", 1.0),
            ("dense", "none", 0.0),
            ("dense", "dense_only", 0.0),
        ]
        for mode, condition, share in cases:
            plan = replace(open_, mode=mode, prf=replace(open_.prf, interpolate=condition))
            resolved = plan.resolved(MODES)
            assert resolved.weights == Weights(share, share, share)
            assert resolved.fusion == Fusion("convex", "none", weight_sparse=share)
            assert resolved.mode == mode
            assert resolved.prf.sparse == open_.prf.sparse
        hybrid = replace(open_, prf=replace(open_.prf, interpolate="dense_only"))
        assert hybrid.resolved(MODES).mode == "dense"
        assert hybrid.resolved(MODES).weights == Weights(0.0, 0.0, 0.0)


def test_only_a_resolved_plan_has_weights() -> None:
    for plan in (SearchPlan(), SearchPlan(fusion=Fusion(weight_sparse=0.5))):
        with pytest.raises(ValueError, match="only a resolved plan"):
            _ = plan.weights


@quick
@given(plans())
def test_a_resolved_plan_is_echoed(plan: SearchPlan) -> None:
    """What an answer tells is a plan that asks for the same again."""
    resolved = plan.resolved(MODES)
    assert resolved.mode in MODES
    weights = resolved.weights
    assert all(0 <= share <= 1 for share in (weights.first, weights.final, weights.unfed))
    again = plan_from(resolved.as_dict()).resolved(MODES)
    assert again == resolved
    assert again.weights == weights


@pytest.mark.parametrize(
    ("plan", "moves"),
    [
        (SearchPlan(), (False, False)),
        (SearchPlan(prf=Prf("both")), (True, True)),
        (SearchPlan(prf=Prf("both", depth=0)), (False, False)),
        (SearchPlan(prf=Prf("post")), (True, True)),
        (SearchPlan(prf=Prf("pre")), (True, False)),
        (SearchPlan(prf=Prf("dense_only")), (True, False)),
        (SearchPlan(mode="dense"), (False, False)),
        (SearchPlan(mode="sparse"), (False, True)),
        (SearchPlan(mode="sparse", prf=Prf(depth=0)), (False, False)),
        (SearchPlan(fusion=Fusion(weight_sparse=0), prf=Prf("both")), (True, False)),
        (SearchPlan(fusion=Fusion(weight_sparse=1), prf=Prf("both")), (False, True)),
        (SearchPlan(fusion=Fusion(weight_sparse=1), prf=Prf("post")), (False, True)),
        (SearchPlan(fusion=Fusion(weight_sparse=1), prf=Prf("pre")), (True, False)),
    ],
)
def test_which_queries_may_be_moved(plan: SearchPlan, moves: tuple[bool, bool]) -> None:
    """Only a side that counts in the result is searched again."""
    resolved = plan.resolved(MODES)
    assert (resolved.may_move_dense, resolved.may_move_sparse) == moves


@pytest.mark.parametrize("path", ["norm", "method"])
def test_wrong_values_in_what_steps_back_are_still_named(path: str) -> None:
    values: list[object] = [None, [], {}, 3]
    for wrong in values:
        with pytest.raises(QueryError, match=rf"^fusion\.{path} is "):
            plan_from({"fusion": {path: wrong}}, TUNED)
    with pytest.raises(QueryError, match=r"^mode is \['sparse'\]"):
        plan_from({"mode": ["sparse"]}, TUNED)


def test_strategy_covers_the_space() -> None:
    """The plans that properties are tried on are not all alike."""
    seen: set[object] = set()

    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    @given(plans())
    def collect(plan: SearchPlan) -> None:
        seen.update({plan.mode, plan.fusion.method, plan.fusion.norm, plan.prf.interpolate})

    collect()
    wanted = {None, *MODES, "convex", "rrf", "tmm", "minmax", "max", "zscore", *INTERPOLATIONS}
    assert wanted <= seen


def test_weighted_from_the_command_line() -> None:
    """A plan that states nothing but a weight keeps the norm, and uses the weight twice."""
    plan = plan_from({"fusion": {"weight_sparse": 0.9}}).resolved(MODES)
    assert plan.weights == Weights(0.9, 0.9, 0.9)
    assert plan.fusion == Fusion(weight_sparse=0.9)
