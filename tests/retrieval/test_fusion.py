"""Fusion against its plain twin and by hand, on lists that are short, equal, negative or empty."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.retrieval.fusion import (
    DEFAULT_WEIGHTS,
    Fusion,
    Norm,
    SideScores,
    fuse,
    fused_order,
    normalise,
)
from tests.naive import hybrid as naivehybrid
from tests.support.strategies import fusions, shares

quick = settings(max_examples=150, deadline=None)
NORMS = ["tmm", "minmax", "max", "zscore", "none"]

few = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0])
impacts = few | st.floats(2.0**-149, 2.0**100, width=32)
cosines = st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]) | st.floats(-1, 1, width=32)
negative = st.floats(-1, -(2.0**-20), width=32)


def side(listed: list[float], others: list[float | None], floor: float | None = 0.0) -> SideScores:
    """A list, best first, and then what is not listed: scores, or None where there is none."""
    listed = sorted(listed, reverse=True)
    raw = np.array([*listed, *(other or 0.0 for other in others)], np.float32)
    rank = np.array([*range(1, len(listed) + 1), *[0] * len(others)], np.int32)
    known = np.array([True] * len(listed) + [other is not None for other in others], np.bool_)
    return SideScores(raw, rank, known, floor)


def turned(scores: SideScores, order: list[int]) -> SideScores:
    return SideScores(scores.raw[order], scores.rank[order], scores.known[order], scores.floor)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[SideScores, SideScores]:
    """Two sides' scores of the same candidates, which lie in any order."""
    n = draw(st.integers(0, 8))
    made = []
    for floor, scores in ((0.0, impacts), (-1.0, draw(st.sampled_from([cosines, negative])))):
        n_listed = draw(st.integers(0, n))
        one = draw(scores)
        listed = draw(st.lists(st.just(one) | scores, min_size=n_listed, max_size=n_listed))
        if draw(st.booleans()):
            listed = [one] * n_listed
        least = min(listed, default=one)
        others = [
            None if draw(st.booleans()) else min(draw(scores), least) for _ in range(n - n_listed)
        ]
        order = draw(st.permutations(range(n)))
        made.append(turned(side(listed, others, floor), list(order)))
    return made[0], made[1]


def plain(scores: SideScores) -> naivehybrid.Side:
    """The same as dictionaries."""
    by_rank = sorted(np.flatnonzero(scores.rank).tolist(), key=lambda i: int(scores.rank[i]))
    listed = {i: float(scores.raw[i]) for i in by_rank}
    known = {i: float(scores.raw[i]) for i in np.flatnonzero(scores.known).tolist()}
    return naivehybrid.Side(listed, known, scores.floor)


def close(value: float) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-12)


@quick
@given(pairs(), fusions(), shares())
def test_fuse_is_the_twin(
    sides: tuple[SideScores, SideScores], fusion: Fusion, weight: float
) -> None:
    sparse, dense = sides
    fused = fuse(sparse, dense, fusion, weight)
    assert fused.score.dtype == np.float64
    for values in (fused.score, fused.norm, fused.contribution):
        assert np.isfinite(values).all()
    assert np.array_equal(fused.contribution.sum(axis=0), fused.score)
    shares_ = np.array(fused.weights)[:, None]
    assert np.allclose(fused.contribution, fused.norm * shares_, rtol=1e-12, atol=0)
    expected = naivehybrid.fuse(plain(sparse), plain(dense), fusion, weight)
    for i, score in enumerate(fused.score.tolist()):
        counts = (weight > 0 and sparse.rank[i] > 0) or (weight < 1 and dense.rank[i] > 0)
        if counts or weight not in (0, 1):
            assert score == close(expected.get(i, score)), i


@quick
@given(pairs(), st.sampled_from(NORMS), st.data())
def test_normalise_is_the_twin(
    sides: tuple[SideScores, SideScores], norm: Norm, data: st.DataObject
) -> None:
    scores = data.draw(st.sampled_from(sides))
    listed = scores.rank > 0
    found = normalise(scores.raw, listed, norm, scores.floor)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    of_list = [float(score) for score in scores.raw[listed]]
    for raw, value in zip(scores.raw.tolist(), found.tolist(), strict=True):
        assert value == close(naivehybrid.normalise(raw, of_list, norm, scores.floor))
    if norm in ("tmm", "minmax") and listed.any():
        assert -1e-9 <= found[listed].min() <= found[listed].max() <= 1 + 1e-9
    by_score = np.argsort(scores.raw, kind="stable")
    assert (np.diff(found[by_score]) >= 0).all(), "a norm keeps the order"


