"""Options in the query and in headers: unknown ones are refused by name, on every route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Scope

from lsr.service.api.direct_route import Handler, OwnBodyRoute
from tests.support.rest_service import Rest, serving


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    with serving(tmp_path_factory.mktemp("query") / "data") as rest:
        rest.make("birds")
        yield rest


def test_every_route_refuses_what_it_does_not_have(rest: Rest) -> None:
    n_asked = 0
    for path, methods in rest.client.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            media = next(iter(operation.get("requestBody", {}).get("content", {})), None)
            at = path.replace("{collection}", "birds")
            for part in operation.get("parameters", ()):
                at = at.replace(f"{{{part['name']}}}", "x")
            answer = rest.client.request(
                method,
                f"{at}?no_such_option=1",
                content="{}" if media else None,
                headers={"Content-Type": media} if media else {},
            )
            assert answer.status_code == 422, (method, path, answer.text)
            assert "query.no_such_option" in answer.json()["detail"], (method, path)
            n_asked += 1
    assert n_asked > 35


def test_an_option_is_given_once(rest: Rest) -> None:
    path = "collections/birds/documents?limit=1&limit=2"
    assert "query.limit: give it once" in rest.refused("GET", path, 422, "invalid_request")


_LONG = "k" * 300


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {}),
        ("?if_version=0", {}),
        ("?if_version=-1", {}),
        ("?if_version=x", {}),
        ("?if_version=", {}),
        ("?if_version=1&if_version=2", {}),
        ("?wait=searchable", {}),
        ("?wait=never", {}),
        ("?if_verison=1", {}),
        ("?%FF=1", {}),
        ("", {"Idempotency-Key": "once"}),
        ("", {"Idempotency-Key": ""}),
        ("", {"Idempotency-Key": _LONG}),
        ("", {"Idempotency-Key": "two words"}),
    ],
)
def test_writes_are_answered_as_by_fastapi(
    rest: Rest, query: str, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their routes read options past its layers, which must not make a difference."""
    handler_of = OwnBodyRoute.handler_of
    asked = []

    def noted(route: OwnBodyRoute, scope: Scope) -> Handler | None:
        asked.append(handler_of(route, scope))
        return asked[-1]

    monkeypatch.setattr(OwnBodyRoute, "handler_of", noted)
    fast = _answers(rest, query, headers)
    is_right = fast[0][0] != 422
    assert [handler is not None for handler in asked] == [is_right] * 3
    monkeypatch.setattr(OwnBodyRoute, "handler_of", lambda *_: None)
    assert _answers(rest, query, headers) == fast


def _answers(rest: Rest, query: str, headers: dict[str, str]) -> list[Any]:
    rest.ask("DELETE", "collections/birds")
    rest.make("birds")
    found = []
    for method, body in [("PUT", {"text": "A"}), ("PATCH", {"title": "B"}), ("DELETE", None)]:
        own = {name: value and value + method[:1] for name, value in headers.items()}
        answer = rest.client.request(
            method, f"/v1/collections/birds/documents/a{query}", json=body, headers=own
        )
        found.append((answer.status_code, answer.json()))
    return found
