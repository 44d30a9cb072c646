"""Commands on an index whose log holds what a killed service acknowledged."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import lsr
from lsr.errors import StorageError
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.operation import Operation
from lsr.types import Document
from tests.support.command_line import done, refused
from tests.support.live import killed, put


@pytest.fixture
def left(built: Path) -> Path:
    """An index beside whose seven birds a yak and a deletion are in the log."""
    live = LiveCollection.open(built)
    written = live.write([put("yak", "a yak", herd=True), Operation.delete("pike")])
    assert [each.seq for each in written] == [1, 2]
    killed(live)
    return built


def ids(path: Path) -> set[str]:
    with lsr.open(path) as index:
        rows = index.reader.live_rows().tolist()
        return {document.doc_id for document in index.reader.store.documents(rows)}


BIRDS = {"heron", "otter", "kestrel", "empty", "zebra-1", "zebra-2"}


def test_publish(left: Path) -> None:
    assert ids(left) == {*BIRDS, "pike"}
    assert json.loads(done("index", "info", left, "--json"))["n_unpublished"] == 2
    told = json.loads(done("index", "publish", left, "--json"))
    assert (told["n_published"], told["n_documents"]) == (2, 7)
    assert ids(left) == {*BIRDS, "yak"}
    assert "0 writes published" in done("index", "publish", left)
    assert json.loads(done("index", "info", left, "--json"))["n_unpublished"] == 0


def test_search_says_that_something_waits(left: Path) -> None:
    from typer.testing import CliRunner

    from lsr.cli.app import app

    for command in (["search", str(left), "fish"], ["index", "info", str(left)]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0
        assert f"2 acknowledged writes are not published yet; run: lsr index publish {left}" in (
            result.stderr
        )


def test_an_addition_overtakes_nothing(left: Path, tmp_path: Path) -> None:
    source = tmp_path / "more.jsonl"
    source.write_text('{"_id": "yak", "text": "a newer yak"}\n')
    told = json.loads(done("index", "add", left, source, "--json"))
    assert told["done"]["n_replaced"] == 1
    assert ids(left) == {*BIRDS, "yak"}
    with lsr.open(left) as index:
        assert index.document("yak").text == "a newer yak"
    with LiveCollection.open(left) as live:
        assert live.view.document("yak").text == "a newer yak"


def test_a_deletion_a_merge_and_a_build(left: Path, tmp_path: Path) -> None:
    done("index", "delete", left, "yak")
    assert ids(left) == BIRDS
    done("index", "merge", left)
    assert ids(left) == BIRDS
    source = tmp_path / "new.jsonl"
    source.write_text('{"_id": "new", "text": "all is new"}\n')
    done("index", "build", source, left, "--sparse", "bm25")
    assert ids(left) == {"new"}
    with LiveCollection.open(left) as live:
        assert live.view.n_documents == 1, "the log does not bring back what was replaced"


def test_the_front_door(left: Path) -> None:
    with lsr.open(left) as index:
        assert index.delete(["yak"]).n_deleted == 1
        assert index.n_documents == 6


def test_beside_a_service_changes_are_refused(built: Path, tmp_path: Path) -> None:
    source = tmp_path / "more.jsonl"
    source.write_text('{"_id": "yak", "text": "a newer yak"}\n')
    with LiveCollection.open(built) as live:
        live.write([put("yak", "a yak")])
        while not live.state.is_keeper:
            live.wait_searchable(10**9, 0.01)
        for command in (
            ["index", "add", built, source],
            ["index", "delete", built, "heron"],
            ["index", "merge", built],
            ["index", "publish", built],
            ["index", "build", source, built, "--sparse", "bm25"],
        ):
            said = refused(*command)
            assert "is kept by another process, which writes to it" in said, command
        with lsr.open(built) as index, pytest.raises(StorageError, match="is kept by"):
            index.add([Document("a", "b")])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_log_that_cannot_be_read(left: Path) -> None:
    (left / "log.sqlite").chmod(0)
    assert "log.sqlite cannot be read" in refused("index", "info", left)


def test_a_damaged_log(left: Path) -> None:
    (left / "log.sqlite").write_bytes(b"no database at all, but long enough" * 100)
    for name in ("log.sqlite-wal", "log.sqlite-shm"):
        (left / name).unlink(missing_ok=True)
    assert "log.sqlite is damaged" in refused("index", "publish", left)
