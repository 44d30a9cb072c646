"""The service over HTTP: answers, problems, health, metrics, and the life of a server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.datastructures import QueryParams

from lsr import errors
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import LsrError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.service.app import create_app
from lsr.service.catalog import Catalog, collection_names
from lsr.service.engine import SearchEngine
from lsr.service.page.query_string import PageQuery, filter_text, filter_value
from lsr.service.problems import STATUSES, status_of
from lsr.service.settings import Settings
from lsr.types import Document

DOCUMENTS = [
    Document("birds/1", "A heron stands in the river.", "Heron", {"year": 2020, "tags": ["bird"]}),
    Document("birds/2", "A heron and a kingfisher fish in the river.", "Fishers", {"year": 2021}),
    Document("mammals 3?", "An otter fishes at night.", "Otter", {"year": 2021, "wet": True}),
    Document("4", "Nothing here swims.", "", {"year": "2021"}),
]
SEARCH = "/v1/collections/birds/search"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("service") / "Birds"
    build_collection(DOCUMENTS, path, sparse=Bm25Encoder())
    return path


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    with _client(folder) as client:
        yield client


def _client(folder: Path, **settings: Any) -> TestClient:
    options = Settings(**settings)
    engine = SearchEngine(Catalog.open(collection_names([folder])), options.limits)
    return TestClient(create_app(engine, options))


def _wait_until_ready(client: TestClient) -> None:
    for _ in range(600):
        if client.get("/readyz").status_code == 200:
            return
        threading.Event().wait(0.05)
    raise AssertionError(client.get("/readyz").text)


def _search(client: TestClient, **body: object) -> Any:
    answer = client.post(SEARCH, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _ids(answer: Any) -> list[str]:
    return [hit["doc_id"] for hit in answer["hits"]]


def test_a_search(client: TestClient) -> None:
    answer = _search(client, text="herons fishing", limit=2)
    assert _ids(answer) == ["birds/2", "birds/1"]
    assert answer["collection"] == "birds"
    assert (answer["generation"], answer["mode"], answer["limit"]) == (1, "sparse", 2)
    hit = answer["hits"][0]
    assert hit["title"] == "Fishers"
    assert hit["snippet"] == "A heron and a kingfisher fish in the river."
    assert hit["metadata"] == {"year": 2021}
    assert hit["score"] > answer["hits"][1]["score"] > 0
    stages = dict(answer["took_ms"])
    total = stages.pop("total")
    assert set(stages) == {
        "filter",
        "plan",
        "encode_sparse",
        "search_sparse",
        "fuse",
        "fetch",
        "snippet",
    }
    assert 0 < sum(stages.values()) < total + 0.05
    bare = _search(client, text="herons", snippet=False)
    assert {hit["snippet"] for hit in bare["hits"]} == {None}


def test_limits_offsets_and_nothing(client: TestClient) -> None:
    everything = _search(client, text="heron fish otter")
    assert everything["limit"] == 10
    assert len(everything["hits"]) == everything["total"] == 3
    assert _ids(_search(client, text="heron fish otter", limit=500)) == _ids(everything)
    pages = [_search(client, text="heron fish otter", limit=1, offset=at) for at in range(5)]
    assert [doc_id for page in pages for doc_id in _ids(page)] == _ids(everything)
    assert _search(client, text="zebra the 鱼")["hits"] == []


def test_filters(client: TestClient) -> None:
    def found(**where: object) -> list[str]:
        return sorted(_ids(_search(client, text="heron fish swims", filter=where)))

    assert found() == ["4", "birds/1", "birds/2", "mammals 3?"]
    assert found(year=2021) == found(year=2021.0) == ["4", "birds/2", "mammals 3?"]
    assert found(year="2021") == found(year=2021), "a text that writes the number"
    assert found(year="02021") == []
    assert found(year={"gt": 2020}, tags={"not": "fish"}) == found(must=[{"year": {"gte": 2021}}])
    assert found(must_not=[{"year": 2021}]) == ["birds/1"]
    assert found(year=2021, wet=True) == ["mammals 3?"]
    assert found(tags="bird") == ["birds/1"]
    assert found(wet=1) == []


@pytest.mark.parametrize(
    ("body", "code", "part"),
    [
        ({"text": ""}, "invalid_query", "the query is empty"),
        ({"text": " \n"}, "invalid_query", "the query is empty"),
        ({"text": "x" * 2049}, "invalid_query", "2,049 characters; write at most 2,048"),
        ({"text": "a", "limit": 0}, "invalid_query", "the limit is 0"),
        ({"text": "a", "limit": -1}, "invalid_query", "the limit is -1"),
        ({"text": "a", "limit": 1_001}, "invalid_query", "ask for 1 to 1,000"),
        ({"text": "a", "limit": 10**30}, "invalid_query", "ask for 1 to 1,000"),
        ({"text": "a", "limit": True}, "invalid_request", "body.limit"),
        ({"text": "a", "limit": "3"}, "invalid_request", "body.limit"),
        ({"text": "a", "limit": 1.5}, "invalid_request", "body.limit"),
        ({"text": "a", "offset": -1}, "invalid_query", "the offset is -1"),
        ({"text": "a", "offset": 9_999}, "invalid_query", "can reach 10,000"),
        ({"text": "a", "offset": None}, "invalid_request", "body.offset"),
        ({"text": 5}, "invalid_request", "body.text"),
        ({"text": None}, "invalid_request", "body.text"),
        ({}, "invalid_query", "the query is empty"),
        ([], "invalid_request", "body: this must be a JSON object"),
        ({"text": "a", "query": 1}, "invalid_request", "body.query: there is no such field; /docs"),
        ({"text": "a", "mode": "dense"}, "invalid_query", "has no dense vectors"),
        ({"text": "a", "mode": "hybrid"}, "invalid_query", "has no dense vectors"),
        ({"text": "a", "mode": "x"}, "invalid_query", "mode is 'x'; choose hybrid, sparse, dense"),
        ({"text": "a", "mode": 1}, "invalid_request", "body.mode"),
        ({"text": "a", "filter": {"colour": 1}}, "invalid_query", "field 'colour'"),
        ({"text": "a", "filter": {"year": [1]}}, "invalid_query", "filter.year is a list"),
        ({"text": "a", "filter": {"year": {"ge": 1}}}, "invalid_query", "filter.year has the"),
        ({"text": "a", "filter": {"must": 3}}, "invalid_query", "filter.must is 3"),
        ({"text": "a", "filter": []}, "invalid_request", "body.filter"),
        ({"text": "a", "filter": {str(i): i for i in range(33)}}, "invalid_query", "33 fields"),
        ({"text": "\ud800"}, "invalid_request", "surrogate"),
        ({"text": "a", "filter": {"year": "\ud800"}}, "invalid_request", "surrogate"),
        ({"text": "a", "\ud800": 1}, "invalid_request", "surrogate"),
    ],
)
def test_a_wrong_search_is_a_problem(client: TestClient, body: Any, code: str, part: str) -> None:
    answer = client.post(
        SEARCH, content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    problem = _problem(answer, 422, code)
    assert part in problem["detail"]
    assert problem["instance"] == SEARCH
    assert ("errors" in problem) == (code == "invalid_request")
    for reason in problem.get("errors", []):
        assert set(reason) == {"path", "message"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"nul", b"[" * 100_000, b'{"text":"a","limit":' + b"1" * 6000 + b"}"],
)
def test_a_body_that_is_not_json_is_a_problem(client: TestClient, body: bytes) -> None:
    answer = client.post(SEARCH, content=body, headers={"Content-Type": "application/json"})
    problem = _problem(answer, 422, "invalid_request")
    assert [reason["path"] for reason in problem["errors"]] == ["body"]
    without_type = client.post(SEARCH, content=body)
    if body:
        problem = _problem(without_type, 415, "unsupported_media_type")
        assert "send the header Content-Type: application/json" in problem["detail"]
    else:
        _problem(without_type, 422, "invalid_request")


def test_a_large_body_is_refused(folder: Path) -> None:
    with _client(folder, max_body_bytes=100) as client:
        _problem(client.post(SEARCH, json={"text": "x" * 100}), 413, "too_large")
        chunks = iter([b'{"text": "', b"x" * 200, b'"}'])
        headers = {"Content-Type": "application/json"}
        _problem(client.post(SEARCH, content=chunks, headers=headers), 413, "too_large")
        assert client.post(SEARCH, json={"text": "heron"}).status_code == 200


def test_documents(client: TestClient) -> None:
    for document in DOCUMENTS:
        path = document.doc_id.replace("?", "%3F").replace(" ", "%20")
        answer = client.get(f"/v1/collections/birds/documents/{path}")
        assert answer.json() == {
            "doc_id": document.doc_id,
            "title": document.title,
            "text": document.text,
            "metadata": document.metadata,
            "version": 0,
        }
    missing = _problem(client.get("/v1/collections/birds/documents/birds/9"), 404, "not_found")
    assert missing["detail"] == "there is no document 'birds/9' in collection birds"
    _problem(client.get("/v1/collections/birds/documents/"), 404, "not_found")


def test_collections(client: TestClient) -> None:
    listed = client.get("/v1/collections").json()["collections"]
    assert [each["name"] for each in listed] == ["birds"]
    one = client.get("/v1/collections/birds").json()
    assert one == listed[0]
    assert (one["n_documents"], one["modes"], one["sparse_encoder"]) == (4, ["sparse"], "bm25")
    assert [(each["name"], each["types"]) for each in one["fields"]] == [
        ("tags", ["text"]),
        ("wet", ["boolean"]),
        ("year", ["number", "text"]),
    ]
    assert one["size_bytes"] > 0
    for path in ("/v1/collections/fish", "/v1/collections/..%2Fx"):
        assert client.get(path).status_code == 404
    _problem(client.post("/v1/collections/x/search", json={"text": "a"}), 404, "not_found")


def test_unknown_routes_and_methods(client: TestClient) -> None:
    problem = _problem(client.get("/v2/<b>"), 404, "not_found")
    assert problem["type"] == "urn:lsr:problem:not_found"
    refused = client.get(SEARCH)
    problem = _problem(refused, 405, "method_not_allowed")
    assert refused.headers["Allow"] == "OPTIONS, POST"
    assert problem["detail"] == f"{SEARCH} does not take GET; use OPTIONS, POST"
    _problem(client.get("/static/../app.py"), 404, "not_found")
    _problem(client.get("/static/%2e%2e/app.py"), 404, "not_found")


def test_every_error_has_a_status() -> None:
    kinds: list[type[LsrError]] = [getattr(errors, name) for name in errors.__all__]
    expected = {"QueryError": 422, "DataError": 422, "InputError": 422, "NotFoundError": 404}
    expected |= {"StorageError": 507, "LsrError": 500, "ModelError": 500, "TaskCancelledError": 409}
    expected["LateError"] = 504
    expected |= dict.fromkeys(("ConflictError", "ExistsError", "VersionConflictError"), 409)
    expected |= {"AccessError": 403}
    for kind in kinds:
        error = kind.__new__(kind)
        assert status_of(error) == expected.get(kind.__name__, 503)
    assert {kind for kind, _ in STATUSES} <= set(kinds)


def test_an_unexpected_error_leaks_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret of the house")

    with _client(folder) as client:
        monkeypatch.setattr(CollectionReader, "search", fail)
        answer = client.post(SEARCH, json={"text": "heron"})
        problem = _problem(answer, 500, "internal")
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
        assert "log" in problem["detail"]
        assert 'status="500"' in client.get("/metrics").text
    assert "secret of the house" in caplog.text
    assert "heron" not in caplog.text.replace("birds", "")


def test_safety_headers_are_everywhere(client: TestClient) -> None:
    for path in ("/", "/livez", "/nowhere", "/static/page.css", "/c/none", "/docs"):
        headers = client.get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert ("unsafe-inline" in headers["Content-Security-Policy"]) == (path == "/docs")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"


def test_health(client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    _wait_until_ready(client)
    assert client.get("/readyz").json() == {"status": "ready"}


def test_readiness_waits_for_the_warm_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(CollectionReader, "warm_up", lambda *_: go_on.wait(30))
    with _client(folder) as client:
        answer = client.get("/readyz")
        assert "warmed up" in _problem(answer, 503, "not_ready")["detail"]
        assert answer.headers["Retry-After"] == "1"
        assert client.get("/livez").status_code == 200
        assert client.post(SEARCH, json={"text": "heron"}).status_code == 200
        go_on.set()
        _wait_until_ready(client)


def test_metrics(folder: Path) -> None:
    with _client(folder) as client, _client(folder) as other:
        client.post(SEARCH, json={"text": "a river"})
        client.get("/nowhere/1")
        client.get("/c/birds?q=river")
        text = client.get("/metrics").text
        route = 'route="/v1/collections/{collection}/search"'
        assert f'lsr_http_requests_total{{method="POST",{route},status="200"}} 1.0' in text
        assert 'route="other",status="404"} 1.0' in text
        assert f'lsr_http_request_seconds_count{{{route},status="200"}} 1.0' in text
        stage = (
            'lsr_search_stage_seconds_count{collection="birds",mode="sparse",stage="search_sparse"}'
        )
        assert f"{stage} 2.0" in text
        assert 'lsr_collection_documents{collection="birds"} 4.0' in text
        assert "river" not in text
        assert "POST" not in other.get("/metrics").text  # two applications share no state


def test_threads_get_the_same_answers(client: TestClient) -> None:
    bodies = [{"text": text} for text in ("heron", "river fish", "otters at night", "zebra")] * 20

    def ask(body: dict[str, str]) -> Any:
        answer = _search(client, **body)
        del answer["took_ms"], answer["request_id"]
        return answer

    alone = [ask(body) for body in bodies]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, bodies)) == alone


def test_the_schema_names_problems(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    search = schema["paths"]["/v1/collections/{collection}/search"]["post"]
    assert search["operationId"] == "search"
    told = {"200", "401", "403", "404", "413", "415", "422", "429", "500", "503"}
    assert set(search["responses"]) == told
    for status, response in search["responses"].items():
        media = "application/json" if status == "200" else "application/problem+json"
        assert list(response["content"]) == [media]


@pytest.mark.parametrize(
    "value", ["Nature", "2021", 2021, 1.5, True, "true", '"', "", "[1]", "NaN"]
)
def test_filters_in_addresses(value: str | int | float | bool) -> None:
    back = filter_value(filter_text(value))
    assert (back, type(back)) == (value, type(value))
    address = PageQuery("birds", "a&b").narrowed_to("f/x", value)
    query = PageQuery.of("birds", QueryParams(address.split("?")[1]))
    assert (query.text, query.where) == ("a&b", {"f/x": value})


def _problem(answer: Any, status: int, code: str) -> Any:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["code"] == code
    assert {"type", "title", "detail", "instance"} <= set(problem)
    assert problem["detail"].count("\n") == 0
    return problem
