"""The client against a real service: each call, synchronous and asynchronous."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import lsr
from lsr.client import AsyncClient, Client, RemoteCollection, SearchRequest, Written
from lsr.client.async_client import AsyncRemoteCollection
from lsr.errors import (
    AccessError,
    ExistsError,
    InputError,
    LsrError,
    NotFoundError,
    QueryError,
    ServiceError,
    VersionConflictError,
)
from lsr.types import Document
from tests.client.conftest import ADMIN, DOCUMENTS, PATIENCE


@pytest.fixture
def notes(client: Client, request: pytest.FixtureRequest) -> Iterator[RemoteCollection]:
    """An empty collection of the test's own."""
    name = f"notes-{abs(hash(request.node.name)) % 10**8}"
    client.create_collection(name, sparse="bm25", language="none", fields={"year": "number"})
    yield client.collection(name)
    client.delete_collection(name)


def test_a_search_and_a_description(client: Client) -> None:
    birds = client.collection("birds")
    answer = birds.search(
        "otters in rivers",
        limit=1,
        filter={"lang": "en"},
        plan=lsr.SearchPlan(explain="full"),
    )
    (hit,) = answer.hits
    assert (hit.doc_id, hit.title) == ("otter", "Otter")
    assert hit.metadata == {"year": 2021, "lang": "en"}
    assert hit.explanation is not None
    assert hit.explanation.terms is not None
    assert sum(part.value for part in hit.explanation.terms) == pytest.approx(hit.score, rel=1e-5)
    assert (answer.collection, answer.mode, answer.plan["explain"]) == ("birds", "sparse", "full")
    assert answer.took_ms["total"] > 0
    info = birds.info()
    assert (info.name, info.n_documents, info.modes) == ("birds", 3, ["sparse"])
    assert "birds" in {each.name for each in client.collections()}
    assert client.ready()


def test_errors_say_what_the_service_says(client: Client) -> None:
    with pytest.raises(NotFoundError, match=r"no collection 'fish'; there are: .*\(request "):
        client.collection("fish").search("a")
    with pytest.raises(QueryError, match="there is no field 'nothing'|'nothing'") as caught:
        client.collection("birds").search("a", filter={"nothing": 1})
    assert caught.value.problem is not None
    assert caught.value.problem["code"] == "invalid_query"
    with pytest.raises(InputError, match="limit"):
        client.collection("birds").search("a", limit=0)


def test_keys(client: Client, url: str) -> None:
    made = client.create_key("reader", scope="read", collections=["birds"], filter={"lang": "en"})
    assert made.key is not None
    assert made.key not in repr(made)
    with Client(url, key=made.key, timeout=PATIENCE) as reader:
        found = reader.collection("birds").search("river fluss", limit=10).hits
        assert {hit.doc_id for hit in found} == {"heron", "otter"}
        with pytest.raises(AccessError):
            reader.collection("birds").put(Document("a", "b"))
        known = client.keys()
        assert made.id in [each.id for each in known]
        client.delete_key(made.id)
        with pytest.raises(AccessError):
            reader.collection("birds").info()
    with Client(url) as nobody, pytest.raises(AccessError):
        nobody.collections()


@pytest.mark.parametrize(
    "doc_id", ["a", "a/b", "/x", "a//b", "ü ß", "line\nbreak", "%41", "a?b#c", "🦦", "a+b&c=d;e"]
)
def test_ids_of_all_kinds_come_back(notes: RemoteCollection, doc_id: str) -> None:
    document = Document(doc_id, "An otter.", "Title", {"year": 2020, "tags": ["a", None]})
    written = notes.put(document)
    assert (written.doc_id, written.status) == (doc_id, "created")
    found = notes.get(doc_id)
    assert (found.document, found.version) == (document, written.version)
    assert notes.delete(doc_id).status == "deleted"
    with pytest.raises(NotFoundError):
        notes.get(doc_id)


def test_writes_and_versions(notes: RemoteCollection) -> None:
    first = notes.put(Document("a", "Keys rotate.", metadata={"year": 1}), if_version=0)
    with pytest.raises(VersionConflictError, match="document 'a'"):
        notes.put(Document("a", "Other."), if_version=0)
    second = notes.patch("a", metadata={"year": None, "draft": True}, if_version=first.version)
    assert notes.get("a").document == Document("a", "Keys rotate.", metadata={"draft": True})
    again = notes.put(Document("b", "Once."), key="one")
    assert notes.put(Document("b", "Once."), key="one").version == again.version
    assert again.seq > second.seq
    assert notes.put(Document("c", "Doors."), wait="searchable").searchable
    assert [hit.doc_id for hit in notes.search("doors").hits] == ["c"]
    with pytest.raises(InputError, match="year"):
        notes.put(Document("d", "No.", metadata={"year": "soon"}))
    assert notes.delete_where({"draft": {"exists": False}}, wait="searchable").n_deleted == 2
    assert notes.delete_many(["a", "nobody"], wait="searchable").n_missing == 1
    assert list(notes.iter()) == []


