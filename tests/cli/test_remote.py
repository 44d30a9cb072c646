"""Commands over HTTP against a real service: named by `--url`, or found as a folder's keeper."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lsr.cli.app import app
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.registry import open_sparse
from lsr.index.collection.build import build_collection
from lsr.passages.passage import PassageSettings
from lsr.types import Document
from tests.support.command_line import done, refused
from tests.support.learned_models import inference_free
from tests.support.served import serving

ADMIN = "an-admin-key-that-is-long-enough"
DOCUMENTS = [
    Document("heron", "A heron stands in the river.", "Heron", {"year": 2020}),
    Document("otter", "An otter fishes in the river.", "Otter", {"year": 2021}),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("remote") / "Birds"
    build_collection(DOCUMENTS, path, sparse=Bm25Encoder())
    return path


@pytest.fixture(scope="module")
def books(folder: Path) -> Path:
    """A collection with a long document in passages, beside the other."""
    path = folder.parent / "data" / "books"
    lines = "# Sea\n\nThe whale sleeps, and fish eat grass.\n\f# Sky\n\nA star in orbit. " * 4
    documents = [Document("long", lines, "Book"), Document("short", "A whale and a star.")]
    encoder = open_sparse(str(inference_free(folder.parent / "tiny")))
    split = PassageSettings(tokens=16, overlap=2)
    build_collection(documents, path, sparse=encoder, passages=split)
    return path


@pytest.fixture(scope="module")
def unstemmed(folder: Path) -> Path:
    """A collection whose words are as they are written."""
    path = folder.parent / "data" / "unstemmed"
    text = "A river. " + "Reed stands here. " * 40 + "All rivers."
    build_collection([Document("reed", text)], path, sparse=Bm25Encoder(language="none"))
    return path


@pytest.fixture(scope="module")
def url(folder: Path, books: Path, unstemmed: Path) -> Iterator[str]:
    assert books.is_dir()
    assert unstemmed.is_dir()
    with serving(folder, data_dir=folder.parent / "data", admin_key=ADMIN) as served:
        yield served.url


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSR_KEY", ADMIN)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--limit", "1", "--offset", "1"),
        ("--filter", "year>=2021", "--explain"),
        ("--set", "window=50", "--mode", "sparse"),
    ],
)
def test_a_search_prints_what_a_local_one_prints(
    folder: Path, url: str, options: tuple[str, ...]
) -> None:
    there = done("search", "birds", "otter river", *options, "--url", url)
    assert there == done("search", folder, "otter river", *options)
    one, other = (
        json.loads(done("search", *where, "otter river", *options, "--json"))
        for where in (("birds", "--url", url), (folder,))
    )
    for part in (one, other):
        del part["took_ms"]
    assert one == other


@pytest.mark.parametrize("options", [(), ("--passages", "3")])
def test_passages_are_printed_as_of_a_local_search(
    books: Path, url: str, options: tuple[str, ...]
) -> None:
    there = done("search", "books", "whale star", *options, "--url", url)
    assert there == done("search", books, "whale star", *options)
    one, other = (
        json.loads(done("search", *where, "whale star", *options, "--json"))
        for where in (("books", "--url", url), (books,))
    )
    for part in (one, other):
        del part["took_ms"]
    assert one == other
    numbers = [len(hit.get("passages", ())) for hit in one["hits"]]
    assert sorted(numbers) == [0, 3 if options else 1]


def test_what_is_printed_of_a_text_goes_by_the_language_there(unstemmed: Path, url: str) -> None:
    there = done("search", "unstemmed", "rivers", "--url", url)
    assert there == done("search", unstemmed, "rivers")
    assert "All rivers." in there


def test_how_documents_are_split_is_told(books: Path, folder: Path, url: str) -> None:
    for where in (("books", "--url", url), (books,)):
        told = json.loads(done("index", "info", *where, "--json"))
        assert told["passages"] == {"tokens": 16, "overlap": 2, "whole": 32}
        assert told["n_passages"] > told["n_documents"] == 2
        shown = done("index", "info", *where)
        assert "passages       tokens 16, overlap 2, whole 32\n" in shown
        assert f"n_passages     {told['n_passages']}\n" in shown
    for where in (("birds", "--url", url), (folder,)):
        assert "passages       none\n" in done("index", "info", *where)


def test_lines_of_a_pipe_are_searched_for(url: str) -> None:
    def search(name: str) -> Result:
        words = ["search", name, "--url", url]
        return CliRunner().invoke(app, words, input=b"heron\n\notter\n")

    result = search("birds")
    assert result.exit_code == 2
    assert [line[:6] for line in result.stdout.splitlines() if line[0] == ">"] == [
        "> hero",
        "> ",
        "> otte",
    ]
    assert result.stdout.count("\n  1  ") == 2
    assert result.stderr.startswith("error: line 2: ")
    gone = search("nothing")
    assert gone.exit_code == 2
    assert len(gone.stderr.splitlines()) == 1


def test_documents_are_added_deleted_merged_and_exported(url: str, tmp_path: Path) -> None:
    file = tmp_path / "more.jsonl"
    lines = [{"_id": "pike", "text": "A pike.", "title": "Pike", "name": "x"}]
    lines += [{"_id": "reed", "text": "A reed in the river."}, {"_id": "otter", "text": "Otters."}]
    file.write_text("\n".join(map(json.dumps, lines)))
    there = ("birds", "--url", url)
    said = done("index", "add", *there, file)
    assert said.startswith("birds: 2 added, 1 replaced; now generation ")
    assert "pike" in done("search", "birds", "pike", "--url", url)
    assert refused("index", "delete", *there, "reed", "nobody").startswith(
        "error: there is no document 'nobody' in collection birds"
    )
    told = json.loads(
        done("index", "delete", *there, "reed", "nobody", "--json", "--ignore-missing")
    )
    assert (told["index"], told["done"]["n_deleted"], told["n_documents"]) == ("birds", 1, 3)
    assert " segments merged" in done("index", "merge", *there)
    info = json.loads(done("index", "info", *there, "--json"))
    assert (info["n_documents"], info["n_deleted"], len(info["segments"])) == (3, 0, 1)
    assert "n_documents    3" in done("index", "info", *there)
    out = tmp_path / "out.jsonl"
    assert done("index", "export", *there, out) == f"{out}: 3 documents\n"
    done("index", "build", out, tmp_path / "again", "--sparse", "bm25")
    assert "pike" in done("search", tmp_path / "again", "pike", "--filter", "name=x")
    assert "must end in .jsonl" in refused("index", "export", *there, tmp_path / "out.npz")


def test_a_document_that_is_refused_is_named(url: str, tmp_path: Path) -> None:
    file = tmp_path / "more.jsonl"
    long = "x" * 3_000
    file.write_text(json.dumps({"_id": long, "text": "a"}) + '\n{"_id": "fine", "text": "b"}\n')
    words = ["index", "add", "birds", str(file), "--url", url]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "1 added" in result.stdout
    assert "error: 1 documents were not stored" in result.stderr
    assert "document 1 (xxx" in result.stderr
    done("index", "delete", "birds", "fine", "--url", url)


def test_snapshots_of_a_service(url: str) -> None:
    there = ("birds", "--url", url)
    assert done("index", "snapshot", "create", *there, "--name", "monday").startswith(
        "birds: snapshot monday of generation "
    )
    assert done("index", "snapshot", "list", *there).startswith("monday  generation ")
    (listed,) = json.loads(done("index", "snapshot", "list", *there, "--json"))["snapshots"]
    assert listed["name"] == "monday"
    assert "as they were written" in done(
        "index", "snapshot", "verify", "birds", "monday", "--url", url
    )
    said = done("index", "snapshot", "restore", "birds", "monday", "--url", url)
    assert said.endswith(" documents of snapshot monday\n")


def test_a_folder_that_is_served_is_changed_through_its_service(
    folder: Path, url: str, tmp_path: Path
) -> None:
    file = tmp_path / "more.jsonl"
    file.write_text('{"_id": "crane", "text": "A crane."}\n')
    result = CliRunner().invoke(app, ["index", "add", str(folder), str(file)])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{folder}: 1 added; now generation ")
    assert result.stderr.startswith(f"{folder} is served at {url}, which makes the change")
    assert "crane" in done("search", "birds", "crane", "--url", url)
    done("index", "delete", folder, "crane")
    assert "--threads is for work on a folder" in refused(
        "index", "merge", "birds", "--url", url, "--threads", "1"
    )


def test_what_cannot_be(folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--key is for a service" in refused("search", folder, "a", "--key", "k")
    assert "--no-verify is for work on a folder" in refused(
        "search", "birds", "a", "--url", url, "--no-verify"
    )
    assert "no collection 'fish'" in refused("search", "fish", "a", "--url", url)
    assert "cannot be reached" in refused("search", "birds", "a", "--url", "http://127.0.0.1:9")
    assert "is no address" in refused("search", "birds", "a", "--url", "birds")
    monkeypatch.setenv("LSR_KEY", "lsr_0123_wrong")
    assert "key" in refused("search", "birds", "a", "--url", url)
    assert "otter" in done("search", "birds", "otter", "--url", url, "--key", ADMIN)
