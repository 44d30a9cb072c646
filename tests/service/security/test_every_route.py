"""Every operation of the API's description, asked with keys that must not see or change things."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from lsr.service.app import create_app
from lsr.service.catalog import Catalog
from lsr.service.engine import SearchEngine
from lsr.service.security.keys import KeyFile
from lsr.service.settings import Settings

ADMIN = "-".join(["an", "admin", "key", "of", "the", "tests"])
ALL = {"X-Api-Key": ADMIN}
SECRETS = ("zebrafish", "b-secret", "secluded", "veiled", "b-field", "tenant-b", "key-of-others")
"""Parts of what belongs to others: words, ids, values, and names of collections, aliases, keys."""

_OWN = [
    {"doc_id": f"a{n}", "text": "a heron stands", "metadata": {"tenant": "a", "year": n}}
    for n in range(3)
]
_OTHERS = [
    {
        "doc_id": f"b-secret-{n}",
        "text": "a heron and a zebrafish",
        "title": "zebrafish",
        "metadata": {"tenant": "tenant-b", "year": 1, "b-field": "zebrafish"},
    }
    for n in range(4)
]
_SEARCH = {
    "text": "heron zebrafish",
    "limit": 100,
    "count": True,
    "facets": ["tenant", "year"],
    "sort": ["year:desc"],
    "explain": "full",
    "marks": True,
    "fields": ["title", "text", "metadata"],
}
BODIES: dict[str, list[Any]] = {
    "search": [_SEARCH, {"text": "heron", "filter": {"tenant": {"not": "a"}}, "count": True}],
    "msearch": [{"searches": [_SEARCH, {"text": "heron", "facets": ["nothing"]}]}],
    "explain": [{"text": "heron", "doc_id": "b-secret-1"}, {"text": "heron", "doc_id": "a1"}],
    "encode": [{"texts": ["heron"]}],
    "rebuild": [{"sparse": "no-such-model"}],
    "calibrate": [{"recall": 2}],
    "delete": [{"filter": {"year": {"gte": 0}}}, {"doc_ids": ["b-secret-0"]}],
    "documents": [{"documents": [{"doc_id": "b-secret-0", "text": "taken"}]}],
    "{doc_id}": [{"text": "taken"}, {"metadata": {"tenant": "a"}}],
    "snapshots": [{"name": "monday"}],
    "restore": [{"snapshot": "sunday"}],
    "aliases": [{"actions": [{"alias": "mine-too", "collection": "secluded"}]}],
    "{alias}": [{"collection": "secluded"}],
    "keys": [{"name": "k", "scope": "admin"}],
    "{collection}": [{"sparse": "bm25"}],
}
"""Bodies by the last part of a path."""

QUERIES = ["?q=zebrafsh", '?limit=1000&filter={"nothing":1}', "?q=heron&limit=1000"]


class House:
    """Two collections, `mine` with two tenants and `secluded`, an alias of each, and keys."""

    def __init__(self, folder: Path) -> None:
        self.file = KeyFile(folder / "keys.json")
        self.file.create("key-of-others", "read", collections=["secluded"])
        settings = Settings.model_validate(
            {"keys": self.file.path, "admin_key": ADMIN, "drain_seconds": 0}
        )
        app = create_app(SearchEngine(Catalog.open({}, folder / "data")), settings)
        self.operations = [
            (method.upper(), path)
            for path, operations in app.openapi()["paths"].items()
            for method in operations
        ]
        self.client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)

    def fill(self) -> None:
        """Make the collections."""
        for name, alias in (("mine", "ours"), ("secluded", "veiled")):
            assert self.ask("PUT", f"/v1/collections/{name}", {"sparse": "bm25"}).is_success
            body = {"documents": _OTHERS + (_OWN if name == "mine" else [])}
            made = self.ask("POST", f"/v1/collections/{name}/documents?wait=searchable", body)
            assert made.status_code == 200
            assert self.ask("PUT", f"/v1/aliases/{alias}", {"collection": name}).is_success
            path = f"/v1/collections/{name}/snapshots"
            task = self.ask("POST", path, {"name": "sunday"}).json()
            while self.ask("GET", f"/v1/tasks/{task['id']}").json()["ended"] is None:
                threading.Event().wait(0.02)

    def ask(
        self, method: str, path: str, body: Any = None, key: dict[str, str] | None = None
    ) -> Response:
        """An answer to the key, or to the admin's."""
        if method in ("GET", "DELETE"):
            return self.client.request(method, path, headers=key or ALL)
        return self.client.request(method, path, json=body, headers=key or ALL)

    def state(self) -> dict[str, str]:
        """Everything that a request could change."""
        paths = ["/v1/aliases", "/v1/keys"]
        for name in ("mine", "secluded"):
            paths += [f"/v1/collections/{name}/export", f"/v1/collections/{name}/snapshots"]
        return {path: self.ask("GET", path).text for path in paths}

    def requests(self, collection: str, doc_id: str) -> Iterator[tuple[str, str, Any]]:
        """Requests of every operation, several each."""
        for method, template in self.operations:
            path = template.format(
                collection=collection,
                doc_id=doc_id,
                snapshot="sunday",
                alias="veiled",
                task_id="x",
                key_id="x",
            )
            if method in ("GET", "DELETE"):
                for query in QUERIES if method == "GET" else ("",):
                    yield method, path + query, None
            else:
                for body in BODIES.get(template.rpartition("/")[2], [{}]):
                    yield method, path, body


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("routes"))
    with made.client:
        made.fill()
        yield made


