"""What a hybrid search answers when something is missing, empty, equal, wrong or fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import IndexVersionError, ModelError, RetrieverError, UnavailableError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.retrieval.candidates import SideList, fused_list
from lsr.retrieval.feedback import DenseFeedback
from lsr.retrieval.fusion import Fusion
from lsr.retrieval.hybrid import HybridQuery
from lsr.retrieval.plan import Interpolation, Prf, SearchPlan
from lsr.sparse import CSR, SparseVector
from lsr.types import Document
from tests.support.counted_index import (
    CONDITIONS,
    QUERY,
    Opened,
    build,
    codes,
    fails,
    fed,
    ids,
    pairs,
    unfed,
)
from tests.support.search_sides import Compass, World

pytest.importorskip("faiss")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("hybrid") / "index")


@pytest.fixture
def opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    made = Opened(path, monkeypatch)
    yield made
    made.collection.close()


@pytest.mark.parametrize("text", ["into", "north unicorn"])
@pytest.mark.parametrize("method", ["convex", "rrf"])
def test_no_known_sparse_term(opened: Opened, text: str, method: Any) -> None:
    """`north` is left out of the sparse query by giving none: the dense list alone, weighted."""
    plan = SearchPlan(fusion=Fusion(method=method), explain="scores")
    nothing = SparseVector.from_mapping({})
    answer = opened.search(text, plan, sparse_vector=nothing)
    assert ids(answer) == ids(opened.search(text, mode="dense"))
    assert codes(answer) == ["sparse_empty"]
    for rank, hit in enumerate(answer.hits, start=1):
        assert hit.explanation is not None
        assert hit.explanation.sparse is not None
        assert hit.explanation.sparse.norm == hit.explanation.sparse.contribution == 0
        assert hit.explanation.sparse.source == "absent"
        assert hit.explanation.dense is not None
        expected = 1 / (60 + rank) if method == "rrf" else 0.7 * hit.explanation.dense.norm
        assert hit.score == pytest.approx(expected, rel=1e-12)
    assert answer.hits[0].score == pytest.approx(0.7 if method == "convex" else 1 / 61)


def test_a_query_of_stop_words(opened: Opened) -> None:
    answer = opened.search("into the")
    assert codes(answer) == ["sparse_empty"]
    assert ids(answer) == ids(opened.search("into the", mode="dense"))
    assert answer.hits[0].document.doc_id == "into"


def test_no_word_that_the_dense_side_knows(opened: Opened) -> None:
    answer = opened.search("tower")
    assert codes(answer) == ["dense_empty"]
    assert ids(answer) == ids(opened.search("tower", mode="sparse"))
    assert answer.hits[0].score == pytest.approx(0.3), "the weight is kept, nothing is rescaled"
    raw = [score for _, score in pairs(opened.search("tower", mode="sparse"))]
    assert [hit.score for hit in answer.hits] == pytest.approx([0.3 * s / raw[0] for s in raw])


def test_a_side_that_finds_nothing(opened: Opened) -> None:
    """The filter leaves no hit to a side that has understood the query."""
    answer = opened.search(where={"id": "plain"})
    assert ids(answer) == ["plain"]
    assert answer.hits[0].score == pytest.approx(0.3)
    assert codes(answer) == ["dense_no_hits"]
    answer = opened.search(where={"id": "into"})
    assert ids(answer) == ["into"]
    assert answer.hits[0].score == pytest.approx(0.7)
    assert codes(answer) == ["sparse_no_hits"]


@pytest.mark.parametrize("side", ["sparse", "dense"])
@pytest.mark.parametrize("call", ["encode", "search"])
@pytest.mark.parametrize("error", [RuntimeError("no luck"), OSError("no luck")])
def test_a_side_that_fails(opened: Opened, side: str, call: str, error: Exception) -> None:
    watched = getattr(opened, side)
    other, weight = ("dense", 0.7) if side == "sparse" else ("sparse", 0.3)
    alone = opened.search(mode=other)
    watched.before[call] = fails(error)
    with pytest.raises(RetrieverError, match=rf"the {side} side failed \(no luck\); try again"):
        opened.search()
    conditions: list[Interpolation] = ["none", "pre", "post", "both"]
    for condition in conditions:
        plan = SearchPlan(prf=Prf(condition, depth=1), allow_partial=True)
        answer = opened.search(plan=plan)
        assert answer.mode == "hybrid"
        assert f"{side}_failed" in codes(answer)
        assert "no luck" in answer.warnings[0].detail
        if condition == "none" or side == "dense":
            assert ids(answer) == ids(alone)
            assert answer.hits[0].score == pytest.approx(weight)
        else:
            assert answer.prf.applied, "the dense side feeds itself"


@pytest.mark.parametrize("side", ["sparse", "dense"])
def test_a_side_that_fails_when_searched_again(opened: Opened, side: str) -> None:
    """The answer without feedback is there already: with `allow_partial` it is given."""
    plan = fed("both")
    getattr(opened, side).before["search"] = fails(RuntimeError("no luck"), at_call=2)
    with pytest.raises(RetrieverError, match=rf"the {side} side failed \(no luck\)"):
        opened.search(plan=plan)
    for condition in ("both", "post"):
        opened.sparse.calls.clear()
        opened.dense.calls.clear()
        answer = opened.search(plan=replace(fed(condition), allow_partial=True))
        assert codes(answer) == [f"{side}_failed"]
        assert (answer.prf.applied, answer.prf.reason) == (False, "search_failed")
        assert pairs(answer) == pairs(opened.search(plan=SearchPlan()))


@pytest.mark.parametrize("condition", ["none", *CONDITIONS])
def test_both_sides_failing_is_an_error_always(opened: Opened, condition: Any) -> None:
    for side in (opened.sparse, opened.dense):
        side.before["search"] = fails(RuntimeError("no luck"))
    with pytest.raises(RetrieverError, match="no luck"):
        opened.search(plan=SearchPlan(prf=Prf(condition), allow_partial=True))


@pytest.mark.parametrize(
    ("plan", "side"),
    [
        (SearchPlan(mode="sparse"), "sparse"),
        (SearchPlan(mode="dense"), "dense"),
        (SearchPlan(prf=Prf("dense_only")), "dense"),
        (SearchPlan(fusion=Fusion(weight_sparse=1)), "sparse"),
        (SearchPlan(fusion=Fusion(weight_sparse=0)), "dense"),
        (SearchPlan(fusion=Fusion(weight_sparse=0), prf=Prf("both")), "dense"),
        (SearchPlan(fusion=Fusion(weight_sparse=0), prf=Prf(weight_sparse_pre=0.5)), "dense"),
    ],
)
def test_a_side_that_nothing_stands_in_for(opened: Opened, plan: SearchPlan, side: str) -> None:
    """An empty answer would look as if nothing were there to be found."""
    getattr(opened, side).before["search"] = fails(RuntimeError("no luck"))
    with pytest.raises(RetrieverError, match=f"the {side} side failed"):
        opened.search(plan=replace(plan, allow_partial=True))


@pytest.mark.parametrize(
    "error", [UnavailableError("install it"), IndexVersionError("another model")]
)
def test_errors_that_do_not_pass_keep_their_kind(opened: Opened, error: Exception) -> None:
    opened.dense.before["encode"] = fails(error)
    with pytest.raises(type(error), match=str(error)):
        opened.search()
    opened.dense.calls.clear()
    answer = opened.search(plan=SearchPlan(allow_partial=True))
    assert codes(answer) == ["dense_failed"]
    assert str(error) in answer.warnings[0].detail


def test_both_sides_empty(opened: Opened) -> None:
    for condition in CONDITIONS:
        answer = opened.search("unicorn", fed(condition))
        assert (answer.hits, answer.total) == ((), 0)
        assert answer.prf.applied is False
        assert answer.prf.reason == "no_feedback_documents"
        assert answer.prf.feedback == ()
        expected = ["dense_empty"] if condition == "dense_only" else ["sparse_empty", "dense_empty"]
        assert codes(answer) == expected
    assert opened.search("unicorn").prf.reason == "off"
    assert opened.search("unicorn", mode="sparse").hits == ()


NONE_REACHES_1 = {"pre": "harbour north", "both": "harbour north", "dense_only": "into north"}
"""Queries whose best documents differ by side, or are none's direction."""


