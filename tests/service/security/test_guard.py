"""The guard over HTTP: who gets in where, and what keys with a filter see on every route."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from lsr.retrieval.filter import parse_filter
from lsr.service.app import create_app
from lsr.service.catalog import Catalog, collection_names
from lsr.service.engine import SearchEngine
from lsr.service.security.document_filter import passes
from lsr.service.security.grant import Grant, grant_of
from lsr.service.security.keys import KeyFile
from lsr.service.security.route_rules import rule_of
from lsr.service.settings import Settings
from tests.naive import metadata as naive

ADMIN = "an admin key of the tests".replace(" ", "-")
SEARCH = "/v1/collections/birds/search"


class House:
    """An application with keys, and a client for each kind of key."""

    def __init__(self, folders: list[Path], path: Path) -> None:
        self.file = KeyFile(path)
        self.file.create("first", "read")
        settings = Settings.model_validate({"keys": path, "admin_key": ADMIN})
        self.catalog = Catalog.open(collection_names(folders))
        self.app = create_app(SearchEngine(self.catalog), settings)
        self.client = TestClient(self.app, follow_redirects=False, raise_server_exceptions=False)

    def key(self, scope: str = "read", **limits: Any) -> dict[str, str]:
        """Headers with a new key."""
        return {"Authorization": f"Bearer {self.file.create('k', scope, **limits)[1]}"}


@pytest.fixture
def house(folders: list[Path], tmp_path: Path) -> Iterator[House]:
    house = House(folders, tmp_path / "keys.json")
    with house.client:
        yield house


def _code(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["code"])


def _routes(app: FastAPI) -> list[tuple[str, str]]:
    found = []
    for context in iter_route_contexts(app.routes):
        path = str(context.path)
        methods = getattr(context, "methods", None) or {"GET"}
        if "." not in path and not path.startswith("/static"):
            found += [(method, path) for method in methods if method != "HEAD"]
    return found


def test_every_route_is_declared(house: House) -> None:
    """A new route needs a rule in `lsr.service.security.route_rules`; without it, admins only."""
    routes = _routes(house.app)
    assert len(routes) >= 15
    for method, path in routes:
        example = re.sub(r"\{\w+(:\w+)?\}", "x", path)
        found = rule_of(method, example)
        assert found is not None, f"{method} {path} has no rule"
        assert re.sub(r":\w+\}", "}", found[0].path) == re.sub(r":\w+\}", "}", path)


def test_no_route_answers_without_a_key(house: House) -> None:
    free = {"/livez", "/readyz", "/docs", "/docs/oauth2-redirect", "/sign-in", "/sign-out"}
    for method, path in _routes(house.app):
        if path in free:
            continue
        address = path.replace("{collection}", "birds")
        answer = house.client.request(method, re.sub(r"\{\w+(:\w+)?\}", "a1", address))
        is_page = path in ("/", "/collections") or (
            path.startswith("/c/") and not path.endswith("/results")
        )
        if is_page:
            assert answer.status_code == 303, path
            assert answer.headers["Location"].startswith("/sign-in?next=%2F")
        else:
            assert _code(answer, 401) == "unauthorized", path
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_undeclared_routes_are_for_admins_alone(house: House) -> None:
    @house.app.get("/v1/new")
    def new() -> dict[str, bool]:
        return {"told": True}

    assert _code(house.client.get("/v1/new"), 401) == "unauthorized"
    for scope in ("read", "write"):
        assert _code(house.client.get("/v1/new", headers=house.key(scope)), 403) == "forbidden"
    limited = house.key("admin", collections=["birds"])
    assert _code(house.client.get("/v1/new", headers=limited), 403) == "forbidden"
    assert house.client.get("/v1/new", headers=house.key("admin")).status_code == 200
    assert _code(house.client.get("/v1/nowhere"), 404) == "not_found"


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key"])
def test_keys_are_shown_by_headers(house: House, header: str) -> None:
    for secret in (ADMIN, house.key()["Authorization"].removeprefix("Bearer ")):
        value = f"Bearer {secret}" if header == "Authorization" else secret
        found = house.client.get("/v1/collections", headers={header: value})
        assert found.status_code == 200
    wrong = house.client.get("/v1/collections", headers={header: "Bearer lsr_x_y"})
    assert _code(wrong, 401) == "unauthorized"
    assert _code(house.client.get(f"/v1/collections?key={ADMIN}"), 401) == "unauthorized"


def test_a_revoked_key_ends_with_the_next_request(house: House) -> None:
    key, secret = house.file.create("k", "read")
    headers = {"Authorization": f"Bearer {secret}"}
    assert house.client.get("/v1/collections", headers=headers).status_code == 200
    KeyFile(house.file.path).revoke(key.id)
    assert _code(house.client.get("/v1/collections", headers=headers), 401) == "unauthorized"


def test_scopes(house: House) -> None:
    body = {"name": "new", "scope": "read"}
    for scope, status in (("read", 403), ("write", 403), ("admin", 201)):
        answer = house.client.post("/v1/keys", json=body, headers=house.key(scope))
        assert answer.status_code == status, answer.text
        if status == 403:
            assert f"this one's is {scope}" in answer.json()["detail"]


def test_keys_over_rest(house: House) -> None:
    admin = {"Authorization": f"Bearer {ADMIN}"}
    body = {"name": "shop", "scope": "read", "collections": ["birds"], "filter": {"tenant": "a"}}
    made = house.client.post("/v1/keys", json=body, headers=admin)
    assert made.status_code == 201, made.text
    assert made.headers["Cache-Control"] == "no-store"
    secret, key_id = made.json()["key"], made.json()["id"]
    listed = house.client.get("/v1/keys", headers=admin)
    assert made.json()["id"] in [each["id"] for each in listed.json()["keys"]]
    assert secret not in listed.text
    headers = {"Authorization": f"Bearer {secret}"}
    assert house.client.post(SEARCH, json={"text": "heron"}, headers=headers).status_code == 200
    assert house.client.delete(f"/v1/keys/{key_id}", headers=admin).status_code == 200
    assert _code(house.client.delete(f"/v1/keys/{key_id}", headers=admin), 404) == "not_found"
    assert _code(house.client.post(SEARCH, json={"text": "x"}, headers=headers), 401)
    wrong = house.client.post("/v1/keys", json={**body, "scope": "root"}, headers=admin)
    assert _code(wrong, 422) == "invalid_request"


def test_a_key_for_one_collection_sees_no_other(house: House) -> None:
    headers = house.key("admin", collections=["birds"])
    names = house.client.get("/v1/collections", headers=headers).json()["collections"]
    assert [each["name"] for each in names] == ["birds"]
    assert house.client.get("/v1/collections/birds", headers=headers).status_code == 200
    for path in ("/v1/collections/fish", "/v1/collections/none", "/c/fish?q=heron"):
        assert _code(house.client.get(path, headers=headers), 403) == "forbidden"
    fish = house.client.post("/v1/collections/fish/search", json={"text": "x"}, headers=headers)
    assert _code(fish, 403) == "forbidden"
    assert "/c/fish" not in house.client.get("/c/birds?q=heron", headers=headers).text
    assert "/c/fish" in house.client.get("/c/birds", headers=house.key()).text
    for path in ("/v1/keys", "/metrics"):
        assert _code(house.client.get(path, headers=headers), 403) == "forbidden"


def test_a_key_with_a_filter_finds_its_own_documents_alone(house: House) -> None:
    headers = house.key(filter={"tenant": "a"})

    def found(**body: object) -> list[str]:
        answer = house.client.post(SEARCH, json={"text": "heron", **body}, headers=headers)
        assert answer.status_code == 200, answer.text
        return [hit["doc_id"] for hit in answer.json()["hits"]]

    assert sorted(found()) == ["a1", "a2"]
    assert found(filter={"tenant": "b"}) == []
    assert found(filter={"should": [{"tenant": "b"}, {"tenant": {"exists": False}}]}) == []
    assert sorted(found(prf={"interpolate": "none"}, filter={"tenant": "a"})) == ["a1", "a2"]
    own = house.client.get("/v1/collections/birds/documents/a1", headers=headers)
    assert own.json()["doc_id"] == "a1"
    for doc_id in ("b1", "none", "missing"):
        other = house.client.get(f"/v1/collections/birds/documents/{doc_id}", headers=headers)
        assert _code(other, 404) == "not_found"
        assert doc_id in other.json()["detail"]
    page = house.client.get("/c/birds?q=heron", headers=headers).text
    assert "/documents/a1" in page
    assert "b1" not in page
    assert house.client.get("/c/birds/documents/b1", headers=headers).status_code == 404
    assert _code(house.client.get("/metrics", headers=headers), 403) == "forbidden"
    nobody = house.key(filter={"unknown": "x"})
    empty = house.client.post(SEARCH, json={"text": "heron"}, headers=nobody)
    assert empty.json()["hits"] == []


def test_a_route_that_forgets_the_filter_does_not_answer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Grant, "filter_for", lambda self, collection: None)
    headers = house.key(filter={"tenant": "a"})
    answer = house.client.post(SEARCH, json={"text": "heron"}, headers=headers)
    assert _code(answer, 500) == "internal"
    assert "b1" not in answer.text


def test_an_alias_means_the_collection_that_it_names_now(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    aliases = {"prod": "birds"}
    monkeypatch.setattr(Catalog, "resolve", lambda self, name: aliases.get(name, name))
    limited = KeyFile(house.file.path)
    app = create_app(SearchEngine(house.catalog), Settings.model_validate({"keys": limited.path}))
    client = TestClient(app)
    by_alias, by_name = house.key(collections=["prod"]), house.key(collections=["birds"])

    def status(name: str, headers: dict[str, str]) -> int:
        return client.get(f"/v1/collections/{name}", headers=headers).status_code

    assert [status(name, by_alias) for name in ("prod", "birds", "fish")] == [200, 200, 403]
    assert [status(name, by_name) for name in ("prod", "birds", "fish")] == [200, 200, 403]
    aliases["prod"] = "fish"
    assert [status(name, by_alias) for name in ("prod", "birds", "fish")] == [200, 403, 200]
    assert [status(name, by_name) for name in ("prod", "birds", "fish")] == [403, 200, 403]


def test_writes_are_checked_against_the_filter(house: House) -> None:
    @house.app.post("/v1/collections/{collection}/documents")
    async def write(collection: str, request: Request) -> dict[str, bool]:
        grant_of(request.scope).check_write(collection, await request.json())
        return {"written": True}

    house.app.router.routes.insert(0, house.app.router.routes.pop())  # before the service's own
    headers = house.key("write", filter={"tenant": "a"})
    path = "/v1/collections/birds/documents"
    assert house.client.post(path, json={"tenant": "a"}, headers=headers).status_code == 200
    for other in ({"tenant": "b"}, {}):
        assert _code(house.client.post(path, json=other, headers=headers), 403) == "forbidden"
    assert _code(house.client.post(path, json={"tenant": "a"}, headers=house.key()), 403)


@pytest.mark.parametrize(
    "where",
    [
        {"tenant": "a"},
        {"tenant": {"any": ["a", "b"]}},
        {"tenant": {"not": "a"}},
        {"year": {"gte": 2019, "lt": 2021}},
        {"a.b": 2},
        {"tenant": None},
        {"must": [{"tenant": "a"}], "must_not": [{"year": 2020}]},
        {"should": [{"year": "2020"}, {"tenant": {"exists": False}}]},
    ],
)
def test_one_document_is_filtered_as_a_search_would(where: dict[str, Any]) -> None:
    for document in (
        {},
        {"tenant": "a"},
        {"tenant": ["b", "a"], "year": 2020},
        {"tenant": None, "year": "2020"},
        {"a": {"b": [1, 2]}, "year": 2018.5},
    ):
        assert passes(parse_filter(where), document) == naive.passes(where, document), document


def test_signing_in(house: House) -> None:
    client, origin = house.client, {"Origin": "http://testserver"}
    assert 'type="password"' in client.get("/sign-in").text
    _, secret = house.file.create("page", "read")
    wrong = client.post("/sign-in", data={"key": "lsr_x_y"}, headers=origin)
    assert (wrong.status_code, "Set-Cookie" in wrong.headers) == (401, False)
    foreign = client.post(
        "/sign-in", data={"key": secret}, headers={"Origin": "http://evil.example"}
    )
    assert _code(foreign, 403) == "forbidden"
    for target, leads in (("/c/birds?q=a", "/c/birds?q=a"), ("//evil", "/"), ("http://e", "/")):
        signed = client.post("/sign-in", data={"key": secret, "next": target}, headers=origin)
        assert (signed.status_code, signed.headers["Location"]) == (303, leads)
    cookie = signed.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    assert client.get("/c/birds?q=heron").status_code == 200  # the client keeps the cookie
    assert client.get("/v1/collections").status_code == 200
    assert _code(client.get("/v1/collections", headers={"Sec-Fetch-Site": "cross-site"}), 403)
    assert _code(client.post(SEARCH, json={"text": "heron"}), 403) == "forbidden"
    assert client.post(SEARCH, json={"text": "heron"}, headers=origin).status_code == 200
    assert client.post("/sign-out", data={}, headers=origin).status_code == 303
    assert client.get("/c/birds").status_code == 303
