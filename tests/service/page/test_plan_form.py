"""What addresses of the search page say of a plan, and what the page makes of an answer."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

import lsr.index.collection.retrievers
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.retrieval.answer import PrfReport
from lsr.retrieval.answers.answer import Answer
from lsr.retrieval.explanation import Explanation, SidePart
from lsr.retrieval.feedback import SparseFeedback
from lsr.retrieval.fusion import Fusion
from lsr.retrieval.hybrid import Notice
from lsr.retrieval.plan import MODES, Prf, SearchPlan
from lsr.service.app import create_app
from lsr.service.catalog import Catalog
from lsr.service.engine import FoundHit, SearchEngine
from lsr.service.page.curl import curl_command, search_body
from lsr.service.page.feedback_view import feedback_view, notes
from lsr.service.page.plan_form import PLAN_NAMES, Controls, PagePlan, shown_default
from lsr.service.page.query_string import PageQuery
from lsr.service.page.query_words import QueryWords
from lsr.service.page.score_view import full_length, score_view
from lsr.service.page.timing_view import STAGE_WORDS, stages
from lsr.service.settings import Settings
from lsr.service.terms import QueryTerms, WordMemory
from lsr.types import Document
from tests.support.dense_counts import Counts
from tests.support.hybrid_corpus import DOCUMENTS, Topics

BUILT_IN = SearchPlan()
TUNED = SearchPlan(
    fusion=Fusion(norm="minmax", weight_sparse=0.45),
    prf=Prf(interpolate="both", depth=5, sparse=SparseFeedback(enabled=True)),
)
RANKS = SearchPlan(fusion=Fusion(method="rrf", weight_sparse=0.35), prf=Prf(interpolate="pre"))
EVERY = {
    "mode": ("", *MODES),
    "weight": ("", "0.3", "0.9"),
    "fusion": ("", "convex", "rrf"),
    "prf": ("", "none", "pre", "post", "both", "dense_only"),
    "depth": ("", "3"),
    "expand": ("", "yes", "no"),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchEngine]:
    path = tmp_path_factory.mktemp("pageplan") / "shore"
    build_collection(DOCUMENTS, path, sparse=Bm25Encoder(), dense=Topics())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            lsr.index.collection.retrievers, "open_dense_encoder", lambda *_, **__: Topics()
        )
        engine = SearchEngine(Catalog.open({"shore": path}))
        yield engine
        engine.catalog.close()


@pytest.fixture
def client(engine: SearchEngine, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    return TestClient(create_app(engine, Settings()))  # not entered, so it closes no engine


def _read(said: dict[str, str], default: SearchPlan) -> PagePlan:
    return PagePlan.of(QueryParams({k: v for k, v in said.items() if v}), default, MODES)


@pytest.mark.parametrize("default", [BUILT_IN, TUNED, RANKS])
def test_an_address_says_no_more_than_it_must(
    default: SearchPlan, engine: SearchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every form there is: the short address finds the same, and is its own short address."""
    monkeypatch.setattr(CollectionReader, "default_plan", default)
    found: dict[PagePlan, list[str]] = {}
    for values in product(*EVERY.values()):
        said = dict(zip(EVERY, values, strict=True))
        plan = _read(said, default)
        assert _read(dict(plan.pairs), default) == plan, said
        controls = Controls.of(plan, default, MODES)
        whole = {
            "mode": controls.mode,
            "fusion": {"method": controls.fusion, "weight_sparse": controls.weight},
            "prf": {
                "interpolate": controls.prf,
                "depth": controls.depth,
                "sparse": {"enabled": controls.expand},
            },
        }
        if plan not in found:
            found[plan] = _found(engine, plan.fields)
            assert _found(engine, whole) == found[plan], said
        if controls.fuses:  # then what is said is what counts
            assert said["weight"] in ("", str(controls.weight)), said
            assert said["fusion"] in ("", controls.fusion), said
    assert len(found) > 30
    assert PagePlan() in found


def _found(engine: SearchEngine, plan: Mapping[str, object]) -> list[str]:
    hits = engine.search("shore", "heron river willow", plan=plan, limit=30).hits
    return [hit.document.doc_id for hit in hits]


def test_a_collection_without_vectors_has_one_mode() -> None:
    plan = PagePlan.of({"weight": "0.9", "fusion": "rrf", "prf": "pre"}, BUILT_IN, ("sparse",))
    assert plan == PagePlan()
    assert PagePlan.of({"mode": "sparse"}, BUILT_IN, ("sparse",)) == PagePlan()
    assert PagePlan.of({"mode": "dense"}, BUILT_IN, ("sparse",)).mode == "dense"  # refused later