@pytest.mark.parametrize("method", ["convex", "rrf"])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_no_feedback_document_is_no_feedback(opened: Opened, condition: Any, method: Any) -> None:
    """By a filter that leaves none with a vector, and by a score that none reaches."""
    fusion = Fusion(method=method, weight_sparse=0.4)
    cases: list[tuple[SearchPlan, Any, str]] = [
        (replace(fed(condition), fusion=fusion), {"id": "plain"}, QUERY)
    ]
    if condition in NONE_REACHES_1 or method == "rrf":
        for pre in (None, 0.2):
            plan = replace(fed(condition, weight_sparse_pre=pre, min_score=1.0), fusion=fusion)
            cases.append((plan, None, NONE_REACHES_1.get(condition, QUERY)))
    for plan, where, text in cases:
        answer = opened.search(text, plan, where=where)
        assert (answer.prf.applied, answer.prf.reason) == (False, "no_feedback_documents")
        assert answer.prf.feedback == ()
        plain = opened.search(text, unfed(plan), where=where)
        assert pairs(answer) == pairs(plain)
        assert [hit.explanation for hit in answer.hits] == [hit.explanation for hit in plain.hits]


def test_the_result_without_feedback_is_of_one_side_only(opened: Opened) -> None:
    """The dense side picks the documents to learn from, and has no say in ties."""
    plan = replace(
        fed("both", weight_sparse_pre=0.5, min_score=1.0), fusion=Fusion(weight_sparse=1)
    )
    for text in ("harbour north", "market gate into"):
        answer = opened.search(text, plan)
        assert answer.prf.reason == "no_feedback_documents"
        assert ids(answer) == ids(opened.search(text, mode="sparse"))


