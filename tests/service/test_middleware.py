"""Every answer: request id, host names, HEAD, OPTIONS, CORS, gzip, media types, the log."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from lsr.errors import InputError
from lsr.service.app import create_app
from lsr.service.catalog import Catalog
from lsr.service.engine import SearchEngine
from lsr.service.logs import JsonFormatter
from lsr.service.settings import Settings

SEARCH = "/v1/collections/birds/search"


@contextmanager
def _serving(folder: Path, **settings: Any) -> Iterator[TestClient]:
    options = Settings.model_validate(settings)
    app = create_app(SearchEngine(Catalog.open({"birds": folder}), options.limits), options)
    with TestClient(app, follow_redirects=False) as client:
        yield client


@pytest.fixture(scope="module")
def client(herons: Path) -> Iterator[TestClient]:
    with _serving(herons, cors=("https://app.example.org",)) as client:
        yield client


def test_every_answer_has_a_request_id(client: TestClient) -> None:
    for path in ("/", "/livez", "/nowhere", "/docs", "/v1/collections/none"):
        ids = {client.get(path).headers["X-Request-Id"] for _ in range(3)}
        assert len(ids) == 3, path
    own = client.get("/livez", headers={"X-Request-Id": "trace:7/a.b"})
    assert own.headers["X-Request-Id"] == "trace:7/a.b"
    for wrong in ("", "two words", "x" * 129, 'quote"', "a\tb"):
        made = client.get("/livez", headers={"X-Request-Id": wrong}).headers["X-Request-Id"]
        assert made != wrong
        assert made.isalnum()


def test_other_hosts_are_refused(client: TestClient, herons: Path) -> None:
    for host in ("evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.2"):
        answer = client.get("/v1/collections", headers={"Host": host})
        assert (answer.status_code, answer.json()["code"]) == (421, "misdirected_host"), host
        assert "--host-name" in answer.json()["detail"]
        assert "X-Request-Id" in answer.headers
        assert client.get("/livez", headers={"Host": host}).status_code == 200
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]:8080", "testserver"):
        assert client.get("/v1/collections", headers={"Host": host}).status_code == 200, host
    with _serving(herons, host_names=("Search.example.org",)) as named:
        for host, status in (("search.example.org:443", 200), ("example.org", 421)):
            assert named.get("/v1/collections", headers={"Host": host}).status_code == status
    with _serving(herons, host_names=("*",)) as anybody:
        assert anybody.get("/", headers={"Host": "evil.example"}).status_code == 200


def test_head_wherever_there_is_get(client: TestClient) -> None:
    for path in (
        "/",
        "/livez",
        "/metrics",
        "/v1/collections",
        "/c/birds?q=heron",
        "/docs",
        "/static/page.css",
        "/v1/collections/birds/documents/1",
        "/openapi.json",
    ):
        got, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers["Content-Type"] == got.headers["Content-Type"]
        if path != "/metrics" and "?" not in path:
            assert head.headers.get("Content-Length") == got.headers.get("Content-Length")
    assert client.head("/v1/collections/none").status_code == 404
    refused = client.head(SEARCH)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "OPTIONS, POST")


def test_options(client: TestClient) -> None:
    for path, allowed in (("/livez", "GET, HEAD, OPTIONS"), (SEARCH, "OPTIONS, POST")):
        answer = client.options(path)
        assert (answer.status_code, answer.headers["Allow"]) == (204, allowed)
    assert client.options("/nowhere").status_code == 404


def test_cors(client: TestClient, herons: Path) -> None:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    known = {"Origin": "https://app.example.org"}
    preflight = client.options(SEARCH, headers={**known, **asked})
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == known["Origin"]
    found = client.post(SEARCH, json={"text": "heron"}, headers=known)
    assert found.status_code == 200
    assert found.headers["Access-Control-Allow-Origin"] == known["Origin"]
    assert "X-Request-Id" in found.headers["Access-Control-Expose-Headers"]
    other = {"Origin": "https://evil.example"}
    assert client.options(SEARCH, headers={**other, **asked}).status_code == 400
    foreign = client.post(SEARCH, json={"text": "heron"}, headers=other)
    assert (foreign.status_code, foreign.json()["code"]) == (403, "forbidden")
    assert "Access-Control-Allow-Origin" not in foreign.headers
    with _serving(herons) as closed:
        answer = closed.options(SEARCH, headers={**known, **asked})
        assert "Access-Control-Allow-Origin" not in answer.headers
    with pytest.raises(InputError, match="without keys lets any web page"):
        Settings.read(cors=("*",))
    with pytest.raises(InputError, match="cors is"):
        Settings.read(cors=("example.org/path",))


def test_gzip_where_it_pays(client: TestClient) -> None:
    def ask(accept: str, limit: int) -> Any:
        return client.post(
            SEARCH, json={"text": "heron", "limit": limit}, headers={"Accept-Encoding": accept}
        )

    large, plain = ask("br, gzip;q=0.5", 100), ask("gzip;q=0", 100)
    assert large.headers["Content-Encoding"] == "gzip"
    assert int(large.headers["Content-Length"]) < len(plain.content) / 4
    assert [hit["doc_id"] for hit in large.json()["hits"]] == [
        hit["doc_id"] for hit in plain.json()["hits"]
    ]
    assert "Content-Encoding" not in plain.headers
    assert "Content-Encoding" not in ask("identity", 100).headers
    assert "Content-Encoding" not in ask("gzip", 1).headers
    assert gzip.decompress(gzip.compress(b"x")) == b"x"


@pytest.mark.parametrize("media", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_bodies_say_what_they_are(client: TestClient, media: str | None) -> None:
    headers = {"Content-Type": media} if media else {}
    answer = client.post(SEARCH, content=b'{"text": "heron"}', headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "send the header Content-Type: application/json" in answer.json()["detail"]
    packed = client.post(
        SEARCH,
        content=gzip.compress(b'{"text": "heron"}'),
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    assert packed.status_code == 415
    for good in ("application/json; charset=utf-8", "Application/JSON", "application/x+json"):
        found = client.post(SEARCH, content=b'{"text": "heron"}', headers={"Content-Type": good})
        assert found.status_code == 200, good


def test_the_access_log_says_what_was_done_and_not_what_was_asked(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="lsr.access"):
        client.post(SEARCH, json={"text": "kingfisher"}, headers={"X-Request-Id": "r-1"})
        client.get("/c/birds?q=kingfisher")
        client.get("/nowhere/kingfisher")
    lines = [JsonFormatter().format(r) for r in caplog.records if r.name == "lsr.access"]
    first, page, nowhere = map(json.loads, lines)
    assert "kingfisher" not in "".join(lines)
    assert first["id"] == "r-1"
    assert (first["method"], first["status"], first["key"]) == ("POST", 200, "")
    assert first["route"] == "/v1/collections/{collection}/search"
    assert first["bytes"] > 100
    assert first["ms"] > 0
    assert page["route"] == "/c/{collection}"
    assert nowhere["route"] == "other"
    assert set(first) == {
        "time",
        "level",
        "logger",
        "id",
        "client",
        "method",
        "route",
        "status",
        "ms",
        "bytes",
        "key",
    }


def test_overload_is_answered_with_retry_after(herons: Path) -> None:
    with _serving(herons, max_per_minute=3) as client:
        statuses = [client.post(SEARCH, json={"text": "heron"}).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        refused = client.get("/v1/collections")
        assert refused.json()["code"] == "too_many_requests"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert client.get("/livez").status_code == 200
