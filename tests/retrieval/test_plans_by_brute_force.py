"""Whole plans against a brute-force search, and what does not depend on the window."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lsr.retrieval.feedback import DenseFeedback, SparseFeedback
from lsr.retrieval.fusion import Fusion
from lsr.retrieval.hybrid import HybridQuery, HybridResult
from lsr.retrieval.plan import MODES, Mode, Prf, SearchPlan
from lsr.sparse import CSR
from tests.naive import hybrid as naivehybrid
from tests.support.search_sides import World, random_world, unit
from tests.support.strategies import fusions, masks, matrices, plans, shares

pytest.importorskip("faiss")

quick = settings(max_examples=60, deadline=None)
FAR = SearchPlan(window=10_000)


def searched(
    world: World, query: HybridQuery, plan: SearchPlan, allowed: Any = None, reach: int = 1
) -> HybridResult:
    outcome = world.searcher().search(query, plan, allowed, reach=reach)
    assert np.isfinite(outcome.scores).all()
    assert len(set(outcome.rows.tolist())) == len(outcome.rows)
    _check_order(world, outcome)
    return outcome


def _check_order(world: World, outcome: HybridResult) -> None:
    """By score, then dense raw score where it counts, then doc_id; at full precision."""
    final = outcome.final
    counts = outcome.final.fused.weights[1] > 0
    dense = final.dense.raw[final.order] if counts else np.zeros(len(final.order))
    keys = list(
        zip((-outcome.scores).tolist(), (-dense).tolist(), world.ids(outcome.rows), strict=True)
    )
    assert keys == sorted(keys)


def same_as(outcome: HybridResult, expected: naivehybrid.Found) -> None:
    rows = outcome.rows.tolist()
    assert sorted(rows) == sorted(expected.rows)
    scores = dict(zip(rows, outcome.scores.tolist(), strict=True))
    assert scores == pytest.approx(expected.scores, rel=1e-5, abs=1e-6)
    if expected.learned_from is None:
        assert not outcome.prf.applied
    else:
        assert outcome.prf.rows.tolist() == expected.learned_from


@st.composite
def degenerate_worlds(draw: st.DrawFn) -> tuple[World, HybridQuery]:
    """Few documents with many equal scores: vectors on axes, opposite, and zeros."""
    n = draw(st.integers(1, 8))
    documents = draw(matrices(n_rows=n, n_terms=3, few=True))
    query = draw(matrices(n_rows=1, n_terms=3, few=True)).row(0)
    number = st.sampled_from([-1.0, 0.0, 0.0, 1.0])
    size = draw(st.integers(1, 3))
    rows = draw(st.lists(st.lists(number, min_size=size, max_size=size), min_size=n, max_size=n))
    asked = np.array(draw(st.lists(number, min_size=size, max_size=size)))
    ids = [f"d{i}" for i in draw(st.permutations(range(n)))]
    world = World(ids, documents, unit(np.array(rows).reshape(n, size)))
    return world, HybridQuery("", query, unit(asked))


@quick
@given(degenerate_worlds(), fusions(), st.data())
def test_one_round_is_the_brute_force_search(
    world_and_query: tuple[World, HybridQuery], fusion: Fusion, data: st.DataObject
) -> None:
    world, query = world_and_query
    assert query.sparse is not None
    assert query.dense is not None
    window = data.draw(st.integers(1, world.n + 2))
    allowed = data.draw(masks(world.n))
    plan = SearchPlan(window=window, fusion=fusion).resolved(MODES)
    outcome = searched(world, query, plan, allowed)
    same_as(outcome, naivehybrid.search(world, query.sparse, query.dense, plan, allowed))
    assert outcome.prf.reason == "off"


@quick
@given(st.integers(0, 10_000), plans(max_window=40), st.sampled_from([6, 15, 30]), st.booleans())
def test_every_plan_is_the_brute_force_search(
    seed: int, plan: SearchPlan, n: int, filtered: bool
) -> None:
    plan = plan.resolved(MODES)
    assume(plan.mode == "hybrid")
    world, query = random_world(seed, n)
    assert query.sparse is not None
    assert query.dense is not None
    allowed = np.random.default_rng(seed + 1).random(n) < 0.7 if filtered else None
    outcome = searched(world, query, plan, allowed)
    same_as(outcome, naivehybrid.search(world, query.sparse, query.dense, plan, allowed))
    assert outcome.plan == plan
    if allowed is not None:
        assert allowed[outcome.rows].all()
        assert allowed[outcome.prf.rows].all()


@pytest.mark.parametrize("condition", ["pre", "post", "both"])
@pytest.mark.parametrize("method", ["convex", "rrf"])
@pytest.mark.parametrize("sparse", [False, True])
def test_feedback_is_applied(condition: Any, method: Any, sparse: bool) -> None:
    """What the property above compares is not, mostly, an answer without feedback."""
    prf = Prf(condition, sparse=SparseFeedback(enabled=sparse, max_df=1.0))
    plan = SearchPlan(fusion=Fusion(method=method), prf=prf).resolved(MODES)
    changed = 0
    for seed in range(10):
        world, query = random_world(seed, 30)
        assert query.sparse is not None
        assert query.dense is not None
        outcome = searched(world, query, plan)
        assert len(outcome.prf.rows) == 3
        assert outcome.prf.dense is not None
        assert (outcome.prf.sparse is not None) is (sparse and condition != "pre")
        expected = naivehybrid.search(world, query.sparse, query.dense, plan)
        same_as(outcome, expected)
        assert outcome.rows.tolist() == expected.rows
        before = searched(world, query, replace(plan, prf=Prf()))
        changed += outcome.rows.tolist() != before.rows.tolist()
    assert changed >= 5


@quick
@given(st.integers(0, 10_000), st.sampled_from(["sparse", "dense"]), st.booleans())
def test_single_modes_are_the_sides_own_lists(seed: int, mode: Mode, feeds: bool) -> None:
    world, query = random_world(seed, 25)
    assert query.sparse is not None
    assert query.dense is not None
    plan = SearchPlan(mode=mode, window=5)
    if feeds and mode == "dense":
        plan = replace(plan, prf=Prf("dense_only"))
    if feeds and mode == "sparse":
        plan = replace(plan, prf=Prf(sparse=SparseFeedback(enabled=True, max_df=1.0)))
    outcome = searched(world, query, plan, reach=7)
    queries = CSR.from_vectors([query.sparse], world.documents.n_terms)
    dense = query.dense
    if outcome.prf.applied:
        if mode == "dense":
            assert outcome.prf.dense is not None
            dense = outcome.prf.dense.vector
        else:
            assert outcome.prf.sparse is not None
            queries = CSR.from_vectors([outcome.prf.sparse.vector], world.documents.n_terms)
    found = (
        world.sparse.search(queries, 7) if mode == "sparse" else world.dense.search(dense[None], 7)
    )
    n = int((found.rows[0] >= 0).sum())
    assert outcome.rows.tolist() == found.rows[0, :n].tolist()
    assert outcome.scores.tolist() == found.scores[0, :n].tolist()
    assert outcome.prf.applied is (feeds and n > 0)


stable = st.builds(
    Fusion, norm=st.sampled_from(["tmm", "max"]), weight_sparse=st.floats(0.05, 0.95)
)


@quick
@given(st.integers(0, 10_000), stable, st.integers(1, 60), st.integers(1, 60))
def test_scores_do_not_depend_on_the_window(
    seed: int, fusion: Fusion, one: int, other: int
) -> None:
    """A wider window adds candidates; those of the narrow one keep score and order, to the bit."""
    world, query = random_world(seed, 60)
    near = searched(world, query, SearchPlan(window=min(one, other), fusion=fusion))
    far = searched(world, query, SearchPlan(window=max(one, other), fusion=fusion))
    narrow = list(zip(near.rows.tolist(), near.scores.tolist(), strict=True))
    wide = list(zip(far.rows.tolist(), far.scores.tolist(), strict=True))
    kept = set(near.rows.tolist())
    assert [hit for hit in wide if hit[0] in kept] == narrow


@quick
@given(st.integers(0, 10_000), stable)
def test_hits_above_what_a_list_can_hide_are_final(seed: int, fusion: Fusion) -> None:
    """Fagin's bound: what neither list shows scores at most as the ends of both lists would.

    Hits above that are the same, in the same order, whatever the window; that is how the first
    page stays as it is. Where a document is in the middle of both lists, no window can promise it.
    """
    world, query = random_world(seed, 60)
    assert fusion.weight_sparse is not None
    full = searched(world, query, SearchPlan(window=60, fusion=fusion))
    for window in (10, 20, 40):
        outcome = searched(world, query, SearchPlan(window=window, fusion=fusion))
        final = outcome.final
        bound = 0.0
        for norm, share, side in zip(
            final.fused.norm, final.fused.weights, (final.sparse, final.dense), strict=True
        ):
            listed = norm[side.rank > 0]
            if len(listed) == window:  # a document without a vector has norm 0
                bound += share * max(0.0, float(listed.min()))
        n_sure = int((outcome.scores > bound + 1e-12).sum())
        assert outcome.rows[:n_sure].tolist() == full.rows[:n_sure].tolist()
        assert outcome.scores[:n_sure].tolist() == full.scores[:n_sure].tolist()


def test_the_first_page_is_the_same_at_every_window() -> None:
    """On collections where both sides see something of the same, as they do in life."""
    same = 0
    n_worlds = 40
    for seed in range(n_worlds):
        rng = np.random.default_rng(seed)
        topics = unit(rng.standard_normal((80, 8)) + 0.5)
        rows = [{i: float(max(x, 0)) for i, x in enumerate(topic)} for topic in topics.tolist()]
        world = World([f"{i:02}" for i in range(80)], CSR.from_rows(rows, 8), topics)
        asked = unit(rng.standard_normal(8) + 0.5)
        sparse = CSR.from_rows([{i: float(max(x, 0)) for i, x in enumerate(asked.tolist())}], 8)
        query = HybridQuery("", sparse.row(0), asked)
        first = [
            searched(world, query, SearchPlan(window=window)).rows[:10].tolist()
            for window in (10, 20, 40, 80)
        ]
        same += first[1] == first[2] == first[3]
        assert first[0][:3] == first[3][:3]
    assert same == n_worlds


@quick
@given(st.integers(0, 10_000), fusions(), shares())
def test_weights_at_both_ends_are_one_side(seed: int, fusion: Fusion, share: float) -> None:
    """And the other side adds no candidates, at any window."""
    world, query = random_world(seed, 20)
    modes: tuple[tuple[float, Mode], ...] = ((1.0, "sparse"), (0.0, "dense"))
    for weight, mode in modes:
        plan = SearchPlan(window=8, fusion=replace(fusion, weight_sparse=weight))
        single = SearchPlan(window=8, mode=mode)
        one, other = searched(world, query, plan), searched(world, query, single)
        assert one.rows.tolist() == other.rows.tolist()
        given_pre = replace(plan, prf=Prf("both", depth=0, weight_sparse_pre=share))
        assert searched(world, query, given_pre).rows.tolist() == other.rows.tolist()


class Shifted:
    """A feedback of one's own: the query moves to the first document it is given."""

    is_off = False

    def __init__(self) -> None:
        self.seen: list[int] = []

    def expand(self, query: Any, documents: Any, term_filter: Any) -> Any:
        from lsr.retrieval.feedback import Expanded

        if isinstance(documents, CSR):
            self.seen.append(documents.n_rows)
            assert term_filter(documents.terms, 1.0).all()
            return Expanded(documents.row(0))
        self.seen.append(len(documents))
        return Expanded(documents[0])


