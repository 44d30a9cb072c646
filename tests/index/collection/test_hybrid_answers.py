"""Hybrid answers as a whole: what is searched, how often, what a filter and pages leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import QueryError
from lsr.index.collection.build import build_collection
from lsr.retrieval.feedback import DenseFeedback, SparseFeedback
from lsr.retrieval.fusion import Fusion
from lsr.retrieval.plan import Interpolation, Prf, SearchPlan
from lsr.types import Document
from tests.support.counted_index import (
    CONDITIONS,
    QUERY,
    TEXTS,
    Opened,
    build,
    codes,
    fed,
    ids,
    pairs,
    unfed,
)
from tests.support.search_sides import Compass

pytest.importorskip("faiss")

ALL_CONDITIONS: tuple[Interpolation, ...] = ("none", *CONDITIONS)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("hybrid") / "index")


@pytest.fixture
def opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    made = Opened(path, monkeypatch)
    yield made
    made.collection.close()


def calls(opened: Opened) -> Counter[str]:
    """Searches and encodings since the last time."""
    found = Counter(
        {
            f"{name} {call}": getattr(opened, name).calls[call]
            for name in ("sparse", "dense")
            for call in ("encode", "search")
        }
    )
    assert len(opened.encoder.asked) == found["dense encode"], "nothing is encoded on the side"
    opened.encoder.asked.clear()
    opened.sparse.calls.clear()
    opened.dense.calls.clear()
    return +found


@pytest.mark.parametrize("explain", ["none", "full"])
@pytest.mark.parametrize("condition", ALL_CONDITIONS)
def test_nothing_is_done_twice(opened: Opened, condition: Any, explain: Any) -> None:
    once = Counter({"sparse encode": 1, "sparse search": 1, "dense encode": 1, "dense search": 1})
    dense_only = Counter({"dense encode": 1, "dense search": 1})
    first = dense_only if condition == "dense_only" else once
    for method in ("convex", "rrf"):
        plan = SearchPlan(fusion=Fusion(method=method), prf=Prf(condition), explain=explain)
        answer = opened.search(plan=plan)
        assert answer.prf.applied is (condition != "none")
        again = Counter({"dense search": 1} if condition != "none" else {})
        assert calls(opened) == first + again, "the sparse list is searched once"
        both = replace(plan, prf=replace(plan.prf, sparse=SparseFeedback(enabled=True, max_df=1.0)))
        opened.search(plan=both)
        if condition in ("post", "both"):
            again += Counter({"sparse search": 1})
        assert calls(opened) == first + again


@pytest.mark.parametrize(
    "prf",
    [
        {"depth": 0},
        {"dense": DenseFeedback(beta=0)},
        {"depth": 0, "sparse": SparseFeedback(enabled=True, max_df=1.0)},
        {"dense": DenseFeedback(beta=0), "sparse": SparseFeedback(enabled=True, beta=0)},
    ],
)
@pytest.mark.parametrize("method", ["convex", "rrf"])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_feedback_that_is_off_costs_nothing(
    opened: Opened, condition: Any, method: Any, prf: dict[str, Any]
) -> None:
    plan = SearchPlan(fusion=Fusion(method=method), prf=Prf(condition, **prf), explain="scores")
    answer = opened.search(plan=plan)
    made = calls(opened)
    plain = opened.search(plan=unfed(plan))
    assert made == calls(opened)
    assert max(made.values()) == 1
    assert pairs(answer) == pairs(plain)
    assert [hit.explanation for hit in answer.hits] == [hit.explanation for hit in plain.hits]
    assert (answer.prf.applied, answer.prf.reason) == (False, "off")


@pytest.mark.parametrize("norm", ["tmm", "minmax", "max", "zscore", "none", "rrf"])
@pytest.mark.parametrize("text", [QUERY, "tower", "into", "unicorn", "south tower market"])
def test_all_weight_on_one_side_is_its_mode(opened: Opened, norm: Any, text: str) -> None:
    for weight, mode, other in ((1, "sparse", "dense"), (0, "dense", "sparse")):
        fusion = Fusion(method="rrf", weight_sparse=weight)
        if norm != "rrf":
            fusion = Fusion(norm=norm, weight_sparse=weight)
        alone = opened.search(text, mode=mode)
        calls(opened)
        conditions: tuple[Interpolation, ...] = ("none", "pre", "post", "both")
        for condition in conditions:
            plan = SearchPlan(fusion=fusion, prf=Prf(condition, depth=0), explain="scores")
            answer = opened.search(text, plan)
            assert ids(answer) == ids(alone)
            assert answer.total == alone.total
            assert set(calls(opened)) == {f"{mode} encode", f"{mode} search"}
            assert all(getattr(hit.explanation, other) is None for hit in answer.hits)


def test_the_other_side_is_not_searched_for_feedback_that_changes_nothing(opened: Opened) -> None:
    """`post` moves the dense query, and the result is sparse alone."""
    plan = SearchPlan(fusion=Fusion(weight_sparse=1), prf=Prf("post"))
    assert ids(opened.search(plan=plan)) == ids(opened.search(mode="sparse"))
    assert set(calls(opened)) == {"sparse encode", "sparse search"}


def test_single_modes_have_raw_scores(opened: Opened) -> None:
    sparse, dense = opened.collection.sparse, opened.collection.dense
    for mode in ("sparse", "dense"):
        answer = opened.search(mode=mode)
        query = sparse.encode([QUERY]) if mode == "sparse" else dense.encode([QUERY])
        found = (sparse if mode == "sparse" else dense).search(query, 8)  # type: ignore[arg-type]
        n = len(answer.hits)
        assert n == int((found.rows[0] >= 0).sum())
        rows = found.rows[0, :n]
        assert ids(answer) == opened.collection.segment.doc_ids(rows)
        assert [hit.score for hit in answer.hits] == found.scores[0, :n].tolist()
        assert answer.mode == mode


@pytest.mark.parametrize("condition", ALL_CONDITIONS)
def test_more_asked_for_than_there_is(opened: Opened, condition: Any) -> None:
    n = len(TEXTS)
    for window in (n, 10_000):
        answer = opened.search(
            "north tower into", SearchPlan(window=window, prf=Prf(condition)), k=500
        )
        assert sorted(ids(answer)) == sorted(set(TEXTS) - ({"plain"} & {condition_drop(condition)}))
        assert answer.total == len(answer.hits)
        page = opened.search(
            "north tower into", SearchPlan(window=window, prf=Prf(condition)), offset=400
        )
        assert page.hits == ()


def condition_drop(condition: str) -> str:
    """The document that has no dense vector is not in a dense result."""
    return "plain" if condition in ("pre", "dense_only") else ""


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_feedback_vector_without_direction(opened: Opened, condition: Any) -> None:
    """Half the query and half its opposite: the query stays, and the answer says so."""
    dense = DenseFeedback(alpha=0.5, beta=0.5)
    plan = SearchPlan(prf=Prf(condition, dense=dense), explain="scores")
    where = {"id": "harbour"}
    answer = opened.search("north", plan, where=where)
    assert (answer.prf.applied, answer.prf.reason) == (False, "no_direction")
    assert "feedback_without_direction" in codes(answer)
    plain = opened.search("north", unfed(plan), where=where)
    assert pairs(answer) == pairs(plain)
    assert [hit.explanation for hit in answer.hits] == [hit.explanation for hit in plain.hits]
    both = replace(plan, prf=replace(plan.prf, sparse=SparseFeedback(enabled=True, max_df=1.0)))
    answer = opened.search("north", both, where=where)
    assert "feedback_without_direction" in codes(answer)
    assert answer.prf.applied is (condition in ("post", "both")), "the sparse query has moved"


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_new_generation_while_a_search_is_on_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, condition: Any
) -> None:
    """A reader keeps its generation: documents, vectors and lists."""
    path = build(tmp_path / "index")
    opened = Opened(path, monkeypatch)
    plan = fed(condition)
    expected = opened.search(plan=plan)
    others = [Document("new", "north tower"), Document("gate", "south")]

    def publish(call: int) -> None:
        if call == 1:
            build_collection(others, path, sparse=Bm25Encoder(), dense=Compass())

    opened.dense.calls.clear()
    opened.dense.before["search"] = publish
    answer = opened.search(plan=plan)
    assert answer.hits == expected.hits
    assert answer.prf == expected.prf
    assert answer.generation == expected.generation == 1
    assert opened.search(plan=plan).hits == expected.hits
    opened.collection.close()
    opened = Opened(path, monkeypatch)
    answer = opened.search(plan=plan)
    assert answer.generation == 2
    assert set(ids(answer)) == {"new", "gate"}
    opened.collection.close()


@pytest.mark.parametrize("method", ["convex", "rrf"])
@pytest.mark.parametrize("missing", ["exact", "zero"])
def test_documents_that_one_side_has_not(opened: Opened, missing: Any, method: Any) -> None:
    plan = SearchPlan(fusion=Fusion(method=method, missing=missing), explain="full")
    answer = opened.search("into north tower", plan)
    told = {hit.document.doc_id: hit.explanation for hit in answer.hits}
    for doc_id, absent, there in (("plain", "dense", "sparse"), ("into", "sparse", "dense")):
        part = getattr(told[doc_id], absent)
        assert (part.source, part.raw, part.norm, part.contribution) == ("absent", 0, 0, 0)
        assert part.rank is None
        other = getattr(told[doc_id], there)
        assert other.source == "list"
        assert other.raw > 0
    into = told["into"]
    assert into is not None
    assert (into.terms, into.other) == ((), 0)


@pytest.mark.parametrize("method", ["convex", "rrf"])
@pytest.mark.parametrize("condition", ALL_CONDITIONS)
def test_one_text_twice(opened: Opened, condition: Any, method: Any) -> None:
    """Equal scores, side by side, by id; feedback learns from one of them."""
    plan = replace(fed(condition, depth=20), fusion=Fusion(method=method))
    answer = opened.search("north tower harbour", plan)
    found = ids(answer)
    place = found.index("tower-1")
    assert found[place + 1] == "tower-2"
    one, other = answer.hits[place : place + 2]
    if method == "convex" or condition == "dense_only":
        assert one.score == other.score
    learned_from = [document.doc_id for document in answer.prf.feedback]
    assert len(set(learned_from)) == len(learned_from)
    assert "tower-2" not in learned_from
    assert ("tower-1" in learned_from) is (condition != "none")


@pytest.mark.parametrize("condition", ALL_CONDITIONS)
@pytest.mark.parametrize("sparse", [False, True])
def test_the_filter_holds_throughout(
    opened: Opened, condition: Any, sparse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = fed(condition, depth=20)
    if not sparse:
        plan = replace(plan, prf=replace(plan.prf, sparse=SparseFeedback()))
    allowed = {"gate", "tower-1", "market"}
    mask = np.array([doc_id in allowed for doc_id in TEXTS])
    monkeypatch.setattr(opened.collection.metadata, "mask", lambda where: mask)
    answer = opened.search("north tower", plan, where={"id": "any"})
    assert set(ids(answer)) == allowed
    assert {document.doc_id for document in answer.prf.feedback} <= allowed
    searches = opened.sparse.arguments["search"] + opened.dense.arguments["search"]
    assert len(searches) >= 2
    assert all(allowed_rows is mask for _, _, allowed_rows in searches)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("method", ["convex", "rrf"])
@pytest.mark.parametrize("condition", ALL_CONDITIONS)
def test_pages_put_together_are_one_list(
    opened: Opened, condition: Any, method: Any, size: int
) -> None:
    plan = replace(fed(condition), fusion=Fusion(method=method), window=8)
    whole = opened.search("north tower into", plan, k=8)
    pages = [
        opened.search("north tower into", plan, k=size, offset=offset)
        for offset in range(0, 8, size)
        if offset + size <= 8 or size == 1
    ]
    joined = [hit for page in pages for hit in page.hits]
    assert joined == list(whole.hits[: len(joined)])
    assert {page.total for page in pages} == {whole.total}


def test_beyond_the_window(opened: Opened) -> None:
    """Fusion cannot know what comes after; a single mode can."""
    plan = SearchPlan(window=3)
    assert len(opened.search(plan=plan, k=3).hits) == 3
    for k, offset in ((4, 0), (1, 3), (2, 2)):
        message = (
            f"offset and limit reach hit {offset + k} and fusion looks at the best 3 of each side; "
            "set window to at least 4, the same on every page"
        )
        with pytest.raises(QueryError) as caught:
            opened.search(plan=plan, k=k, offset=offset)
        assert str(caught.value) == message
    with pytest.raises(QueryError, match="reach hit 50 .* set window to at least 8,"):
        opened.search(plan=plan, k=50)
    for mode in ("sparse", "dense"):
        whole = opened.search(mode=mode)
        assert pairs(opened.search(plan=plan, mode=mode)) == pairs(whole)
        assert pairs(opened.search(plan=plan, mode=mode, k=2, offset=3)) == pairs(whole)[3:5]
    dense_only = replace(plan, prf=Prf("dense_only"))
    assert len(opened.search(plan=dense_only, k=7).hits) == 7


@pytest.mark.parametrize("window", [1, 3, 8, 100])
@pytest.mark.parametrize("mode", ["hybrid", "dense", "sparse"])
def test_the_total_can_be_paged_through(opened: Opened, mode: Any, window: int) -> None:
    plan = SearchPlan(mode=mode, window=window)
    total = opened.search("north tower into", plan, k=1).total
    assert total >= min(window, 6)
    for offset in range(total):
        page = opened.search("north tower into", plan, k=1, offset=offset)
        assert len(page.hits) == 1