def _told(answer: Response, asked: str) -> list[str]:
    """The secrets that an answer tells, other than those that the request named itself."""
    said = answer.text + str(answer.headers)
    return [secret for secret in SECRETS if secret in said and secret not in asked]


def _key(house: House, scope: str, **limits: Any) -> dict[str, str]:
    return {"X-Api-Key": house.file.create("k", scope, **limits)[1]}


def test_a_read_key_changes_nothing(house: House) -> None:
    before, key = house.state(), _key(house, "read")
    before["/v1/keys"] = house.ask("GET", "/v1/keys").text
    reading = {"search", "msearch", "explain", "encode"}
    for method, path, body in house.requests("mine", "a1"):
        answer = house.ask(method, path, body, key)
        last = path.rpartition("/")[2]
        if method == "GET" or last in reading:
            assert answer.status_code < 500, (method, path, answer.text)
        else:
            assert answer.status_code == 403, (method, path, answer.text)
            assert answer.json()["code"] == "forbidden"
    assert house.state() == before


@pytest.mark.parametrize("scope", ["read", "write", "admin"])
@pytest.mark.parametrize("named", ["mine", "ours"])
def test_a_key_for_a_collection_sees_no_other(house: House, scope: str, named: str) -> None:
    key = _key(house, scope, collections=[named])
    before = house.ask("GET", "/v1/collections/secluded/export").text
    for collection in ("secluded", "veiled", "nowhere"):
        for method, path, body in house.requests(collection, "a1"):
            answer = house.ask(method, path, body, key)
            assert answer.status_code < 500, (method, path, answer.text)
            if path.startswith(f"/v1/collections/{collection}"):
                assert answer.status_code == 403, (method, path, answer.text)
            asked = path + json.dumps(body)
            # documents of all tenants of its own collection are its own
            told = {*_told(answer, asked)} & {"secluded", "veiled", "key-of-others"}
            assert not told, (method, path, answer.text)
    assert house.ask("GET", "/v1/collections/secluded/export").text == before
    listed = house.ask("GET", "/v1/collections", key=key).json()["collections"]
    assert [each["name"] for each in listed] == ["mine"]


@pytest.mark.parametrize("scope", ["read", "write", "admin"])
@pytest.mark.parametrize("doc_id", ["b-secret-1", "a1"])
def test_a_key_with_a_filter_neither_sees_nor_counts_others(
    house: House, scope: str, doc_id: str
) -> None:
    key = _key(house, scope, collections=["mine"], filter={"tenant": "a"})

    def others() -> list[str]:
        lines = house.ask("GET", "/v1/collections/mine/export").text.splitlines()
        return [line for line in lines if "b-secret" in line]

    before = others()
    for collection in ("mine", "ours"):
        for method, path, body in house.requests(collection, doc_id):
            answer = house.ask(method, path, body, key)
            assert answer.status_code < 500, (method, path, answer.text)
            asked = path + json.dumps(body)
            assert _told(answer, asked) == [], (method, path, answer.text)
            for part in ('"count":4', '"n_matches":7', '"total":7,"n_', '"n_documents":7'):
                assert part not in answer.text, (method, path, answer.text)
    assert others() == before
    house.ask("POST", "/v1/collections/mine/documents?wait=searchable", {"documents": _OWN})


def test_what_a_key_with_a_filter_counts(house: House) -> None:
    key = _key(house, "read", filter={"tenant": "a"})
    told = house.ask("GET", "/v1/collections/mine", key=key).json()
    assert (told["n_documents"], told["segments"], told["size_bytes"]) == (3, [], 0)
    assert told["n_passages"] == 3
    fields = {each["name"]: each["types"] for each in told["fields"]}
    assert fields == {"tenant": ["text"], "year": ["number"]}
    found = house.ask("POST", "/v1/collections/mine/search", _SEARCH, key).json()
    assert (found["n_matches"], found["total"], len(found["hits"])) == (3, 3, 3)
    assert [value["value"] for value in found["facets"][0]["values"]] == ["a"]
    for wrong in ({"filter": {"nothing": 1}}, {"facets": ["nothing"]}, {"sort": ["nothing"]}):
        problem = house.ask("POST", "/v1/collections/mine/search", {"text": "a", **wrong}, key)
        assert problem.json()["detail"] == "no document has a metadata field 'nothing'"


def test_pages_show_a_key_with_a_filter_its_own_alone(house: House) -> None:
    key = _key(house, "read", collections=["mine"], filter={"tenant": "a"})
    paths = ["/", "/c/mine", "/c/mine/results"]
    paths += [f"/c/mine{more}?q=heron&f.tenant=a" for more in ("", "/results")]
    paths += ["/c/mine?q=zebrafsh", "/c/mine?q=heron&f.nothing=1", "/c/secluded?q=heron"]
    paths += ["/c/mine/documents/b-secret-1", "/c/mine/documents/a1", "/c/veiled/documents/a1"]
    for path in paths:
        answer = house.client.get(path, headers=key)
        assert re.search(r"\b7\b[^<]*documents", answer.text) is None, path
        assert answer.status_code < 500, path
        assert _told(answer, path) == [], (path, answer.text)
