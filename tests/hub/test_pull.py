"""An index fetched from a repository: whole and checked, or not there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import lsr
from lsr.errors import (
    DataError,
    ExistsError,
    IndexCorruptError,
    IndexVersionError,
    InputError,
    LsrError,
    ServiceError,
    StorageError,
)
from lsr.files import checksum
from lsr.index.live.live_collection import LiveCollection
from lsr.index.storage.manifest import MANIFEST, FileRecord
from lsr.locks import FileLock
from tests.support.hub import Hub
from tests.support.live import put

REPOSITORY = "owner/birds"
STORE = "segment-000001/documents.sqlite"


@pytest.fixture
def pushed(built: Path, hub: Hub) -> Path:
    """An index that is in the repository too."""
    lsr.push(built, REPOSITORY)
    hub.requests.clear()
    return built


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def replaced(hub: Hub, **files: bytes | None) -> None:
    """A new commit with files changed, or taken out."""
    stored = hub.repositories[REPOSITORY]
    merged = stored.files() | {name: content for name, content in files.items() if content}
    gone = {name for name, content in files.items() if content is None}
    kept = {name: content for name, content in merged.items() if name not in gone}
    stored.commit(kept, "changed")


def relisted(hub: Hub, change: Callable[[dict[str, object]], None]) -> None:
    """A new commit with a listing that is changed and signed."""
    content = json.loads(hub.repositories[REPOSITORY].files()["snapshot.json"])
    del content["checksum"]
    change(content)
    text = json.dumps({**content, "checksum": checksum(content)})
    replaced(hub, **{"snapshot.json": text.encode()})


def test_a_pull_is_the_index_that_was_pushed(pushed: Path, hub: Hub, tmp_path: Path) -> None:
    done = lsr.pull(REPOSITORY, tmp_path / "new" / "pulled")
    assert tree(done.path) == tree(pushed)
    assert hub.sent() == []
    assert [path.name for path in done.path.parent.iterdir()] == ["pulled"]
    assert (done.kind, done.n_documents, done.n_files) == ("index", 7, len(tree(pushed)))
    assert done.size_bytes == sum(map(len, tree(pushed).values()))
    assert done.commit == hub.repositories[REPOSITORY].branches["main"][-1][0]
    with lsr.open(done.path) as index:
        assert [hit.document.doc_id for hit in index.search("heron").hits] == ["heron"]
        index.add([lsr.Document("yak", "A yak grazes.")])
        assert len(index) == 8


def test_an_older_revision(pushed: Path, hub: Hub, tmp_path: Path) -> None:
    first = hub.repositories[REPOSITORY].branches["main"][-1][0]
    with lsr.open(pushed) as index:
        index.delete(["pike"])
    lsr.push(pushed, REPOSITORY)
    assert lsr.pull(REPOSITORY, tmp_path / "newest").n_documents == 6
    old = lsr.pull(REPOSITORY, tmp_path / "old", revision=first)
    assert (old.n_documents, old.commit) == (7, first)


def test_an_index_that_is_there_is_replaced_when_asked(pushed: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    lsr.build([lsr.Document("mine", "Mine.")], target, sparse="bm25")
    with pytest.raises(ExistsError, match=r"mine is there already; .*--overwrite"):
        lsr.pull(REPOSITORY, target)
    assert lsr.open(target).n_documents == 1
    lsr.pull(REPOSITORY, target, overwrite=True)
    assert tree(target) == tree(pushed)


def test_writes_after_a_replacement_go_on_counting(pushed: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    lsr.build([lsr.Document("mine", "Mine.")], target, sparse="bm25")
    with LiveCollection.open(target) as live:
        assert live.write([put("a", "A")])[0].seq == 1
        live.publish()
    lsr.pull(REPOSITORY, target, overwrite=True)
    with LiveCollection.open(target) as live:
        assert live.write([put("b", "B")])[0].seq == 2


def test_something_else_that_is_there_is_never_replaced(pushed: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(InputError, match="neither an index nor a model, and is not replaced"):
        lsr.pull(REPOSITORY, tmp_path / "notes", overwrite=True)
    (tmp_path / "empty").mkdir()
    assert lsr.pull(REPOSITORY, tmp_path / "empty").n_documents == 7


def test_an_index_that_a_service_keeps_is_not_replaced(pushed: Path) -> None:
    with LiveCollection.open(pushed) as live:
        live.write([put("a", "A")])
        with pytest.raises(StorageError, match="is kept by another process; stop that service"):
            lsr.pull(REPOSITORY, pushed, overwrite=True)


def test_a_pull_that_stops_goes_on(pushed: Path, hub: Hub, tmp_path: Path) -> None:
    hub.refusals[f"GET .*{STORE}"] = (503, {})
    with pytest.raises(ServiceError, match="the hub failed with status 503"):
        lsr.pull(REPOSITORY, tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()
    first = set(hub.fetched())
    assert len(first) > 2
    hub.refusals.clear()
    hub.requests.clear()
    lsr.pull(REPOSITORY, tmp_path / "pulled")
    assert STORE in hub.fetched()
    assert first & {*hub.fetched()} <= {"snapshot.json", STORE}
    assert tree(tmp_path / "pulled") == tree(pushed)
    assert list(tmp_path.glob(".*")) == []


def test_what_an_interrupted_pull_left_of_an_older_commit_goes(
    pushed: Path, hub: Hub, tmp_path: Path
) -> None:
    hub.refusals[f"GET .*{STORE}"] = (503, {})
    with pytest.raises(ServiceError):
        lsr.pull(REPOSITORY, tmp_path / "pulled")
    hub.refusals.clear()
    with lsr.open(pushed) as index:
        index.add([lsr.Document("yak", "A yak grazes.")])
        index.merge()
    lsr.push(pushed, REPOSITORY)
    lsr.pull(REPOSITORY, tmp_path / "pulled")
    assert tree(tmp_path / "pulled") == tree(pushed)


@pytest.mark.parametrize("name", [STORE, MANIFEST, "snapshot.json", "encoder-000001.bin"])
def test_a_damaged_file(pushed: Path, hub: Hub, tmp_path: Path, name: str) -> None:
    content = hub.repositories[REPOSITORY].files()[name]
    replaced(hub, **{name: content[:-2] + b"?" + content[-1:]})
    with pytest.raises(IndexCorruptError, match=f"{name} of {REPOSITORY} is not as .* wrote it"):
        lsr.pull(REPOSITORY, tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()
    replaced(hub, **{name: content})
    lsr.pull(REPOSITORY, tmp_path / "pulled")
    assert tree(tmp_path / "pulled") == tree(pushed)


@pytest.mark.parametrize(
    "name", ["run.py", "segment-000002/arrays.bin", "../up", "a/../b", "/etc/cron", "x" * 300]
)
def test_a_file_that_does_not_belong_there(
    pushed: Path, hub: Hub, tmp_path: Path, name: str
) -> None:
    replaced(hub, **{name: b"theirs"})
    with pytest.raises(DataError, match=f"{REPOSITORY}: it holds .*{name[:80]}"):
        lsr.pull(REPOSITORY, tmp_path / "pulled")
    assert hub.fetched() in ([], ["snapshot.json"])
    assert not (tmp_path / "pulled").exists()


def test_files_for_people_are_left_there(pushed: Path, hub: Hub, tmp_path: Path) -> None:
    replaced(hub, LICENSE=b"as it is", **{"figure.png": b"PNG"})
    lsr.pull(REPOSITORY, tmp_path / "pulled")
    assert tree(tmp_path / "pulled") == tree(pushed)


def test_a_file_that_is_missing(pushed: Path, hub: Hub, tmp_path: Path) -> None:
    replaced(hub, **{STORE: None})
    with pytest.raises(IndexCorruptError, match=f"{REPOSITORY} lacks {STORE}; nothing was changed"):
        lsr.pull(REPOSITORY, tmp_path / "pulled")


@pytest.mark.parametrize("name", ["run.py", "onnx/run.py", "notes.txt"])
def test_a_listing_may_not_name_what_no_index_has(
    pushed: Path, hub: Hub, tmp_path: Path, name: str
) -> None:
    def add(content: dict[str, object]) -> None:
        files = content["files"]
        assert isinstance(files, dict)
        files[name] = {"size_bytes": 6, "sha256": checksum("theirs")}

    relisted(hub, add)
    replaced(hub, **{name: b"theirs"})
    with pytest.raises(DataError, match=f"it holds {name} beside the index"):
        lsr.pull(REPOSITORY, tmp_path / "pulled")
    assert name not in hub.fetched()


def test_a_listing_that_does_not_agree_with_its_manifest(
    pushed: Path, hub: Hub, tmp_path: Path
) -> None:
    def change(content: dict[str, object]) -> None:
        files = content["files"]
        assert isinstance(files, dict)
        files[STORE] = vars(FileRecord(6, checksum("theirs")))

    relisted(hub, change)
    with pytest.raises(IndexCorruptError, match=f"{STORE} of {REPOSITORY} is not as"):
        lsr.pull(REPOSITORY, tmp_path / "pulled")


def test_an_index_of_a_newer_version(pushed: Path, hub: Hub, tmp_path: Path) -> None:
    relisted(hub, lambda content: content.update(format_version=99))
    with pytest.raises(IndexVersionError, match=r"owner/birds/snapshot\.json has .* format 99"):
        lsr.pull(REPOSITORY, tmp_path / "pulled")


def test_a_repository_of_something_else(pushed: Path, hub: Hub, tmp_path: Path) -> None:
    stored = hub.repositories[REPOSITORY]
    for files, held in (({}, "nothing"), ({"data.csv": b"a,b"}, r"data\.csv")):
        stored.commit({"README.md": b"# Theirs", **files}, "theirs")
        with pytest.raises(
            DataError, match=f"it holds {held}, and neither an index .* nor a model"
        ):
            lsr.pull(REPOSITORY, tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()


def test_one_pull_at_a_time(pushed: Path, tmp_path: Path) -> None:
    lock = FileLock.take(tmp_path / ".pulled.pulling.lock")
    assert lock is not None
    with pytest.raises(StorageError, match="another pull to .*pulled is at work"):
        lsr.pull(REPOSITORY, tmp_path / "pulled")
    lock.release(remove=True)
    assert lsr.pull(REPOSITORY, tmp_path / "pulled").n_documents == 7


def test_a_disk_without_room(
    pushed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000))
    with pytest.raises(StorageError, match=r"has [\d,]+ bytes to fetch and .* room for 20,000"):
        lsr.pull(REPOSITORY, tmp_path / "pulled")
    assert STORE not in hub.fetched()


def test_a_place_that_cannot_be_written(pushed: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LsrError, match="file"):
        lsr.pull(REPOSITORY, tmp_path / "file" / "pulled")