def test_many_documents(notes: RemoteCollection) -> None:
    drawn = 0
    most_ahead = 0
    told: list[Written] = []

    def documents() -> Iterator[Document | dict[str, Any]]:
        nonlocal drawn, most_ahead
        for number in range(950):
            drawn += 1
            most_ahead = max(most_ahead, drawn - len(told))
            yield Document(f"{number:03}", f"note {number}", metadata={"year": number})
        yield {"doc_id": "bad", "text": 3}
        yield {"_id": "mapped", "text": "mapped note", "title": "\u2028"}

    added = notes.add(documents(), told=told.append, chunk=100, wait="searchable", key="import")
    assert (added.n_created, added.n_replaced, added.n_failed) == (951, 0, 1)
    assert added.searchable
    assert most_ahead <= 200
    assert [written.line for written in told] == list(range(1, 953))
    (failure,) = added.failed
    assert (failure.line, failure.doc_id, failure.status) == (951, "bad", "invalid")
    seq = notes.info().seq
    again = notes.add(documents(), chunk=100, key="import")
    assert (again.n_created, again.n_failed, notes.info().seq) == (951, 1, seq)
    other = notes.add([Document("000", "note 0, anew")], key="import")
    assert (other.n_replaced, notes.info().seq) == (1, seq + 1)
    exported = {each.doc_id: each for each in notes.export()}
    assert len(exported) == 951
    assert exported["mapped"].title == "\u2028"
    assert [each.doc_id for each in notes.iter(page=400)] == sorted(exported)
    some = list(notes.iter(filter={"year": {"lt": 3}}, fields=["metadata.year"]))
    assert [dict(each.metadata) for each in some] == [{"year": 1}, {"year": 2}]
    assert not some[0].text


def test_collections_and_aliases(client: Client) -> None:
    made = client.create_collection("here", sparse="bm25", default_plan={"window": 50})
    assert (made.n_documents, made.default_plan["window"]) == (0, 50)
    with pytest.raises(ExistsError):
        client.create_collection("here")
    with pytest.raises(InputError, match="dimensions of a dense model without one"):
        client.create_collection("deep", sparse="bm25", dense_options={"dimensions": 8})
    client.collection("here").put(Document("a", "Here."), wait="searchable")
    assert client.set_alias("now", "here")["now"] == "here"
    assert client.collection("now").search("here").hits[0].doc_id == "a"
    assert client.change_aliases({"now": "birds", "then": "here"}) == client.aliases()
    assert client.collection("now").get("otter").title == "Otter"
    client.change_aliases({"now": None})
    assert client.delete_alias("then") == {}
    client.delete_collection("here")
    with pytest.raises(NotFoundError):
        client.delete_collection("here")


def test_tasks_and_snapshots(client: Client, notes: RemoteCollection, tmp_path: Path) -> None:
    notes.add([Document("a", "Keys rotate."), Document("b", "Doors.")])
    task = notes.publish(wait=False)
    assert client.wait(task, timeout=60).status == "done"
    assert client.task(task.id).has_ended
    assert task.id in {each.id for each in client.tasks(notes.name)}
    with pytest.raises(LsrError):
        client.cancel(task.id)
    assert notes.merge(timeout=60).status == "done"
    made = notes.create_snapshot("monday")
    assert made.result["snapshot"] == "monday"
    assert [each.name for each in notes.snapshots()] == ["monday"]
    assert notes.verify_snapshot("monday").is_intact
    tar = notes.download_snapshot("monday", tmp_path / "monday.tar")
    notes.delete("a", wait="searchable")
    notes.restore("monday")
    assert notes.get("a").text == "Keys rotate."
    copy = client.collection(f"{notes.name}-copy")
    assert copy.upload(tar)["n_documents"] == 2
    assert {each.doc_id for each in copy.iter()} == {"a", "b"}
    client.delete_collection(copy.name)
    notes.delete_snapshot("monday")
    assert notes.snapshots() == []
    broken = tmp_path / "broken.tar"
    broken.write_bytes(tar.read_bytes()[:3_000])
    with pytest.raises(LsrError):
        notes.upload(broken)
    with pytest.raises(NotFoundError):
        notes.download_snapshot("tuesday", tmp_path / "no.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.tar", "monday.tar"]


