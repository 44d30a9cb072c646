"""`lsr index add`, `delete` and `merge` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.changing_collection import content
from tests.support.command_line import done, refused


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """An index of two notes, and beside it a file of two more."""
    notes = [("a", "heron in water"), ("b", "otter")]
    more = [("b", "another otter"), ("c", "a pike in water")]
    for name, lines in (("notes", notes), ("more", more)):
        text = "".join(json.dumps({"nr": i, "body": t}) + "\n" for i, t in lines)
        (tmp_path / f"{name}.jsonl").write_text(text)
    columns = ("--columns", "doc_id=nr,text=body")
    done(
        "index", "build", tmp_path / "notes.jsonl", tmp_path / "index", *columns, "--sparse", "bm25"
    )
    return tmp_path / "index"


def add(index: Path, *options: str) -> str:
    source = index.parent / "more.jsonl"
    return done("index", "add", index, source, "--columns", "doc_id=nr,text=body", *options)


def test_add_delete_merge(index: Path) -> None:
    assert add(index) == (
        f"{index}: 1 added, 1 replaced; now generation 2, documents 3, segments 2\n"
    )
    assert "another otter" in done("search", index, "otter")
    info = done("index", "info", index).splitlines()
    assert "n_documents    3" in info
    assert "n_deleted      1" in info
    assert info[-2:] == ["segment-000001 1 documents, 1 deleted", "segment-000002 2 documents"]
    assert done("index", "delete", index, "c") == (
        f"{index}: 1 deleted; now generation 3, documents 2, segments 2\n"
    )
    assert done("index", "merge", index) == (
        f"{index}: 2 segments merged; now generation 4, documents 2, segments 1\n"
    )
    assert "nothing to do" in done("index", "merge", index)
    assert "files are as they were written" in done("index", "verify", index)


def test_json(index: Path) -> None:
    state = {"generation": 2, "n_documents": 3, "n_deleted": 1, "n_segments": 2}
    counts = {"n_added": 1, "n_replaced": 1, "n_deleted": 0, "n_merged": 0, "n_unchanged": 0}
    told = json.loads(add(index, "--json"))
    reading = told.pop("reading")
    assert told == {"index": str(index), "done": counts, **state}
    assert (reading["n_documents"], reading["n_passed"]) == (2, 0)
    segments = json.loads(done("index", "info", index, "--json"))["segments"]
    assert [(s["name"], s["n_rows"], s["n_deleted"]) for s in segments] == [
        ("segment-000001", 2, 1),
        ("segment-000002", 2, 0),
    ]
    answer = json.loads(done("index", "delete", index, "a", "--json"))
    assert answer["done"]["n_deleted"] == 1
    assert json.loads(done("index", "merge", index, "--json"))["done"]["n_merged"] == 1


def test_ids_from_a_file(index: Path) -> None:
    ids = index.parent / "ids.txt"
    ids.write_bytes("\ufeffa\r\n\nnever\n".encode())
    sentence = refused("index", "delete", index, "b", "--ids-from", ids)
    assert sentence.startswith("error: there is no document 'never' in index; nothing was deleted")
    told = done("index", "delete", index, "b", "--ids-from", ids, "--ignore-missing")
    assert "2 deleted; now generation 2, documents 0" in told


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["delete", "{index}"], "no document was named; give ids, or --ids-from a file"),
        (["delete", "{index}", "x", "y"], "there is no document 'x' in index, nor of 1 other ids"),
        (["delete", "{index}", "--ids-from", "nothing.txt"], "nothing.txt: there is no such file"),
        (["delete", "nothing", "a"], "nothing does not exist; make one with: lsr index build"),
        (["merge", "nothing"], "nothing does not exist"),
        (["add", "nothing", "{more}"], "nothing does not exist"),
        (["add", "{index}"], "the documents to add are missing: lsr index add INDEX SOURCE"),
        (["add", "{index}", "nothing.jsonl"], "nothing.jsonl"),
        (["add", "{index}", "{more}"], "line 1: a document needs an id"),
    ],
)
def test_refused(index: Path, words: list[str], sentence: str) -> None:
    before = content(index.parent)
    filled = [word.format(index=index, more=index.parent / "more.jsonl") for word in words]
    assert sentence in refused("index", *filled)
    assert content(index.parent) == before
    assert not Path("nothing").exists()