@quick
@given(pairs(), fusions(), shares())
def test_the_order_of_candidates_does_not_matter(
    sides: tuple[SideScores, SideScores], fusion: Fusion, weight: float
) -> None:
    order = list(range(len(sides[0].raw)))[::-1]
    one = fuse(*sides, fusion, weight).score[order]
    other = fuse(turned(sides[0], order), turned(sides[1], order), fusion, weight).score
    if fusion.norm == "zscore":  # a mean is summed in the order of candidates
        assert np.allclose(one, other, rtol=1e-9, atol=1e-12)
    else:
        assert np.array_equal(one, other)


def test_rrf_by_hand() -> None:
    """a is 1st and 3rd, b 2nd and 1st, c 3rd in one list only, d 2nd in the other only."""
    sparse = SideScores(
        np.array([9, 5, 1, 0], np.float32),
        np.array([1, 2, 3, 0], np.int32),
        np.array([True, True, True, False]),
        0.0,
    )
    dense = SideScores(
        np.array([0.2, 0.9, 0, 0.5], np.float32),
        np.array([3, 1, 0, 2], np.int32),
        np.array([True, True, False, True]),
        -1.0,
    )
    fused = fuse(sparse, dense, Fusion(method="rrf"), 0.5)
    assert fused.weights == (1.0, 1.0)
    expected = [1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 63, 1 / 62]
    assert fused.score.tolist() == pytest.approx(expected)
    by_hand = [0.0322664585, 0.0325224749, 0.0158730159, 0.0161290323]
    assert fused.score.tolist() == pytest.approx(by_hand, abs=1e-10)
    tie = np.arange(4, dtype=np.int32)
    assert fused_order(fused.score, dense.raw, tie, tie).tolist() == [1, 0, 3, 2]
    tilted = fuse(sparse, dense, Fusion(method="rrf", rrf_k=1), 0.75)
    assert tilted.weights == (1.5, 0.5)
    assert tilted.score[0] == pytest.approx(1.5 / 2 + 0.5 / 4)
    assert tilted.contribution[:, 3].tolist() == [0.0, pytest.approx(0.5 / 3)]


def test_tmm_by_hand() -> None:
    """Sparse scores 8 and 2 of at least 0; cosines .6 and -.2 of at least -1; weight .3."""
    sparse = side([8.0, 2.0], [None], 0.0)
    dense = turned(side([0.6, -0.2], [-0.6], -1.0), [1, 2, 0])
    fused = fuse(sparse, dense, Fusion(), 0.3)
    assert fused.norm[0].tolist() == [1.0, 0.25, 0.0]
    assert fused.norm[1].tolist() == pytest.approx([0.8 / 1.6, 0.4 / 1.6, 1.0])
    assert fused.score.tolist() == pytest.approx([0.65, 0.25, 0.7])
    assert fused.contribution[:, 0].tolist() == pytest.approx([0.3, 0.35])
    without = fuse(sparse, dense, Fusion(missing="zero"), 0.3)
    assert without.score.tolist() == pytest.approx([0.65, 0.075, 0.7]), "the completed one counts 0"


@pytest.mark.parametrize(
    ("norm", "listed", "expected"),
    [
        ("tmm", [4.0], [1.0, 0.5, 0.0]),
        ("max", [4.0], [1.0, 0.5, 0.0]),
        ("minmax", [4.0], [1.0, 0.0, 0.0]),
        ("zscore", [4.0], [0.0, 0.0, 0.0]),
        ("none", [4.0], [4.0, 2.0, 0.0]),
        ("tmm", [4.0, 4.0], [1.0, 1.0, 0.5, 0.0]),
        ("max", [4.0, 4.0], [1.0, 1.0, 0.5, 0.0]),
        ("minmax", [4.0, 4.0], [1.0, 1.0, 0.0, 0.0]),
        ("zscore", [4.0, 4.0], [0.0, 0.0, 0.0, 0.0]),
        ("minmax", [4.0, 3.0], [1.0, 0.0, -1.0, 0.0]),
        ("zscore", [4.0, 3.0], [1.0, -1.0, -3.0, 0.0]),
        ("tmm", [], [0.0, 0.0]),
        ("max", [], [0.0, 0.0]),
        ("minmax", [], [0.0, 0.0]),
        ("zscore", [], [0.0, 0.0]),
    ],
)
def test_one_hit_and_equal_scores(norm: Any, listed: list[float], expected: list[float]) -> None:
    """After the list come a document that would score 2, and one without a vector."""
    scores = side(listed, [2.0, None], 0.0)
    nothing = side([], [None] * len(scores.raw), -1.0)
    fused = fuse(scores, nothing, Fusion(norm=norm), 0.5)
    assert fused.norm[0].tolist() == pytest.approx(expected)
    assert fused.score.tolist() == pytest.approx([value / 2 for value in expected])


