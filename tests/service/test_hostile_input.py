"""What careless and hostile clients send to a real service: answered with a reason, by one rule."""

from __future__ import annotations

import json
import resource
import socket
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.rest_service import JSON_LINES, Rest
from tests.support.rest_service import serving as serving_here
from tests.support.served import Served, serving

DOCUMENTS = "collections/birds/documents"
JSON = {"Content-Type": "application/json"}
FINDING = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

IDS = [
    "a/b",
    "/",
    "a\nb",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\x1b[31m",
    "?q=1&r#f",
    "%",
    " ",
    "é",
    "\U0001f426",
    "\u202e",
    "delete",
    "a.b",
    '"<script>',
    "x" * 1_024,
]


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    """A service with a collection `birds` of one document for each id."""
    with serving_here(tmp_path_factory.mktemp("hostile") / "data") as made:
        made.make("birds")
        documents = [
            {"doc_id": doc_id, "text": "heron", "metadata": {"year": 2020}} for doc_id in IDS
        ]
        path = f"{DOCUMENTS}?wait=searchable"
        assert made.ask("POST", path, json={"documents": documents})["n_written"] == len(IDS)
        yield made


@pytest.fixture(scope="module")
def served(herons: Path) -> Iterator[Served]:
    with serving(herons) as made:
        yield made


def test_what_a_search_finds_can_be_opened_on_every_route(rest: Rest) -> None:
    body = {"text": "heron", "limit": 100}
    hits = rest.ask("POST", "collections/birds/search", json=body)["hits"]
    assert sorted(hit["doc_id"] for hit in hits) == sorted(IDS)
    for doc_id in IDS:
        path = quote(doc_id, safe="")
        assert rest.ask("GET", f"{DOCUMENTS}/{path}")["doc_id"] == doc_id
        assert rest.client.head(f"/v1/{DOCUMENTS}/{path}").status_code == 200
        assert rest.client.options(f"/v1/{DOCUMENTS}/{path}").status_code < 300
        assert rest.client.get(f"/c/birds/documents/{path}").status_code == 200
        told = rest.ask("POST", "collections/birds/explain", json={**body, "doc_id": doc_id})
        assert (told["doc_id"], told["found"]) == (doc_id, True)
    page = rest.client.get("/c/birds", params={"q": "heron"}).text
    assert "<script>&" not in page
    assert '"<script>' not in page


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"a":1}x',
        b'{"text": "a"} {"text": "b"}',
        b'{"text": NaN}',
        b"\xff",
        b"[" * 9_000,
        b"1",
    ],
)
def test_a_body_that_is_no_json_object_is_refused_everywhere(rest: Rest, body: bytes) -> None:
    paths = [f"{DOCUMENTS}/a", f"{DOCUMENTS}/delete", DOCUMENTS]
    paths += [f"collections/birds/{name}" for name in ("search", "msearch", "explain", "encode")]
    paths += [f"collections/birds/{name}" for name in ("rebuild", "calibrate", "snapshots")]
    paths += ["aliases", "aliases/x", "keys", "collections/new", "collections/birds/restore"]
    for path in paths:
        method = "PUT" if path in (f"{DOCUMENTS}/a", "aliases/x", "collections/new") else "POST"
        answer = rest.client.request(method, f"/v1/{path}", content=body, headers=JSON)
        assert answer.status_code == 422, (path, answer.text)
        assert answer.json()["code"] in ("invalid_request", "invalid_input"), (path, answer.text)
        assert answer.json()["detail"]
    assert rest.client.get("/v1/collections/new").status_code == 404


HUGE = ["9" * 30, "-1", "1e400", "NaN", "1.5", "", "\0", "0x10", "١", "1" * 5_000]


@pytest.mark.parametrize("value", HUGE)
def test_numbers_in_addresses(rest: Rest, value: str) -> None:
    asked = quote(value, safe="")
    for path in (f"{DOCUMENTS}?limit={asked}", f"tasks?limit={asked}"):
        answer = rest.client.get(f"/v1/{path}")
        assert answer.status_code in (200, 422), answer.text
    body = {"text": "a"}
    answer = rest.client.put(f"/v1/{DOCUMENTS}/a?if_version={asked}", json=body)
    assert answer.status_code in (404, 409, 422), answer.text
    for path in (f"/c/birds?q=heron&page={asked}", f"/c/birds/results?q=heron&page={asked}"):
        assert rest.client.get(path).status_code < 500


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "9" * 400, "-" + "9" * 30, "1e308", "5e-324", "-0.0", "1.0"]
)
def test_numbers_in_bodies(rest: Rest, number: str) -> None:
    names = ("limit", "offset", "window", "timeout_ms", "min_score")
    parts = [f'"{name}": {number}' for name in names]
    parts += [f'"prf": {{"depth": {number}}}', f'"fusion": {{"weight_sparse": {number}}}']
    parts += [f'"filter": {{"year": {number}}}', f'"filter": {{"year": {{"gte": {number}}}}}']
    parts += [f'"facets": [{{"field": "year", "limit": {number}}}]']
    parts += [f'"facets": [{{"field": "year", "ranges": [{{"from": {number}}}]}}]']
    parts += [f'"collapse": {{"field": "year", "inner": {number}}}']
    parts += [f'"vectors": {{"sparse": {{"heron": {number}}}}}']
    parts += [f'"vectors": {{"dense": [{number}]}}']
    for part in parts:
        data = f'{{"text": "heron", {part}}}'.encode()
        answer = rest.client.post("/v1/collections/birds/search", content=data, headers=JSON)
        assert answer.status_code in (200, 422), (part, answer.text)
        told = json.loads(answer.content)
        assert answer.status_code == 200 or told["detail"], part
        if number == "1.0" and ("limit" in part or "offset" in part or "timeout" in part):
            assert answer.status_code == 200, (part, answer.text)


