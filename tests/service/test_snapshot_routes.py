"""Snapshots over REST: made online, carried as a tar, restored to the bit, refused when damaged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lsr.datasets.beir import BeirFolder
from tests.support.rest_service import Rest, serving

TAR = {"Content-Type": "application/x-tar"}


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    with serving(tmp_path_factory.mktemp("rest") / "data") as made:
        yield made


def _hits(rest: Rest, name: str, queries: list[str]) -> list[list[tuple[str, float]]]:
    found = []
    for query in queries:
        body = {"text": query, "limit": 100, "snippet": False}
        answer = rest.ask("POST", f"collections/{name}/search", json=body)
        found.append([(hit["doc_id"], hit["score"]) for hit in answer["hits"]])
    return found


def _snapshot(rest: Rest, collection: str, name: str) -> Any:
    task = rest.ask("POST", f"collections/{collection}/snapshots", 202, json={"name": name})
    return rest.done(task)


def test_made_listed_verified_downloaded_deleted(rest: Rest) -> None:
    rest.make("birds")
    rest.put("birds", {"a": "heron", "b": "otter"})
    made = _snapshot(rest, "birds", "monday")
    assert made["result"]["snapshot"] == "monday"
    (listed,) = rest.ask("GET", "collections/birds/snapshots")["snapshots"]
    assert (listed["name"], listed["seq"], listed["error"]) == ("monday", 2, None)
    told = rest.ask("POST", "collections/birds/snapshots/monday/verify")
    assert (told["is_intact"], told["damage"]) == (True, [])
    tar = rest.client.get("/v1/collections/birds/snapshots/monday")
    assert tar.headers["Content-Type"] == "application/x-tar"
    assert len(tar.content) == int(tar.headers["Content-Length"])
    done = rest.ask("PUT", "collections/copy/restore", content=tar.content, headers=TAR)
    assert done == {"collection": "copy", "snapshot": "monday", "n_documents": 0}
    assert rest.ask("GET", "collections/copy/documents/b")["version"] == 2
    again = rest.ask("POST", "collections/birds/snapshots", 202, json={"name": "monday"})
    assert "already" in rest.done(again, "failed")["error"]
    for name in ("..%2Fx", "none", "A"):
        rest.refused("GET", f"collections/birds/snapshots/{name}", 404, "not_found")
    rest.ask("DELETE", "collections/birds")
    assert len(rest.ask("GET", "collections/birds/snapshots")["snapshots"]) == 1
    body = {"snapshot": "monday", "collection": "birds"}
    rest.done(rest.ask("POST", "collections/back/restore", 202, json=body))
    assert rest.ask("GET", "collections/back/documents/a")["text"] == "heron"
    rest.ask("DELETE", "collections/birds/snapshots/monday")
    rest.refused("GET", "collections/birds/snapshots", 404, "not_found")
    for name in ("copy", "back"):
        rest.ask("DELETE", f"collections/{name}")


def test_a_restore_goes_back_and_its_numbers_go_on(rest: Rest) -> None:
    rest.make("birds")
    rest.put("birds", {"a": "heron"})
    _snapshot(rest, "birds", "s")
    rest.put("birds", {f"n{n}": "otter" for n in range(10)})
    rest.done(rest.ask("POST", "collections/birds/restore", 202, json={"snapshot": "s"}))
    ids = [each["doc_id"] for each in rest.ask("GET", "collections/birds/documents")["documents"]]
    assert ids == ["a"]
    later = rest.ask("PUT", "collections/birds/documents/b", 201, json={"text": "stone"})
    assert later["seq"] == 12
    rest.refused("POST", "collections/birds/restore", 404, "not_found", json={"snapshot": "none"})
    rest.ask("DELETE", "collections/birds")
    rest.ask("DELETE", "collections/birds/snapshots/s")


def test_what_is_damaged_changes_nothing(rest: Rest) -> None:
    rest.make("birds")
    rest.put("birds", {"a": "heron"})
    _snapshot(rest, "birds", "s")
    tar = rest.client.get("/v1/collections/birds/snapshots/s").content
    middle = len(tar) // 2
    for data in (b"", b"x" * 5_000, tar[:middle], tar[:middle] + b"?" + tar[middle + 1 :]):
        for name in ("birds", "new"):
            answer = rest.client.put(f"/v1/collections/{name}/restore", content=data, headers=TAR)
            assert answer.status_code in (422, 503), answer.text
            assert "nothing was changed" in answer.json()["detail"]
    rest.refused("GET", "collections/new", 404, "not_found")
    rest.refused("PUT", "collections/birds/restore", 415, "unsupported_media_type", content=tar)
    path = rest.root / ".birds.snapshots" / "s" / "manifest.json"
    path.write_text(path.read_text() + " ")
    assert not rest.ask("POST", "collections/birds/snapshots/s/verify")["is_intact"]
    failed = rest.ask("POST", "collections/birds/restore", 202, json={"snapshot": "s"})
    assert "nothing was changed" in rest.done(failed, "failed")["error"]
    assert rest.found("birds", "heron") == ["a"]
    assert not list(rest.root.glob(".*received"))
    assert not list(rest.root.glob(".*restored"))
    rest.ask("DELETE", "collections/birds")
    rest.ask("DELETE", "collections/birds/snapshots/s")


ROOT = Path(__file__).parents[2]
SCIFACT = Path(os.environ.get("LSR_DATA", ROOT.parent / "shared" / "data")) / "eval" / "scifact"


@pytest.mark.skipif(  # not where CI is set: there it must fail
    not SCIFACT.is_dir() and not os.environ.get("CI"), reason="set LSR_DATA; scifact is not here"
)
def test_a_restored_collection_finds_the_same_to_the_bit(rest: Rest) -> None:
    folder = BeirFolder(SCIFACT)
    documents = list(folder.documents())[:300]
    queries = [query.text for query in folder.queries()][:100]
    rest.make("scifact")
    for start in range(0, len(documents), 500):
        made = [
            {"id": each.doc_id, "text": each.text, "title": each.title}
            for each in documents[start : start + 500]
        ]
        rest.ask("POST", "collections/scifact/documents?wait=searchable", json={"documents": made})
    rest.done(rest.ask("POST", "collections/scifact/publish", 202))
    rest.put("scifact", {"late": "cells of the late kind", documents[0].doc_id: "replaced cells"})
    before = _hits(rest, "scifact", queries)
    assert len(before) == 100
    _snapshot(rest, "scifact", "s")
    body = {"snapshot": "s", "collection": "scifact"}
    rest.done(rest.ask("POST", "collections/again/restore", 202, json=body))
    rest.put("again", {})
    for _ in range(200):
        if rest.ask("GET", "collections/again")["n_pending"] == 0:
            break
    assert _hits(rest, "again", queries) == before