@pytest.mark.parametrize("condition", ["pre", "post", "both", "dense_only"])
def test_a_feedback_of_ones_own(condition: Any) -> None:
    """It stands in place of the plan's, also where the plan's is off; `depth` still counts."""
    world, query = random_world(3, 30)
    off = Prf(condition, depth=2, dense=DenseFeedback(beta=0))
    own, sparse = Shifted(), Shifted()
    searcher = world.searcher(dense_feedback=own, sparse_feedback=sparse)
    outcome = searcher.search(query, SearchPlan(prf=off, explain="full"))
    assert outcome.prf.applied
    assert own.seen == [2]
    assert sparse.seen == ([2] if condition in ("post", "both") else [])
    assert outcome.prf.dense is not None
    assert np.array_equal(outcome.prf.dense.vector, world.vectors[outcome.prf.rows[0]])
    best = outcome.final.dense.raw.max()
    assert best == pytest.approx(1, abs=1e-6)
    nothing = searcher.search(query, SearchPlan(prf=replace(off, depth=0)))
    assert (nothing.prf.applied, nothing.prf.reason) == (False, "off")


def test_a_feedback_of_ones_own_that_is_off() -> None:
    world, query = random_world(3, 30)

    class Off(Shifted):
        is_off = True

    plan = SearchPlan(prf=Prf("both"))
    outcome = world.searcher(dense_feedback=Off()).search(query, plan)
    assert (outcome.prf.applied, outcome.prf.reason) == (False, "off")
    assert outcome.scores.tolist() == searched(world, query, SearchPlan()).scores.tolist()


def test_many_copies_of_one_text() -> None:
    """Feedback looks past them, however many there are, and takes each text once."""
    copies = 400
    vectors = unit(np.array([[1.0, 0.1]] * copies + [[0.8, 0.6], [0.0, 1.0]]))
    rows = [{0: 1.0}] * copies + [{0: 0.5}, {1: 1.0}]
    world = World([f"{i:03}" for i in range(copies + 2)], CSR.from_rows(rows, 2), vectors)
    query = HybridQuery("", CSR.from_rows([{0: 1.0, 1: 0.1}]).row(0), unit(np.array([1.0, 0.0])))
    for prf in (
        Prf("both"),
        Prf("both", sparse=SparseFeedback(enabled=True, max_df=1.0)),
        Prf("both", dense=DenseFeedback(beta=0), sparse=SparseFeedback(enabled=True, max_df=1.0)),
    ):
        outcome = searched(world, query, replace(FAR, prf=prf))
        assert world.ids(outcome.prf.rows) == ["000", "400", "401"]