def test_a_form_shows_the_weight_that_counts(tmp_path: Path) -> None:
    build_collection(DOCUMENTS, tmp_path / "dot", sparse=Bm25Encoder(), dense=Counts())
    with closing(CollectionReader.open(tmp_path / "dot", dense=Counts())) as collection:
        default, modes = shown_default(collection), collection.modes
        used = collection.default_plan.resolved(modes, collection.hybrid.has_floors)
        assert Controls.of(PagePlan(), default, modes).weight == used.fusion.weight_sparse == 0.5
        assert PagePlan.of(QueryParams({"weight": "0.3"}), default, modes).weight == 0.3
        assert PagePlan.of(QueryParams({"weight": "0.5"}), default, modes).weight is None


@pytest.mark.parametrize(
    ("weight", "step"), [("0.5", "0.05"), ("0.33", "0.01"), ("0.333", "any"), ("x", "any")]
)
def test_the_slider_has_a_place_for_every_weight(weight: str, step: str) -> None:
    controls = Controls.of(_read({"weight": weight}, BUILT_IN), BUILT_IN, MODES)
    assert controls.step == step
    assert controls.share == (None if weight == "x" else round(100 * float(weight)))


def test_a_whole_form_moves_to_the_short_address(client: TestClient) -> None:
    form = "q=heron&mode=hybrid&weight=0.3&fusion=convex&prf=both&depth=3&expand=no&f.year=2001"
    answer = client.get(f"/c/shore?{form}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (
        302,
        "/c/shore?q=heron&prf=both&f.year=2001",
    )
    assert client.get(answer.headers["location"], follow_redirects=False).status_code == 200
    part = client.get(f"/c/shore/results?{form}", follow_redirects=False)
    assert part.status_code == 200
    assert 'data-address="/c/shore?q=heron&amp;prf=both&amp;f.year=2001"' in part.text
    wrong = client.get("/c/shore?q=heron&mode=hybrid&weight=7", follow_redirects=False)
    assert wrong.status_code == 422


def test_pages_end_where_fusion_stops_looking(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CollectionReader, "default_plan", SearchPlan(window=25))
    assert "Next →" in client.get("/c/shore?q=heron&page=2").text
    last = client.get("/c/shore?q=heron&page=3").text
    assert "21–25 of" in last
    assert "Next →" not in last
    assert "at most the best 25 can be reached" in last
    beyond = client.get("/c/shore?q=heron&page=4")
    assert beyond.status_code == 422
    assert "fusion looks at the best 25" in beyond.text
    assert "Next →" in client.get("/c/shore?q=heron&mode=dense&page=3").text


def test_half_a_surrogate_in_a_filter_is_refused(client: TestClient) -> None:
    answer = client.get('/c/shore?q=heron&f.year="%5Cud800"')
    assert answer.status_code == 200
    assert "Nothing found" in answer.text


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.booleans()),
)
def test_nothing_gets_out_of_the_quotes_of_curl(text: str, where: dict[str, bool]) -> None:
    body = search_body(text, where, {"mode": "dense"}, 10)
    command = curl_command("http://[::1]:8080/", "shore", body)
    assert command.replace(" \\\n", "").isprintable()
    script = f"curl() {{ printf '%s\\0' \"$@\"; }}\n{command}"
    told = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout
    _, url, _, _, _, data, rest = told.decode().split("\0")
    assert url == "http://[::1]:8080/v1/collections/shore/search"
    assert json.loads(data) == body
    assert rest == ""


def test_small_stages_are_put_together() -> None:
    took = {"filter": 0.1, "plan": 0.2, "search_dense": 96.7, "fuse": 3.0, "new_one": 5.0}
    views = stages({**took, "snippet": -0.1, "total": 105.0})
    assert [view.name for view in views] == ["search_dense", "fuse", "new_one", "other"]
    assert [view.words for view in views] == ["search meaning", "fuse", "new one", "other"]
    assert views[-1].told == "filter 0.10 ms, plan 0.20 ms, snippet 0.00 ms"
    assert views[-1].start + views[-1].width == pytest.approx(100, abs=0.1)
    assert stages({"filter": 0.0, "total": 0.0})[0].width == 0