FIELDS = st.sampled_from(["year", "nothing", "must", "should", "must_not", "any", "a.b", "", "."])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["2020", "2020-05", "2020-13-45T99:99", "0000-00-00", "9999-12-31", "1e5"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            FIELDS | st.sampled_from(["gte", "gt", "lte", "lt", "exists", "not"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
FILTERS = st.dictionaries(FIELDS, VALUES, max_size=3)


@FINDING
@given(FILTERS)
def test_any_filter_is_read_alike_by_every_route(rest: Rest, where: dict[str, Any]) -> None:
    """Search, list, and deletion take a filter, or refuse it with the same sentence."""
    body = {"text": "heron", "filter": where, "limit": 100}
    searched = rest.client.post("/v1/collections/birds/search", json=body)
    listed = rest.client.get(
        f"/v1/{DOCUMENTS}", params={"filter": json.dumps(where), "limit": "1000"}
    )
    assert searched.status_code in (200, 422), searched.text
    assert listed.status_code == searched.status_code, (searched.text, listed.text)
    if searched.status_code == 422:
        assert listed.json()["detail"] == searched.json()["detail"]
        deleted = rest.client.post(f"/v1/{DOCUMENTS}/delete", json={"filter": where})
        assert deleted.status_code == 422
        if where:
            assert deleted.json()["detail"] == searched.json()["detail"]
        return
    found = {hit["doc_id"] for hit in searched.json()["hits"]}
    assert {each["doc_id"] for each in listed.json()["documents"]} == found


@pytest.mark.parametrize("depth", [9, 200, 1_500])
def test_deep_filters(rest: Rest, depth: int) -> None:
    deep = '{"must": [' * depth + '{"year": 2020}' + "]}" * depth
    data = f'{{"text": "heron", "filter": {deep}}}'.encode()
    answer = rest.client.post("/v1/collections/birds/search", content=data, headers=JSON)
    assert answer.status_code == 422, answer.text
    listed = rest.client.get(f"/v1/{DOCUMENTS}", params={"filter": deep})
    assert listed.status_code == 422, listed.text
    wide = {"should": [{"year": n} for n in range(300)]}
    for body in (wide, {"must": [wide]}):
        answer = rest.client.post(
            "/v1/collections/birds/search", json={"text": "heron", "filter": body}
        )
        assert answer.status_code == 422
        assert "256" in answer.json()["detail"]


PARAMETERS = st.sampled_from(
    ["q", "page", "mode", "weight", "f.year", "f.nothing", "f.", "expand", "depth", "fusion", "prf"]
)
TEXTS = st.text(max_size=12) | st.sampled_from([*HUGE, "2020", "sparse", "<b>", '"'])


@FINDING
@given(st.lists(st.tuples(PARAMETERS | st.text(max_size=4), TEXTS), max_size=5))
def test_any_address_of_the_page_is_a_page(rest: Rest, pairs: list[tuple[str, str]]) -> None:
    query = "&".join(
        f"{quote_plus(name, errors='replace')}={quote_plus(text, errors='replace')}"
        for name, text in pairs
    )
    for path in ("/c/birds", "/c/birds/results", "/", "/c/birds/documents/a%2Fb", "/sign-in"):
        answer = rest.client.get(f"{path}?{query}")
        assert answer.status_code < 500, (path, query, answer.text)
        assert "Traceback" not in answer.text


@pytest.mark.parametrize("query", ["%ff=%fe", "q=%00", "q=" + "a" * 5_000, "&&==&", "q[]=1", "%"])
def test_odd_addresses_of_the_page(rest: Rest, query: str) -> None:
    for path in ("/c/birds", "/c/birds/results", "/"):
        assert rest.client.get(f"{path}?{query}").status_code < 500, (path, query)


@pytest.mark.parametrize(
    "name", ["%2e%2e", "..%2Fbirds", "/etc", "A", "é", "a" * 65, "a%00", "a%0A", "~", "a.b"]
)
def test_names_that_are_paths(rest: Rest, name: str) -> None:
    body = {"sparse": "bm25"}
    for method, path in (
        ("PUT", f"/v1/collections/{name}"),
        ("PUT", f"/v1/aliases/{name}"),
        ("GET", f"/v1/collections/birds/snapshots/{name}"),
        ("DELETE", f"/v1/collections/birds/snapshots/{name}"),
        ("GET", f"/v1/collections/{name}"),
        ("GET", f"/c/{name}"),
    ):
        if name.isalpha() and "snapshots" in path:
            continue
        sent = body if "collections/" in path else {"collection": "birds"}
        more = {"json": sent} if method == "PUT" else {}
        answer = rest.client.request(method, path, **more)  # type: ignore[arg-type]
        assert 400 <= answer.status_code < 500, (method, path, answer.text)
    for model in (name.replace("%2e", ".").replace("%2F", "/"), "/etc", "../x", "", "a\nb"):
        if model in ("A", "a" * 65, "a.b", "a%00", "a%0A"):
            continue
        for side in ({"sparse": model}, {"sparse": "bm25", "dense": model}):
            told = rest.client.put("/v1/collections/new", json=side)
            assert told.status_code == 422, told.text
            assert "a model cannot be named" in told.json()["detail"]


def test_keys_that_come_twice_and_lines_that_never_end(rest: Rest) -> None:
    data = b'{"text": "one", "text": "heron"}'
    path = f"/v1/{DOCUMENTS}/twice"
    assert rest.client.put(path, content=data, headers=JSON).status_code == 201
    assert rest.client.get(path).json()["text"] == "heron"  # the last, as in JavaScript and Python
    found = rest.client.post("/v1/collections/birds/search", content=data, headers=JSON)
    assert found.json()["hits"]
    assert rest.client.delete(path).status_code == 200
    lines = b'{"id": "long", "text": "' + b"x" * (3 << 20)
    answer = rest.client.post(f"/v1/{DOCUMENTS}", content=lines, headers=JSON_LINES)
    assert answer.status_code == 207
    told = json.loads(answer.text.splitlines()[0])
    assert (told["line"], told["status"]) == (1, "invalid")


def _answers(connection: socket.socket, count: int) -> list[int]:
    """The statuses of some answers on one connection."""
    stream = connection.makefile("rb")
    statuses = []
    for _ in range(count):
        statuses.append(int(stream.readline().split()[1]))
        length = 0
        while (line := stream.readline().strip().lower()) != b"":
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        stream.read(length)
    return statuses


def test_requests_sent_at_once_are_answered_in_order(served: Served) -> None:
    body = b'{"text": "heron", "limit": 1}'
    search = (
        b"POST /v1/collections/birds/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
        b"application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    alive = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    lost = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with served.connect() as connection:
        connection.sendall((search + alive + lost + search) * 3)
        assert _answers(connection, 12) == [200, 200, 404, 200] * 3


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"GET / HTTP/9.9\r\n\r\n",
        b"G\0T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: \0\r\n\r\n",
        b"POST /v1/collections/birds/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
        b"application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /%00%ff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ],
)
def test_what_is_hardly_http_is_refused_and_harms_nobody(served: Served, sent: bytes) -> None:
    with served.connect() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    assert not answer or answer.split()[1][:1] == b"4", answer
    assert httpx.get(f"{served.url}/livez").status_code == 200


def test_a_disk_that_is_full_is_told_and_reading_goes_on(herons: Path, tmp_path: Path) -> None:
    body = {"text": "otter " * 2_000}
    with serving(herons) as served, httpx.Client(base_url=served.url, timeout=60) as client:
        path = "/v1/collections/birds/documents/new"
        assert client.put(path, json={"text": "otter"}).status_code == 201
        odd = "/v1/collections/birds/documents/%252F%0a"
        assert client.put(odd, json={"text": "an id is decoded once"}).json()["doc_id"] == "%2F\n"
        assert client.get(odd).status_code == client.delete(odd).status_code == 200
        pid = served.process.pid
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4_096, most))
        statuses = {client.put(path, json=body).status_code for _ in range(5)}
        assert statuses == {HTTPStatus.INSUFFICIENT_STORAGE}
        refused = client.put(path, json=body).json()
        assert refused["code"] == "storage"
        assert client.get(path).json()["text"] == "otter"
        found = client.post("/v1/collections/birds/search", json={"text": "heron"})
        assert len(found.json()["hits"]) == 10
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
        assert client.put(path, json={"text": "heron"}).status_code == 200
        assert client.get(path).json()["text"] == "heron"
        assert client.delete(path).status_code == 200
        assert served.end() == 0
    assert "Traceback" not in served.log
