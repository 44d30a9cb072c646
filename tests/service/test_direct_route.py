"""Requests of direct routes: past FastAPI's layers, on the loop where they are short; their log."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import Iterator
from itertools import groupby

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import NotFoundError
from lsr.index.collection.build import build_collection
from lsr.service.api.direct_route import DirectRoute, Lane, Said
from lsr.service.api.schemas.search import ExplainRequest, SearchRequest
from lsr.service.api.search_routes import is_plain
from lsr.service.catalog import Catalog, collection_names
from lsr.service.engine import Search, SearchEngine
from lsr.service.logs import AccessLog, configure_logging
from lsr.service.problems import install_handlers
from lsr.types import Document


class Asked(BaseModel):
    """What the route of these tests reads."""

    text: str


class _Short(DirectRoute):
    @staticmethod
    def is_short(values: object) -> bool:
        return isinstance(values, dict) and values["body"].text != "long"


def _app() -> FastAPI:
    """An application whose inner layers answer 599, behind a lane for one route."""
    app, router = FastAPI(), APIRouter(route_class=_Short)
    install_handlers(app)

    @router.post("/things/{name}", response_model=None)
    def thing(name: str, body: Asked, request: Request) -> Said:
        if body.text == "none":
            raise NotFoundError("there is none")

        def end() -> Response:
            return Response(f"{name} {threading.get_ident()}")

        return end if body.text == "half" else Response(f"{name} {threading.get_ident()}")

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        answer = Response(status_code=599) if scope["type"] == "http" else app.router
        await answer(scope, receive, send)

    lane = Lane(inner, app, router.routes)

    async def ruled(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["rule"] = "/things/{name}"
        await lane(scope, receive, send)

    app.middleware_stack = ruled
    return app


def test_a_lane_answers_its_routes_and_leaves_others() -> None:
    client = TestClient(_app())
    assert client.post("/things/a", json={"text": "x"}).text.startswith("a ")
    assert client.get("/things/a").status_code == 599
    assert client.post("/other/a", json={"text": "x"}).status_code == 599


def test_a_lane_makes_the_same_problems_of_errors() -> None:
    client = TestClient(_app())
    missing = client.post("/things/a", json={"text": "none"})
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    invalid = client.post("/things/a", json={"text": 3})
    assert (invalid.status_code, invalid.json()["code"]) == (422, "invalid_request")
    assert client.post("/things/a", content=b"{").json()["code"] == "invalid_request"


def test_what_is_long_runs_in_a_thread() -> None:
    with TestClient(_app()) as client:
        texts = ("x", "y", "long", "half")
        threads = [client.post("/things/a", json={"text": text}).text for text in texts]
    assert threads[0] == threads[1]
    assert threads[0] not in threads[2:]


def test_short_requests_wait_for_their_turn_without_a_thread() -> None:
    order: list[str] = []
    app, router = FastAPI(), APIRouter(route_class=_Short)

    @router.post("/things/{name}", response_model=None)
    def thing(name: str, body: Asked, request: Request) -> Said:
        order.append(f"{name} {threading.get_ident()}")
        return Response()

    lane = Lane(app, app, router.routes)

    async def one(name: str) -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": b'{"text": "x"}'}

        async def send(_: Message) -> None:
            return

        path = f"/things/{name}"
        scope = {"type": "http", "method": "POST", "path": path, "headers": []}
        await lane({**scope, "state": {"rule": "/things/{name}"}}, receive, send)

    async def others(most: int) -> None:
        for _ in range(most):
            order.append("look")
            await asyncio.sleep(0)

    async def all_of_them() -> None:
        await asyncio.gather(*(one(f"{n:02}") for n in range(14)), others(20))

    asyncio.run(all_of_them())
    asked = [each for each in order if each != "look"]
    assert asked == [f"{n:02} {threading.get_ident()}" for n in range(14)]
    runs = [len(list(each)) for is_look, each in groupby(order, "look".__eq__) if not is_look]
    assert max(runs) == 4
    assert len(runs) >= 4


def test_a_body_may_come_in_pieces_or_not_at_all() -> None:
    app = _app()

    async def ask(pieces: list[Message]) -> list[Message]:
        sent: list[Message] = []
        coming = iter(pieces)

        async def receive() -> Message:
            return next(coming)

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/things/a", "headers": []}
        await app({**scope, "state": {}}, receive, send)
        return sent

    def piece(body: bytes, more: bool) -> Message:
        return {"type": "http.request", "body": body, "more_body": more}

    pieces = [piece(b'{"te', True), piece(b'xt": ', True), piece(b'"x"}', False)]
    for given in (pieces, [piece(b'{"text": "x"}', False)]):
        assert asyncio.run(ask(given))[1]["body"].startswith(b"a ")
    with pytest.raises(ClientDisconnect):
        asyncio.run(ask([*pieces[:2], {"type": "http.disconnect"}]))


def test_searches_that_may_be_long_are_not_plain() -> None:
    assert is_plain(SearchRequest(text="heron", limit=10, snippet=False))
    assert is_plain(SearchRequest(text="heron", facets=["a", "b"], count=True))
    for more in (
        {"filter": {"a": 1}},
        {"facets": [{"field": "a"}]},
        {"facets": ["a", "b", "c", "d", "e"]},
        {"limit": 1_000},
        {"offset": 9_000},
        {"explain": "full"},
        {"window": 10_000},
        {"cursor": "x"},
        {"marks": True},
    ):
        assert not is_plain(SearchRequest.model_validate({"text": "heron", **more})), more
    assert not is_plain(SearchRequest(text="x" * 2_000))
    assert not is_plain(ExplainRequest(text="heron", doc_id="1"))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchEngine]:
    path = tmp_path_factory.mktemp("direct") / "birds"
    documents = [Document("1", "A heron " * 900, metadata={"year": 2020})]
    documents += [Document(f"n{n}", "An otter", metadata={"number": n}) for n in range(600)]
    build_collection(documents, path, sparse=Bm25Encoder())
    catalog = Catalog.open(collection_names([path]))
    yield SearchEngine(catalog)
    catalog.close()


def test_small_collections_are_known_without_being_opened(engine: SearchEngine) -> None:
    assert engine.is_small("birds")
    assert not engine.is_small("none")


def test_facets_are_short_where_their_columns_are_made_and_small(engine: SearchEngine) -> None:
    assert not engine.is_small("birds", ["year"])
    for field in ("year", "number"):
        engine.answer("birds", Search(text="heron", facets=(field,)))
    assert engine.is_small("birds", ["year"])
    assert not engine.is_small("birds", ["year", "number"])
    assert not engine.is_small("birds", ["nothing"])


def test_lines_of_requests_are_gathered_and_keep_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stderr", stream := io.StringIO())
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        configure_logging("text", access=True)
        access = logging.getLogger("lsr.access")
        fields = {"method": "GET", "route": "/", "status": 200, "ms": 1.0}
        rest = {"client": "", "bytes": 1, "key": ""}
        for number in range(3):
            access.info("%(method)s %(route)s", {**fields, **rest, "id": f"r{number}"})
        logging.getLogger("lsr").warning("something else")
        lines = stream.getvalue().splitlines()
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert [line.partition("id=")[2].partition(" ")[0] for line in lines] == ["r0", "r1", "r2", ""]
    assert lines[-1].endswith("something else")


def test_records_of_requests_are_those_that_logging_makes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = AccessLog()
    scope = {"client": ("1.2.3.4", 5), "state": {"request_id": "r", "key_name": "k"}}
    own = logging.getLogRecordFactory()

    def write() -> None:
        log.write(scope, "GET", "/", 200, 0.001, 7)

    with caplog.at_level(logging.INFO, "lsr.access"):
        logging.getLogger("lsr.access").info("%(id)s", {"id": "theirs"})
        write()
        write()
        other = threading.Thread(target=write, name="other")
        other.start()
        other.join()
        try:
            logging.setLogRecordFactory(lambda *args, **more: _Marked(*args, **more))
            write()
        finally:
            logging.setLogRecordFactory(own)
    theirs, *ours = caplog.records
    fields = {"id": "r", "client": "1.2.3.4", "method": "GET", "route": "/", "status": 200}
    for record in ours:
        assert record.args == {**fields, "ms": 1.0, "bytes": 7, "key": "k"}
        assert record.__dict__.keys() == theirs.__dict__.keys()
        assert record.getMessage() == "GET / 200 1.0 ms"
        assert abs(record.created - theirs.created) < 60
        assert abs(record.msecs - record.created % 1 * 1_000) < 1.5
        assert (record.levelname, record.process) == ("INFO", theirs.process)
        elapsed = (record.created - theirs.created) * 1_000
        assert abs(record.relativeCreated - theirs.relativeCreated - elapsed) < 1
    assert [each.threadName == "other" for each in ours] == [False, False, True, False]
    assert isinstance(ours[-1], _Marked)


class _Marked(logging.LogRecord):
    """What an application makes of records."""