@pytest.mark.parametrize("norm", ["tmm", "max"])
@pytest.mark.parametrize("best", [-1.0, -1.0000001])
def test_no_score_above_the_floor(norm: Any, best: float) -> None:
    dense = side([best, best], [None], -1.0)
    fused = fuse(side([], [None] * 3), dense, Fusion(norm=norm), 0.5)
    assert not fused.norm.any()
    assert not fused.score.any()


def test_all_cosines_negative() -> None:
    """Max has no scale below zero; the others keep the order."""
    dense = side([-0.2, -0.6], [-0.7], -1.0)
    empty = side([], [None] * 3)
    found = {norm: fuse(empty, dense, Fusion(norm=norm), 0.0).norm[1] for norm in NORMS}  # type: ignore[arg-type]
    assert found["tmm"].tolist() == pytest.approx([1.0, 0.5, 0.375])
    assert found["max"].tolist() == [0.0, 0.0, 0.0]
    assert found["minmax"].tolist() == pytest.approx([1.0, 0.0, -0.25])
    assert found["zscore"].tolist() == pytest.approx([1.0, -1.0, -1.5])
    assert found["none"].tolist() == pytest.approx([-0.2, -0.6, -0.7])


def test_tmm_without_a_floor_is_minmax() -> None:
    """Inner products of vectors of any length: the least of the list is the minimum."""
    sparse = side([4.0, 2.0], [1.0, 0.0])
    dense = side([120.0, 90.0, 80.0], [60.0], None)
    fused = fuse(sparse, dense, Fusion(), 0.5)
    assert fused.norm[0].tolist() == pytest.approx([1.0, 0.5, 0.25, 0.0])
    assert fused.norm[1].tolist() == pytest.approx([1.0, 0.25, 0.0, -0.5])
    moved = side([120.0 - 500, 90.0 - 500, 80.0 - 500], [60.0 - 500], None)
    assert fuse(sparse, moved, Fusion(), 0.5).norm[1] == pytest.approx(fused.norm[1])
    one = fuse(side([1.0], []), side([3.0], [], None), Fusion(), 0.5)
    assert one.norm[1].tolist() == [1.0]


def test_default_weights() -> None:
    for norm in NORMS:
        assert Fusion(norm=norm).default_weight == (0.3 if norm == "tmm" else 0.5)  # type: ignore[arg-type]
        assert Fusion(method="rrf", norm=norm).default_weight == 0.5  # type: ignore[arg-type]
    assert set(DEFAULT_WEIGHTS) == {*NORMS, "rrf"}


@quick
@given(st.lists(st.tuples(few, cosines), max_size=12), st.randoms())
def test_order_is_score_then_dense_then_tie(scores: list[tuple[float, float]], random: Any) -> None:
    tie = list(range(len(scores)))
    random.shuffle(tie)
    order = fused_order(
        np.array([score for score, _ in scores], np.float64),
        np.array([raw for _, raw in scores], np.float32),
        np.arange(len(tie), dtype=np.int32),
        np.array(tie, np.int32),
    ).tolist()
    assert sorted(order) == sorted(tie)
    key = [(-scores[i][0], -np.float32(scores[i][1]), tie[i]) for i in order]
    assert key == sorted(key)


def test_full_precision_decides() -> None:
    score = np.array([1.0, math.nextafter(1.0, 2)])
    raw = np.array([0.9, 0.1], np.float32)
    rows = np.array([0, 1], np.int32)
    assert fused_order(score, raw, rows, rows).tolist() == [1, 0]