def test_fewer_documents_than_the_depth(opened: Opened) -> None:
    where = {"id": "gate"}
    plan = SearchPlan(prf=Prf("both", depth=20, dense=DenseFeedback(alpha=0.5, beta=0.5)))
    outcome = opened.collection.hybrid.search(
        HybridQuery(QUERY), plan, opened.collection.metadata.mask(where)
    )
    assert len(outcome.prf.rows) == 1
    assert outcome.prf.dense is not None
    root = np.sqrt(0.5)
    moved = 0.5 * np.array([0, 1, 0]) + 0.5 * np.array([root, root, 0])
    expected = moved / np.linalg.norm(moved)
    assert outcome.prf.dense.vector.tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    answer = opened.search(plan=plan)
    assert [one.doc_id for one in answer.prf.feedback] == [
        one for one in ids(opened.search()) if one not in ("tower-2", "plain")
    ], "all that have a vector, and of two texts that are one only the first"


@pytest.mark.parametrize("norm", ["tmm", "max", "minmax", "zscore"])
def test_one_hit_a_side(opened: Opened, norm: Any) -> None:
    fusion = Fusion(norm=norm, weight_sparse=0.3)
    answer = opened.search(plan=SearchPlan(fusion=fusion), where={"id": "gate"})
    assert ids(answer) == ["gate"]
    assert answer.hits[0].score == pytest.approx(0.0 if norm == "zscore" else 1.0)


@pytest.mark.parametrize("norm", ["tmm", "max", "minmax", "zscore"])
def test_best_score_at_the_floor(opened: Opened, norm: Any) -> None:
    """A cosine of -1: nothing is above the theoretical minimum."""
    plan = SearchPlan(fusion=Fusion(norm=norm, weight_sparse=0.3), explain="scores")
    answer = opened.search("north", plan, where={"id": "harbour"})
    assert ids(answer) == ["harbour"]
    assert answer.hits[0].score == pytest.approx(0.7 if norm == "minmax" else 0)
    explanation = answer.hits[0].explanation
    assert explanation is not None
    assert explanation.dense is not None
    assert explanation.dense.raw == pytest.approx(-1)


