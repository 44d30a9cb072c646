"""What a search over REST may ask for besides its plan: parts, marks, pages, time, several."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from fastapi.testclient import TestClient

from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import QueryError
from lsr.index.collection.build import build_collection
from lsr.index.live.operation import Operation
from lsr.retrieval.feedback import DenseFeedback, SparseFeedback
from lsr.retrieval.fusion import Fusion
from lsr.retrieval.plan import Prf, SearchPlan
from lsr.service.api.schemas.search import ExplainAnswer, MultiAnswer, SearchAnswer, SearchRequest
from lsr.service.app import create_app
from lsr.service.catalog import Catalog
from lsr.service.engine import SearchEngine
from lsr.service.search.cursor import Cursor
from lsr.service.settings import Settings
from lsr.types import Document

WORDS = ["heron", "river", "otter", "reed", "fish"]
DOCUMENTS = [
    Document(
        f"d{i:02}",
        f"A {WORDS[i % 5]} at the river. " + f"The {WORDS[(i * 7) % 5]} waits. " * (i % 4),
        f"Of the {WORDS[i % 3]}",
        {"year": 2000 + i % 4, "author": {"name": "Kim"}, "group": i % 3, "big": 10**25},
    )
    for i in range(40)
]
URL = "/v1/collections/birds"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> SearchEngine:
    path = tmp_path_factory.mktemp("fields") / "birds"
    build_collection(DOCUMENTS, path, sparse=Bm25Encoder())
    return SearchEngine(Catalog.open({"birds": path}))


@pytest.fixture(scope="module")
def client(engine: SearchEngine) -> Iterator[TestClient]:
    with TestClient(create_app(engine, Settings())) as client:
        yield client


def _ask(client: TestClient, path: str = "search", status: int = 200, **body: Any) -> Any:
    answer = client.post(f"{URL}/{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_the_written_answer_is_that_of_the_schema(client: TestClient) -> None:
    bodies: list[dict[str, Any]] = [
        {"text": "heron"},
        {"text": "heron", "marks": True, "fields": ["title", "text", "metadata.year"]},
        {"text": "heron river", "explain": "full", "limit": 3, "count": True},
        {"text": "river", "facets": ["year"], "collapse": {"field": "group", "inner": 2}},
        {"text": "river", "sort": ["year:desc"], "snippet": False, "min_score": 0.01},
        {"text": "reed", "prf": {"sparse": {"enabled": True}}, "explain": "full"},
        {"text": "nothing"},
    ]
    for body in bodies:
        told = _ask(client, **body)
        assert SearchAnswer.model_validate(told).model_dump(mode="json", exclude_unset=True) == told
    told = _ask(client, "msearch", searches=bodies)
    assert MultiAnswer.model_validate(told).model_dump(mode="json", exclude_unset=True) == told
    told = _ask(client, "explain", text="heron", doc_id="d00")
    assert ExplainAnswer.model_validate(told).model_dump(mode="json", exclude_unset=True) == told


def test_parts_of_documents(client: TestClient) -> None:
    (hit,) = _ask(client, text="heron", limit=1)["hits"]
    assert "text" not in hit
    assert hit["metadata"]["big"] == 10**25
    fields = ["text", "metadata.year", "metadata.author.name", "metadata.none"]
    (hit,) = _ask(client, text="heron", limit=1, fields=fields)["hits"]
    document = next(each for each in DOCUMENTS if each.doc_id == hit["doc_id"])
    assert hit["text"] == document.text
    assert hit["title"] is None
    assert hit["metadata"] == {"year": document.metadata["year"], "author.name": "Kim"}
    problem = _ask(client, status=422, text="heron", fields=["body"])
    assert "there is no 'body'" in problem["detail"]


def test_marks_point_into_what_is_told(client: TestClient) -> None:
    told = _ask(client, text="herons waiting", marks=True, fields=["title", "text"])
    marks = [(hit, mark) for hit in told["hits"] for mark in hit["marks"]]
    assert {mark["field"] for _, mark in marks} == {"title", "snippet", "text"}
    for hit, mark in marks:
        word = hit[mark["field"]][mark["start"] : mark["end"]].lower()
        assert word in ("heron", "waits")
        assert mark["term"] in ("heron", "wait")


def test_a_least_score_and_a_count(client: TestClient) -> None:
    told = _ask(client, text="heron river", limit=40, count=True)
    assert told["n_matches"] == 40
    scores = [hit["score"] for hit in told["hits"]]
    least = scores[len(scores) // 2]
    kept = _ask(client, text="heron river", limit=40, min_score=least)
    assert [hit["score"] for hit in kept["hits"]] == [each for each in scores if each >= least]
    assert kept["total"] == len(kept["hits"])


def _pages(client: TestClient, **body: Any) -> list[str]:
    found: list[str] = []
    cursor = None
    for _ in range(30):
        told = _ask(client, **body, cursor=cursor)
        found += [hit["doc_id"] for hit in told["hits"]]
        cursor = told["cursor"]
        if cursor is None:
            return found
    raise AssertionError("the pages have no end")


def test_pages_by_cursor_are_the_whole_list_once(client: TestClient) -> None:
    whole = [hit["doc_id"] for hit in _ask(client, text="heron river", limit=100)["hits"]]
    assert len(whole) == 40
    for limit in (1, 7, 40, 41):
        if limit > 1:
            assert _pages(client, text="heron river", limit=limit) == whole
    assert _ask(client, text="nothing")["cursor"] is None


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"text": "heron"}, "belongs to another request"),
        ({"filter": {"year": 2001}}, "belongs to another request"),
        ({"min_score": 0.1}, "belongs to another request"),
        ({"mode": "sparse"}, "belongs to another request"),
        ({"offset": 3}, "both a cursor and an offset"),
        ({"cursor": "nonsense"}, "cannot be read"),
        ({"cursor": "é"}, "cannot be read"),
        ({"cursor": ""}, "cannot be read"),
        ({"cursor": "W10"}, "cannot be read"),
        ({"cursor": "bnVsbA"}, "cannot be read"),
    ],
)
def test_a_wrong_cursor_is_refused(client: TestClient, change: dict[str, Any], part: str) -> None:
    body: dict[str, Any] = {"text": "heron river", "limit": 5}
    cursor = _ask(client, **body)["cursor"]
    problem = _ask(client, status=422, **{**body, "cursor": cursor, **change})
    assert part in problem["detail"]


def test_a_cursor_that_was_tampered_with_is_no_error_of_the_service() -> None:
    with pytest.raises(QueryError, match="cannot be read"):
        Cursor.read("WzEsMSwtMSwwLCJ4IiwxLjAsImEiXQ", "x")


def test_a_late_side_is_left_out_and_named(
    client: TestClient, engine: SearchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse = engine.collection("birds").sparse
    encode = sparse.encode

    def slow(texts: Any) -> Any:
        time.sleep(0.03)
        return encode(texts)

    monkeypatch.setattr(sparse, "encode", slow)
    told = _ask(client, text="heron", timeout_ms=10, prf={"sparse": {"enabled": True}})
    assert told["partial"] is True
    assert [each["code"] for each in told["warnings"]] == ["feedback_late", "passages_cut"]
    assert told["hits"]
    assert told["prf"] == {"applied": False, "reason": "late", "feedback": [], "terms": []}
    assert _ask(client, text="heron")["partial"] is False
    for wrong in (0, -1, 10_001):
        assert "timeout_ms" in _ask(client, status=422, text="a", timeout_ms=wrong)["detail"]


def test_several_searches_share_one_answers_caps(client: TestClient) -> None:
    searches = [{"text": "heron"}, {"text": ""}, {"text": "otter", "limit": 2}]
    told = _ask(client, "msearch", 207, searches=searches)
    first, second, third = told["results"]
    assert first["answer"]["hits"] == _ask(client, text="heron")["hits"]
    assert second["problem"]["code"] == "invalid_query"
    assert len(third["answer"]["hits"]) == 2
    problem = _ask(client, "msearch", 422, searches=[{"text": "heron", "limit": 600}] * 2)
    assert "1,200 hits together" in problem["detail"]
    problem = _ask(client, "msearch", 422, searches=[{"text": "heron " * 300, "limit": 1}] * 12)
    assert "21,600 characters together; write at most 20,480" in problem["detail"]
    problem = _ask(client, "msearch", 422, searches=[{"text": "heron"}] * 101)
    assert "body.searches" in problem["detail"]


def test_an_explanation_of_a_hit_and_of_another_document(client: TestClient) -> None:
    hits = _ask(client, text="heron", limit=40, explain="full")["hits"]
    told = _ask(client, "explain", text="heron", doc_id=hits[3]["doc_id"])
    assert (told["found"], told["rank"], told["score"]) == (True, 4, hits[3]["score"])
    assert told["explanation"]["terms"] == hits[3]["explanation"]["terms"]
    other = next(each.doc_id for each in DOCUMENTS if "heron" not in each.full_text.lower())
    told = _ask(client, "explain", text="heron", doc_id=other)
    assert (told["found"], told["rank"], told["explanation"]) == (False, None, None)
    year = next(each for each in DOCUMENTS if each.doc_id == hits[0]["doc_id"]).metadata["year"]
    where = {"must_not": [{"year": year}]}
    told = _ask(client, "explain", text="heron", doc_id=hits[0]["doc_id"], filter=where)
    assert (told["found"], told["passes_filter"]) == (False, False)
    assert told["explanation"]["sparse"]["raw"] == pytest.approx(hits[0]["score"])
    assert _ask(client, "explain", 404, text="heron", doc_id="none")["code"] == "not_found"


def test_texts_are_encoded(client: TestClient, engine: SearchEngine) -> None:
    told = _ask(client, "encode", texts=["herons of the river", ""])
    assert told["vectors"] == [{"heron": 1.0, "river": 1.0}, {}]
    assert told["model"] == engine.collection("birds").manifest.sparse.sha256
    (vector,) = _ask(client, "encode", texts=[DOCUMENTS[0].full_text], side="document")["vectors"]
    assert set(vector) == {"heron", "river"}
    assert "at most 8" in _ask(client, "encode", 422, texts=["a"] * 9, side="document")["detail"]
    assert "above 2,048" in _ask(client, "encode", 422, texts=["a" * 2_049])["detail"]


def test_null_is_refused_exactly_where_the_schema_has_none() -> None:
    kinds = {"": SearchPlan, "fusion": Fusion, "prf": Prf}
    kinds |= {"prf.dense": DenseFeedback, "prf.sparse": SparseFeedback}
    for path, kind in kinds.items():
        for each in fields(kind):
            if not each.metadata:
                continue
            body: dict[str, Any] = {each.name: None}
            for name in reversed(path.split(".") if path else []):
                body = {name: body}
            taken = True
            try:
                SearchRequest.model_validate(body)
            except ValueError:
                taken = False
            assert taken == each.metadata["optional"], f"{path}.{each.name}"


def test_a_request_beyond_the_caps_is_refused_with_its_name(client: TestClient) -> None:
    told = _ask(client, status=422, text="a", limit=500, explain="full")
    assert "explains at most 200 hits" in told["detail"]
    told = _ask(client, status=422, text="a", limit=500, collapse={"field": "group", "inner": 9})
    assert "5,000 hits" in told["detail"]


def test_a_cursor_goes_on_after_its_hit_when_the_collection_changes(
    client: TestClient, engine: SearchEngine
) -> None:
    """The last test of this file, since it changes the collection."""
    whole = [hit["doc_id"] for hit in _ask(client, text="heron river", limit=100)["hits"]]
    first = _ask(client, text="heron river", limit=10)
    gone = [whole[0], whole[9], whole[12]]  # before the place, the last one read, after it
    live = engine.catalog.live("birds")
    written = live.write([Operation("delete", doc_id) for doc_id in gone])
    assert live.wait_searchable(written[-1].seq, 30)
    told = _ask(client, text="heron river", limit=10, cursor=first["cursor"])
    assert [each["code"] for each in told["warnings"]] == ["collection_changed"]
    expected = [doc_id for doc_id in whole[10:] if doc_id not in gone][:10]
    assert [hit["doc_id"] for hit in told["hits"]] == expected
    on = _ask(client, text="heron river", limit=10, cursor=told["cursor"])
    assert on["warnings"] == []
    assert len({hit["doc_id"] for hit in on["hits"]} - set(expected)) == 10
