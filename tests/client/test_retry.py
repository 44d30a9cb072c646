"""Attempts and waits, over a transport that answers from a list: a service that fails on cue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from lsr.client import AsyncClient, Client, Retry
from lsr.errors import (
    AccessError,
    ConflictError,
    InputError,
    LsrError,
    NotFoundError,
    OverloadedError,
    ServiceError,
    VersionConflictError,
)
from lsr.types import Document

QUICK = Retry(attempts=3, first_seconds=0.001, most_seconds=0.002)
FOUND = {"collection": "c", "generation": 1, "mode": "sparse", "hits": []}
WRITTEN = {"doc_id": "a", "status": "created", "version": 1, "seq": 1}

Answer = httpx.Response | Exception


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    return httpx.Response(
        status,
        json={"status": status, "code": code, "detail": f"it is {code}"},
        headers={"content-type": "application/problem+json", "x-request-id": "r1", **headers},
    )


class Cues:
    """A transport that gives answers one after the other, and keeps the requests."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def ask(cues: Cues, act: Callable[[Client], Any], retry: Retry = QUICK) -> Any:
    """The same with both clients: they differ in how they wait, and in nothing else."""
    answers = list(cues.answers)
    with Client("http://x", retry=retry, transport=httpx.MockTransport(cues)) as client:
        outcome = _outcome(lambda: act(client))
    n_requests = len(cues.requests)
    other = Cues(*answers)

    async def again() -> object:
        transport = httpx.MockTransport(other)
        async with AsyncClient("http://x", retry=retry, transport=transport) as client:
            return await act(client)  # type: ignore[arg-type]

    second = _outcome(lambda: asyncio.run(again()))
    assert repr(second) == repr(outcome)
    assert len(other.requests) == n_requests
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _outcome(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except LsrError as error:
        return error


def search(client: Client) -> Any:
    return client.collection("c").search("a")


@pytest.mark.parametrize(
    "first",
    [
        problem(503, "overloaded"),
        problem(429, "too_many_requests", **{"retry-after": "0"}),
        httpx.Response(502, text="<html>"),
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("closed"),
    ],
    ids=["503", "429", "502", "refused", "closed"],
)
def test_a_search_is_sent_again(first: Answer) -> None:
    cues = Cues(first, first, httpx.Response(200, json=FOUND))
    assert ask(cues, search).generation == 1
    assert len(cues.requests) == 3


def test_attempts_end() -> None:
    cues = Cues(*[problem(503, "overloaded")] * 4)
    with pytest.raises(OverloadedError, match=r"^it is overloaded \(request r1\)$") as caught:
        ask(cues, search)
    assert len(cues.requests) == QUICK.attempts
    assert caught.value.problem is not None
    assert caught.value.problem["status"] == 503


@pytest.mark.parametrize(("code", "kind"), [("index_corrupt", LsrError), ("unavailable", LsrError)])
def test_what_will_not_pass_is_not_tried_again(code: str, kind: type[LsrError]) -> None:
    cues = Cues(problem(503, code))
    with pytest.raises(kind) as caught:
        ask(cues, search)
    assert (len(cues.requests), caught.value.code) == (1, code)


def test_silence_is_not_asked_again() -> None:
    cues = Cues(httpx.ReadTimeout(""))
    with pytest.raises(ServiceError, match="gave no answer within 30 s"):
        ask(cues, search)
    assert len(cues.requests) == 1


def test_writes_have_a_key_that_stays_over_attempts() -> None:
    cues = Cues(problem(503, "overloaded"), httpx.Response(201, json=WRITTEN))
    with Client("http://x", retry=QUICK, transport=httpx.MockTransport(cues)) as client:
        assert client.collection("c").put(Document("a", "b")).version == 1
        cues.answers.append(httpx.Response(200, json=WRITTEN))
        client.collection("c").put(Document("a", "b"), key="mine")
    keys = [request.headers["idempotency-key"] for request in cues.requests]
    assert keys[0] == keys[1]
    assert keys[2] == "mine" != keys[0]


def test_what_has_no_key_is_not_sent_twice() -> None:
    def make_key(client: Client) -> Any:
        return client.create_key("shop")

    for answer in (httpx.ReadError("cut"), problem(503, "overloaded")):
        cues = Cues(answer)
        with pytest.raises(LsrError):
            ask(cues, make_key)
        assert len(cues.requests) == 1
    made = httpx.Response(201, json={"id": "i", "name": "shop", "scope": "read", "key": "k"})
    cues = Cues(httpx.ConnectError("refused"), problem(429, "too_many_requests"), made)
    assert ask(cues, make_key).key == "k"  # neither was done the first time


def test_waits() -> None:
    retry = Retry(first_seconds=1.0, most_seconds=5.0)
    assert [retry.wait(attempt, None, 1.0) for attempt in range(5)] == [1, 2, 4, 5, 5]
    assert retry.wait(3, None, 0.0) == 0
    assert retry.wait(0, 3.0, 1.0) == 3
    assert retry.wait(2, 3.0, 1.0) == 4
    with pytest.raises(InputError, match="give 1 attempt"):
        Retry(attempts=0)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_service_that_asks_for_too_much_patience(form: str) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    asked = "3600" if form == "seconds" else later
    cues = Cues(problem(429, "too_many_requests", **{"retry-after": asked}))
    with pytest.raises(OverloadedError):
        ask(cues, search)
    assert len(cues.requests) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "unauthorized", AccessError),
        (403, "forbidden", AccessError),
        (404, "not_found", NotFoundError),
        (409, "version_conflict", VersionConflictError),
        (409, "something_new", InputError),
        (409, "conflict", ConflictError),
        (422, "invalid_request", InputError),
        (500, "internal", ServiceError),
        (500, "something_new", ServiceError),
        (504, "timeout", OverloadedError),
    ],
)
def test_problems_are_our_errors(status: int, code: str, kind: type[LsrError]) -> None:
    with pytest.raises(LsrError) as caught:
        ask(Cues(problem(status, code)), search)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(200, text="<html>hello"), "is not JSON; is there an lsr service"),
        (httpx.Response(200, json=[]), "has list at SearchAnswer, where an object belongs"),
        (httpx.Response(200, json={**FOUND, "hits": [{}]}), r"lacks SearchAnswer.hits\[0\].doc_id"),
        (httpx.Response(200, json={**FOUND, "generation": "1"}), "has str at SearchAnswer.generat"),
        (httpx.Response(302, headers={"location": "/login"}), "has status 302 and no reason"),
    ],
)
def test_answers_that_are_none(answer: httpx.Response, said: str) -> None:
    with pytest.raises(LsrError, match=said):
        ask(Cues(answer), search)