def test_every_stage_has_a_colour(client: TestClient) -> None:
    css = client.get("/static/page.css").text
    for name in STAGE_WORDS:
        assert f".stage-{name}" in css


NO_WORDS = QueryWords("", Bm25Encoder(), QueryTerms("", WordMemory(Bm25Encoder())))


def _hit(score: float, sparse: float, dense: float, before: int | None = None) -> FoundHit:
    words, meaning = (
        SidePart(2 * part, 2 * part, 0.5, part, None, "completed") for part in (sparse, dense)
    )
    explained = Explanation(score, words, meaning, before)
    return FoundHit(Document("a", ""), score, [], [], explained)


def test_a_part_below_zero_has_no_length() -> None:
    hits = [_hit(0.5, 0.75, -0.25), _hit(-1.0, -0.5, -0.5)]
    full = full_length(hits)
    assert full == 0.75
    first, second = (score_view(hit, 1, full, BUILT_IN, False, NO_WORDS) for hit in hits)
    assert [(bar.kind, bar.start, bar.width) for bar in first.bars] == [
        ("words", 0, 100),
        ("meaning", 100, 0),
    ]
    assert [bar.width for bar in second.bars] == [0, 0]
    assert first.told == "Score 0.500: 0.750 from words and -0.250 from meaning"
    assert [side.place for side in first.sides] == ["not in its best 100"] * 2


@pytest.mark.parametrize(
    ("before", "sign", "told"),
    [
        (None, "new", "New through feedback"),
        (5, "▲3", "Up 3 by feedback, from rank 5"),
        (1, "▼1", "Down 1 by feedback, from rank 1"),
    ],
)
def test_movement(before: int | None, sign: str, told: str) -> None:
    view = score_view(_hit(1.0, 0.5, 0.5, before), 2, 1.0, BUILT_IN, True, NO_WORDS)
    assert view.movement is not None
    assert (view.movement.sign, view.movement.told) == (sign, told)
    assert score_view(_hit(1.0, 0.5, 0.5, 2), 2, 1.0, BUILT_IN, True, NO_WORDS).movement is None
    assert (
        score_view(_hit(1.0, 0.5, 0.5, before), 2, 1.0, BUILT_IN, False, NO_WORDS).movement is None
    )


@pytest.mark.parametrize(
    ("reason", "part"),
    [
        ("off", "at these settings"),
        ("no_feedback_documents", "found no document to learn from"),
        ("no_direction", "cancel each other out"),
        ("search_failed", "the second search failed"),
        ("something_new", "Nothing was learned."),
    ],
)
def test_reasons_are_told(reason: str, part: str) -> None:
    plan = SearchPlan(prf=Prf(interpolate="both")).resolved(MODES)
    warnings = (
        Notice("feedback_without_direction", "they cancel out"),
        Notice("tuned_plan_stale", "the tuned plan is old; tune again"),
    )
    prf = PrfReport(False, reason)
    answer = Answer("heron", "hybrid", (), 0, plan, 1, prf, warnings, {"total": 1})
    assert feedback_view(PageQuery("shore"), answer, []) is None
    told = ["They cancel out."] if reason != "no_direction" else []
    *others, last = notes(answer)
    assert others == [*told, "The tuned plan is old; tune again."]
    assert part in last


def test_names_in_addresses_are_those_of_the_form(client: TestClient) -> None:
    page = client.get("/c/shore").text
    for name in PLAN_NAMES:
        assert f'name="{name}"' in page


def test_words_that_are_all_left_out_can_be_put_back(client: TestClient) -> None:
    answer = client.get("/c/shore?q=heron&mode=sparse&t.heron=0")
    assert answer.status_code == 422
    assert "Every word of the query is left out; put one of them back." in answer.text
    (back,) = re.findall(r'<a href="([^"]+)">Search with all words</a>', answer.text)
    assert "Next →" in client.get(back.replace("&amp;", "&")).text


def test_a_message_keeps_the_name_of_what_is_wrong(client: TestClient) -> None:
    assert "<p>t.heron is" in client.get("/c/shore?q=heron&t.heron=x").text


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("dense", "near, by meaning."),
        ("hybrid", "near, by what the model adds to documents, and by meaning."),
    ],
)
def test_what_is_near_is_near_by_what_was_searched(
    client: TestClient, mode: str, told: str
) -> None:
    answer = client.get(f"/c/shore?q=avian&mode={mode}")
    assert told in answer.text
