"""Explanations add up: contributions to scores, terms and feedback documents to raw scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.retrieval.explanation import MOST_TERMS, Explanation, explain, query_terms
from lsr.retrieval.feedback import Expanded, SparseFeedback
from lsr.retrieval.fusion import Fusion
from lsr.retrieval.hybrid import HybridQuery, HybridResult
from lsr.retrieval.plan import Prf, SearchPlan
from lsr.sparse import CSR, SparseVector
from tests.support.counted_index import CONDITIONS, QUERY, Opened, build, fed, ids, unfed
from tests.support.search_sides import World, random_world, unit
from tests.support.strategies import plans

pytest.importorskip("faiss")

quick = settings(max_examples=80, deadline=None)
TOLERANCE = 1e-5


def told(world: World, outcome: HybridResult) -> list[Explanation]:
    searcher = world.searcher()
    whole = explain(searcher, outcome, 0, len(outcome.rows), world.ids)
    assert len(whole) == len(outcome.rows)
    middle = explain(searcher, outcome, 1, 3, world.ids)
    assert middle == whole[1:3], "a page explains its own hits"
    return whole


def check_scores(each: Explanation, outcome: HybridResult) -> None:
    parts = [part for part in (each.sparse, each.dense) if part is not None]
    assert parts
    total = sum(part.contribution for part in parts)
    assert total == pytest.approx(each.score, abs=TOLERANCE, rel=TOLERANCE)
    for part, weight in zip((each.sparse, each.dense), outcome.final.fused.weights, strict=True):
        if part is None:
            continue
        assert part.weight == weight
        assert part.contribution == pytest.approx(part.weight * part.norm, rel=1e-12)
        assert (part.rank is not None) is (part.source == "list")
        if part.source == "absent":
            assert (part.norm, part.contribution, part.raw) == (0, 0, 0)
        if outcome.plan.fusion.method == "rrf":
            constant = outcome.plan.fusion.rrf_k
            expected = 0.0 if part.rank is None else weight / (constant + part.rank)
            assert part.contribution == pytest.approx(expected, rel=1e-12)


def check_raws(each: Explanation, outcome: HybridResult, full: bool) -> None:
    if not full:
        assert (each.prf, each.terms, each.other) == (None, None, 0.0)
        return
    if each.sparse is None:
        assert each.terms is None
    else:
        assert each.terms is not None
        assert len(each.terms) <= MOST_TERMS
        values = [term.value for term in each.terms]
        assert values == sorted(values, reverse=True)
        for term in each.terms:
            assert term.value == pytest.approx(term.query_weight * term.doc_weight)
            assert term.value > 0
        raw = each.sparse.raw
        assert sum(values) + each.other == pytest.approx(raw, abs=TOLERANCE, rel=TOLERANCE)
    moved = outcome.prf.dense is not None
    if each.dense is None or not moved or each.dense.source == "absent":
        assert each.prf is None
    else:
        assert each.prf is not None
        by_feedback = [one.value for one in each.prf.by_feedback]
        assert len(by_feedback) == len(outcome.prf.rows)
        assert each.prf.dense_feedback == pytest.approx(sum(by_feedback), abs=1e-12)
        total = each.prf.dense_query + each.prf.dense_feedback
        assert total == pytest.approx(each.dense.raw, abs=TOLERANCE)


@quick
@given(
    st.integers(0, 10_000), plans(max_window=25), st.sampled_from([3, 12, 25]), st.integers(2, 60)
)
def test_every_part_adds_up(seed: int, plan: SearchPlan, n: int, n_terms: int) -> None:
    world, query = random_world(seed, n, max(n_terms, 6))
    outcome = world.searcher().search(query, plan)
    if plan.explain == "none":
        plan = replace(plan, explain="full")
        outcome = world.searcher().search(query, plan)
    for each, score in zip(told(world, outcome), outcome.scores.tolist(), strict=True):
        assert each.score == score
        check_scores(each, outcome)
        check_raws(each, outcome, plan.explain == "full")


@quick
@given(st.integers(0, 10_000), plans(max_window=25))
def test_ranks_before_are_those_of_a_search_without_feedback(seed: int, plan: SearchPlan) -> None:
    world, query = random_world(seed, 20)
    plan = replace(plan, explain="scores")
    outcome = world.searcher().search(query, plan)
    before = world.searcher().search(query, unfed(plan))
    ranks = {row: rank for rank, row in enumerate(before.rows.tolist(), start=1)}
    found = [each.rank_before_prf for each in told(world, outcome)]
    if outcome.prf.applied:
        assert found == [ranks.get(row) for row in outcome.rows.tolist()]
    else:
        assert found == [None] * len(outcome.rows)
        assert outcome.rows.tolist() == before.rows.tolist()
        assert outcome.scores.tolist() == before.scores.tolist()


def test_a_hit_by_hand() -> None:
    """One term and one feedback document; every number is written out."""
    vectors = np.array([[1, 0], [0.6, 0.8]], np.float32)
    world = World(["a", "b"], CSR.from_rows([{0: 2.0}, {0: 1.0, 1: 5.0}]), vectors)
    query = HybridQuery("", SparseVector.from_mapping({0: 3.0}), np.array([0.8, 0.6], np.float32))
    plan = SearchPlan(prf=Prf("both", depth=1), explain="full")
    outcome = world.searcher().search(query, plan)
    first, second = told(world, outcome)
    assert world.ids(outcome.rows) == ["a", "b"]
    assert world.ids(outcome.prf.rows) == ["a"], "0.3 + 0.7 * 1.8 / 1.96 against 0.15 + 0.7"
    assert second.sparse is not None
    assert (second.sparse.raw, second.sparse.norm) == (3.0, 0.5)
    assert second.sparse.contribution == pytest.approx(0.15)
    assert (second.sparse.rank, second.sparse.source) == (2, "list")
    assert second.terms is not None
    (term,) = second.terms
    assert (term.term, term.query_weight, term.doc_weight, term.value) == ("a", 3.0, 1.0, 3.0)
    assert (term.origin, second.other) == ("query", 0.0)
    z = float(np.hypot(0.8 * 0.8 + 0.2, 0.8 * 0.6))
    assert second.prf is not None
    assert second.prf.dense_query == pytest.approx(0.8 * 0.96 / z, abs=1e-6)
    assert second.prf.dense_feedback == pytest.approx(0.2 * 0.6 / z, abs=1e-6)
    assert [(one.doc_id, one.value) for one in second.prf.by_feedback] == [
        ("a", second.prf.dense_feedback)
    ]
    assert second.dense is not None
    assert second.dense.raw == pytest.approx((0.768 + 0.12) / z, abs=1e-6)
    assert second.rank_before_prf == 2
    assert first.score == pytest.approx(0.3 + 0.7 * (1 + 0.84 / z) / (1 + 0.888 / z), abs=1e-6)


def test_the_best_ten_terms_and_the_rest() -> None:
    weights = {i: float(i + 1) for i in range(14)}
    world = World(["a"], CSR.from_rows([weights]), np.array([[1, 0]], np.float32))
    query = HybridQuery(
        "", SparseVector.from_mapping(dict.fromkeys(range(14), 2.0)), np.array([1, 0], np.float32)
    )
    outcome = world.searcher().search(query, SearchPlan(explain="full"))
    (each,) = told(world, outcome)
    assert each.terms is not None
    assert [term.term for term in each.terms] == list("nmlkjihgfe")
    assert each.other == 2 * (1 + 2 + 3 + 4)
    assert each.sparse is not None
    assert each.sparse.raw == 2 * sum(range(1, 15))


@pytest.mark.parametrize("alpha", [1.0, 0.0])
def test_where_terms_come_from(alpha: float) -> None:
    """The text says a; the model adds b; the feedback document brings c."""
    rows = [{0: 4.0, 2: 3.0}, {1: 1.0, 2: 2.0}, {3: 1.0}]
    vectors = unit(np.array([[1, 0], [0, 1], [-1, 0]]))
    world = World(["x", "y", "z"], CSR.from_rows(rows, 5), vectors)
    query = HybridQuery("a", None, np.array([1, 0], np.float32))
    sparse = SparseFeedback(enabled=True, max_df=1.0, alpha=alpha)
    plan = SearchPlan(prf=Prf("both", depth=1, sparse=sparse), explain="full")
    outcome = world.searcher().search(query, plan)
    assert world.ids(outcome.prf.rows) == ["x"]
    terms = query_terms(world.searcher().sparse, outcome)
    origins = {term.term: term.origin for term in terms}
    expected = {"a": "query", "b": "model", "c": "feedback"}
    if alpha == 0:
        del expected["b"]
    assert origins == expected
    weights = [term.weight for term in terms]
    assert weights == sorted(weights, reverse=True)
    for each in told(world, outcome):
        assert {term.term: term.origin for term in each.terms or ()}.items() <= expected.items()
    own = query_terms(world.searcher().sparse, world.searcher().search(query, SearchPlan()))
    assert [(term.term, term.weight, term.origin) for term in own] == [
        ("a", 1.0, "query"),
        ("b", 0.5, "model"),
    ]
    given_ = query._replace(text=" ", sparse=SparseVector.from_mapping({1: 1.0}))
    outcome = world.searcher().search(given_, SearchPlan())
    assert [term.origin for term in query_terms(world.searcher().sparse, outcome)] == ["query"]


def test_a_feedback_that_does_not_say_what_it_is_made_of() -> None:
    class Silent:
        is_off = False

        def expand(self, query: Any, documents: Any, term_filter: Any) -> Expanded[Any]:
            return Expanded(documents[0])

    world, query = random_world(5, 20)
    searcher = world.searcher(dense_feedback=Silent())
    outcome = searcher.search(query, SearchPlan(prf=Prf("both"), explain="full"))
    assert outcome.prf.applied
    for each in explain(searcher, outcome, 0, 20, world.ids):
        assert each.prf is None
        assert each.terms is not None
        check_scores(each, outcome)


@pytest.mark.parametrize("missing", ["exact", "zero"])
def test_where_scores_come_from(missing: Any) -> None:
    """Beyond a window of two: completed from vectors, or absent and without parts."""
    vectors = unit(np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]]))
    world = World(["a", "b", "c", "d"], CSR.from_rows([{0: 1.0}, {}, {0: 3.0}, {0: 2.0}]), vectors)
    query = HybridQuery("", SparseVector.from_mapping({0: 1.0}), unit(np.array([1.0, 0.0])))
    plan = SearchPlan(window=2, fusion=Fusion(missing=missing), explain="full")
    outcome = world.searcher().search(query, plan)
    found = dict(zip(world.ids(outcome.rows), told(world, outcome), strict=True))
    completed = "completed" if missing == "exact" else "absent"
    sources = {
        doc_id: (each.sparse.source, each.dense.source)
        for doc_id, each in found.items()
        if each.sparse and each.dense
    }
    assert sources == {
        "a": (completed, "list"),
        "b": ("absent", "list"),
        "c": ("list", completed),
        "d": ("list", completed),
    }
    assert found["a"].terms is not None
    assert len(found["a"].terms) == (1 if missing == "exact" else 0)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("explained") / "index")


@pytest.fixture
def opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    made = Opened(path, monkeypatch)
    yield made
    made.collection.close()


@pytest.mark.parametrize("condition", CONDITIONS)
def test_an_answer_tells(opened: Opened, condition: Any) -> None:
    plan = fed(condition)
    answer = opened.search(plan=plan)
    assert answer.prf.applied
    order = ids(opened.search(plan=unfed(plan)))
    for hit in answer.hits:
        assert hit.explanation is not None
        before = hit.explanation.rank_before_prf
        assert before == (order.index(hit.document.doc_id) + 1)
        assert hit.explanation.score == hit.score
    learned_from = [(one.doc_id, one.score) for one in answer.prf.feedback]
    assert len(learned_from) == 3
    scores = [score for _, score in learned_from]
    assert scores == sorted(scores, reverse=True)
    if condition == "dense_only":
        assert answer.prf.terms == ()
    else:
        own = {term.term for term in answer.prf.terms if term.origin == "query"}
        assert own == {"north", "tower"}
        assert any(term.origin == "feedback" for term in answer.prf.terms) is (condition != "pre")


def test_what_is_not_asked_for_is_not_told(opened: Opened) -> None:
    for explain_ in ("none", "scores"):
        answer = opened.search(plan=replace(fed("both"), explain=explain_))
        assert answer.prf.terms == ()
        assert answer.prf.feedback, "what feedback learned from is always told"
        assert ("explain" in answer.took_ms) is (explain_ != "none")
        for hit in answer.hits:
            assert (hit.explanation is None) is (explain_ == "none")
            if hit.explanation is not None:
                assert (hit.explanation.terms, hit.explanation.prf) == (None, None)
    plain = opened.search(plan=replace(fed("both"), explain="none"))
    full = opened.search(plan=fed("both"))
    assert [hit.score for hit in plain.hits] == [hit.score for hit in full.hits]
    assert plain.text == QUERY


def test_a_side_without_weight_in_the_result_is_told_and_not_completed() -> None:
    world, query = random_world(7, 40)
    plan = SearchPlan(window=10, prf=Prf("pre"), explain="full")
    outcome = world.searcher().search(query, plan)
    assert world.sparse.calls["score"] == 1, "for the list that feedback was picked from"
    sources = set()
    for each in told(world, outcome):
        assert each.sparse is not None
        assert each.dense is not None
        assert (each.sparse.weight, each.sparse.contribution) == (0, 0)
        assert (each.dense.source, each.dense.contribution) == ("list", each.score)
        assert (each.sparse.rank is not None) is (each.sparse.raw > 0)
        sources.add(each.sparse.source)
    assert sources == {"list", "absent"}