def test_numbers_of_a_query_that_are_not_finite(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="the dense model 'compass' gave numbers that are not fin"):
        opened.search("broken north")
    with pytest.raises(ModelError):
        opened.search("broken north", mode="dense")
    assert opened.search("broken north", mode="sparse").hits
    good = opened.collection.encoder.encode_queries

    def poisoned(texts: Any) -> Any:
        vectors = good(texts)
        return vectors._replace(weights=np.full_like(vectors.weights, np.inf))

    monkeypatch.setattr(opened.collection.encoder, "encode_queries", poisoned)
    with pytest.raises(ModelError, match="the sparse model 'bm25' gave numbers that are not fin"):
        opened.search("north")
    assert opened.dense.calls["search"] == 0, "nothing is ranked by them"


def test_numbers_of_documents_that_are_not_finite(tmp_path: Path) -> None:
    """Refused when the index is built; what was there before stays."""

    class Poisoned(Bm25Encoder):
        def __init__(self, weight: float) -> None:
            super().__init__()
            self.weight = weight

        def encode_corpus(self, batches: Any) -> CSR:
            vectors = super().encode_corpus(batches)
            vectors.weights[1] = self.weight
            return vectors

    target = tmp_path / "index"
    documents = [Document("a", "north tower"), Document("b", "south")]
    for before in (None, 1):
        broken = [*documents, Document("c", "broken north")]
        with pytest.raises(ModelError, match="dense model 'compass' gave .*text 'broken north'"):
            build_collection(broken, target, sparse=Bm25Encoder(), dense=Compass())
        for weight in (np.nan, np.inf, -1.0, 0.0):
            with pytest.raises(ModelError, match="sparse encoder 'bm25' gave .*row 0 has a wei"):
                build_collection(documents, target, sparse=Poisoned(weight))
        if before is None:
            assert list(tmp_path.iterdir()) == []
            build_collection(documents, target, sparse=Bm25Encoder(), dense=Compass())
        else:
            assert [path.name for path in tmp_path.iterdir()] == ["index"]
            collection = CollectionReader.open(target)
            assert (collection.manifest.generation, collection.n_documents) == (1, 2)
            collection.close()


def test_a_score_that_is_not_finite() -> None:
    """Every number is finite, and their product is not."""
    world = World(["a"], CSR.from_rows([{0: 2.0}]), np.array([[1, 0]], np.float32))
    query = HybridQuery("", SparseVector.from_mapping({0: 3e38}), np.array([1, 0], np.float32))
    with pytest.raises(ModelError, match="a score of the sparse side is not a finite number"):
        world.searcher().search(query, SearchPlan())


@pytest.mark.parametrize(
    ("rows", "ranked"), [([3, 1, 4, 0, 2], [3, 1, 4, 0, 2]), ([3, 4, 1, 2, 0], [3, 1, 4, 2, 0])]
)
def test_one_list_with_equal_scores_is_fused_as_any(
    rows: list[int], ranked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal scores are in the order of `tie_order`, or are put into it."""
    scores = np.array([0.9, 0.7, 0.7, 0.7, 0.1], np.float32)
    found = SideList(np.array(rows, np.int32), scores, SparseVector.from_mapping({1: 1.0}))
    sides: Any = (SimpleNamespace(floor=0.0), None)
    fusion = Fusion(method="convex", norm="none", weight_sparse=1.0)
    order = np.array([2, 0, 4, 3, 1], np.int32)
    quick = fused_list(found, None, sides, fusion, 1.0, order)
    monkeypatch.setattr("lsr.retrieval.candidates._is_ordered", lambda *_: False)
    slow = fused_list(found, None, sides, fusion, 1.0, order)
    for each in (quick, slow):
        assert each.rows[each.order].tolist() == ranked
    for one, other in zip(quick, slow, strict=True):
        assert str(one) == str(other)