def test_more_of_search(client: Client) -> None:
    birds = client.collection("birds")
    first, second = birds.msearch(
        [SearchRequest(text="otter", limit=1), SearchRequest(text="a", filter={"no": 1})]
    )
    assert isinstance(first, lsr.client.SearchAnswer)
    assert first.hits[0].doc_id == "otter"
    assert isinstance(second, QueryError)
    assert birds.explain("otter", "otter").found
    (vector,) = birds.encode(["otter"]).vectors
    assert len(vector) == 1
    assert birds.suggest("ottr").corrected == "otter"


def test_facets_sort_collapse_and_marks(client: Client) -> None:
    birds = client.collection("birds")
    answer = birds.search(
        "river fluss",
        facets=["lang", {"field": "year", "ranges": [{"from": 2021}]}],
        sort=["year:desc", "lang"],
        fields=["title", "text", "metadata.year"],
        marks=True,
        count=True,
        timeout_ms=10_000,
    )
    assert [hit.doc_id for hit in answer.hits] == ["reiher", "otter", "heron"]
    assert answer.n_matches == 3
    lang, year = answer.facets
    assert [(value.value, value.count) for value in lang.values] == [("en", 2), ("de", 1)]
    assert [each.count for each in year.ranges] == [2]
    assert answer.hits[1].text == "An otter fishes in the river."
    assert not answer.partial
    places = [mark for mark in answer.hits[1].marks if mark.field == "text"]
    marked = {answer.hits[1].text[mark.start : mark.end] for mark in places}
    assert "river" in marked
    grouped = birds.search("river fluss", collapse={"field": "lang", "inner": 2})
    assert len(grouped.hits) == 2
    assert {len(hit.collapsed.hits) for hit in grouped.hits if hit.collapsed} == {0, 1}


def test_the_asynchronous_client(url: str, tmp_path: Path) -> None:
    async def coming() -> AsyncIterator[Document]:
        for document in DOCUMENTS:
            await asyncio.sleep(0)
            yield document

    async def run() -> None:
        async with AsyncClient(url, key=ADMIN, timeout=PATIENCE) as client:
            await client.create_collection("later", sparse="bm25")
            later = client.collection("later")
            added = await later.add(coming(), wait="searchable", chunk=2)
            assert added.n_written == 3
            answers = await asyncio.gather(*(later.search("otter") for _ in range(8)))
            assert {answer.hits[0].doc_id for answer in answers} == {"otter"}
            assert len([each async for each in later.iter(page=2)]) == 3
            assert len([each async for each in later.export()]) == 3
            assert (await later.merge()).status == "done"
            await later.create_snapshot("s")
            tar = await later.download_snapshot("s", tmp_path / "s.tar")
            await later.upload(tar)
            with pytest.raises(NotFoundError):
                await later.get("nobody")
            await client.delete_collection("later")

    asyncio.run(run())


def test_threads_share_a_client(client: Client) -> None:
    found: list[str] = []

    def search() -> None:
        for _ in range(5):
            found.append(client.collection("birds").search("otter").hits[0].doc_id)

    threads = [threading.Thread(target=search) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["otter"] * 30


def test_nobody_there() -> None:
    retry = lsr.client.Retry(attempts=2, first_seconds=0.001)
    with Client("http://127.0.0.1:9", retry=retry) as client:
        with pytest.raises(ServiceError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
            client.collections()
        with pytest.raises(ServiceError, match="cannot be reached"):
            list(client.collection("a").export())


def test_both_clients_have_the_same_methods() -> None:
    for one, other in ((Client, AsyncClient), (RemoteCollection, AsyncRemoteCollection)):
        names = {name for name in vars(one) if not name.startswith("_")}
        assert names == {name for name in vars(other) if not name.startswith("_")}
        for name in names:
            first, second = getattr(one, name), getattr(other, name)
            assert first.__doc__, name
            mine, theirs = inspect.signature(first), inspect.signature(second)
            assert list(mine.parameters) == list(theirs.parameters), name
    assert "limit: 'int | None'" in str(inspect.signature(RemoteCollection.search))
    assert str(inspect.signature(RemoteCollection.search)).endswith("-> 'SearchAnswer'")


def test_search_requests_are_json() -> None:
    request = SearchRequest(text="a", dense=[1.0], filter={"year": 1}, plan={"window": 3})
    assert json.loads(json.dumps(request.body())) == {
        "text": "a",
        "vectors": {"dense": [1.0]},
        "filter": {"year": 1},
        "window": 3,
    }