def test_what_a_newer_service_adds_is_passed_over() -> None:
    newer = {
        **FOUND,
        "mode": "telepathic",
        "rings": [1],
        "total": 3,
        "hits": [{"doc_id": "a", "score": 1, "aura": {"hue": 3}, "title": None}],
    }
    answer = ask(Cues(httpx.Response(200, json=newer)), search)
    assert (answer.hits[0].score, answer.hits[0].title, answer.mode) == (1.0, None, "telepathic")
    assert answer.raw["rings"] == [1]
    assert answer.hits[0].raw["aura"] == {"hue": 3}


def test_a_stream_of_statuses_that_ends_early() -> None:
    cut = httpx.Response(200, content=b'{"doc_id":"a","status":"created","version":1}\n')
    with pytest.raises(ServiceError, match="ends early; send it again with the same key"):
        ask(Cues(cut), lambda client: client.collection("c").add([Document("a", "b")]))


@pytest.mark.parametrize(
    ("url", "key", "said"),
    [
        ("localhost:8080", None, "write it as http://127.0.0.1:8080"),
        ("http://", None, "write it as"),
        ("http://x:99999", None, "is no address"),
        ("http://x/?a=b", None, r"after \? or #"),
        ("http://x", "two words", "^the key is empty, or has characters that no key has$"),
        ("http://x", "line\nbreak", "^the key is empty, or has characters that no key has$"),
    ],
)
def test_addresses_and_keys_that_cannot_be(url: str, key: str | None, said: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(InputError, match=said):
            kind(url, key=key)


def test_requests_that_cannot_be() -> None:
    with Client("http://x") as client:
        birds = client.collection("birds")
        for refused in (
            lambda: birds.get(""),
            lambda: birds.get("\ud800"),
            lambda: birds.put(Document("a", "b", metadata={"n": float("nan")})),
            lambda: birds.put(Document("a", "b", metadata={"n": object()})),
            lambda: birds.search("a", mode="sparse", plan={"mode": "dense"}),
            lambda: birds.search("a", plan="dense"),
            lambda: birds.add([1]),  # type: ignore[list-item]
            lambda: birds.add([], key="two words"),
            lambda: birds.add([], chunk=1_001),
            lambda: birds.upload("no-such.tar"),
        ):
            with pytest.raises(InputError):
                refused()
