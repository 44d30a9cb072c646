"""Builds: all or nothing, whatever goes wrong, and nothing at the target until the end."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import InputError, LsrError, StorageError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.storage.manifest import MANIFEST, Manifest
from lsr.index.storage.segment import Segment
from lsr.index.storage.staging import Staging
from lsr.types import Document
from tests.support.stub_encoders import StubDense

NEW = [Document("new", "A heron, and an entirely new one."), Document("fish", "No fish here.")]


def build(documents: Iterator[Document] | list[Document], target: Path) -> Manifest:
    return build_collection(documents, target, sparse=Bm25Encoder(), source="test")


def content(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def parts(generation: int) -> set[str]:
    """What a collection's folder holds after a build."""
    return {MANIFEST, f"segment-{generation:06d}", f"encoder-{generation:06d}.bin"}


def ids(path: Path, text: str = "heron") -> set[str]:
    collection = CollectionReader.open(path)
    try:
        return {hit.document.doc_id for hit in collection.search(text).hits}
    finally:
        collection.close()


def test_build_and_open(built: Path, documents: list[Document]) -> None:
    manifest = Manifest.read(built)
    assert (manifest.generation, manifest.encoder) == (1, "encoder-000001.bin")
    (record,) = manifest.segments
    assert (record.name, record.n_rows, record.n_deleted) == ("segment-000001", 7, 0)
    assert manifest.n_documents == len(documents) == 7
    assert manifest.source == "birds"
    assert manifest.sparse.kind == "bm25"
    assert manifest.dense is None
    assert {path.name for path in built.iterdir()} == parts(1)
    assert [path.name for path in built.parent.iterdir()] == ["birds"], "no staging folder is left"
    collection = CollectionReader.open(built)
    assert [collection.document(d.doc_id) for d in documents] == documents
    assert manifest.n_terms == collection.segment.n_terms
    assert manifest.n_postings == collection.segment.n_postings
    collection.close()


def test_a_build_is_reproducible(tmp_path: Path, documents: list[Document]) -> None:
    first = build(documents, tmp_path / "a")
    second = build(documents, tmp_path / "b")
    assert first.files == second.files
    assert first.sparse == second.sparse


def test_progress(tmp_path: Path) -> None:
    stages: list[tuple[str, int, int | None]] = []
    documents = [Document(f"{i}", f"text {i}") for i in range(2_300)]
    build_collection(
        iter(documents),
        tmp_path / "a",
        sparse=Bm25Encoder(),
        dense=StubDense(),
        progress=lambda *report: stages.append(report),
    )
    assert list(dict.fromkeys(stage for stage, _, _ in stages)) == [
        *("read", "encode", "dense", "index", "checksum", "publish")
    ]
    for stage in ("read", "encode", "dense"):
        done = [n for name, n, _ in stages if name == stage]
        assert done == sorted(done)
        assert done[-1] == 2_300
    assert {total for stage, _, total in stages if stage in ("encode", "dense")} == {2_300}
    encoded = [0, *(done for stage, done, _ in stages if stage == "encode")]
    assert max(b - a for a, b in pairwise(encoded)) <= 250  # a network takes seconds for so many


def test_into_an_empty_folder_and_into_new_ones(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for target in (tmp_path / "empty", tmp_path / "a" / "b" / "c"):
        build(NEW, target)
        assert ids(target) == {"new"}


def test_relative_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build(NEW, Path("here"))
    assert ids(tmp_path / "here") == {"new"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "test holds no documents; there is nothing to build"),
        ([Document("a", ""), Document("a", "")], "repeats the doc_id 'a'"),
        ([Document("", "x")], "empty doc_id"),
        ([Document("a", "x", "", {"x": object()})], "JSON cannot hold"),
        ([Document("a", "\ud800")], "half a surrogate pair"),
    ],
)
@pytest.mark.parametrize("rebuild", [False, True])
def test_refused_documents_change_nothing(
    tmp_path: Path, built: Path, wrong: list[Document], message: str, rebuild: bool
) -> None:
    target = built if rebuild else tmp_path / "fresh"
    before = content(tmp_path)
    with pytest.raises(InputError, match=message):
        build(wrong, target)
    assert content(tmp_path) == before


def test_all_documents_empty(tmp_path: Path) -> None:
    build([Document("a", ""), Document("b", "the")], tmp_path / "a")
    collection = CollectionReader.open(tmp_path / "a")
    assert collection.search("anything").hits == ()
    assert collection.document("b").text == "the"
    collection.close()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_target_that_is_something_else(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "thesis"
    if kind == "file":
        target.write_text("precious")
    else:
        target.mkdir()
        (target / "chapter1").write_text("precious")
    before = content(tmp_path)
    with pytest.raises(InputError, match="exists and is not an index; choose a new folder"):
        build(NEW, target)
    assert content(tmp_path) == before


def test_a_target_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    before = content(tmp_path)
    with pytest.raises(LsrError):
        build(NEW, tmp_path / "file" / "index")
    assert content(tmp_path) == before


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", deny)
    with pytest.raises(StorageError, match=r"cannot be written \(Permission denied\)"):
        build(NEW, tmp_path / "index")


def test_rebuild_replaces(built: Path) -> None:
    reader = CollectionReader.open(built)
    assert build(NEW, built).generation == 2
    assert {path.name for path in built.iterdir()} == parts(2)
    assert ids(built) == {"new"}
    assert [path.name for path in built.parent.iterdir()] == ["birds"]
    # who had it open keeps the old one, documents and filters too
    answer = reader.search("heron fish", where={"legs": 2})
    assert [hit.document.doc_id for hit in answer.hits] == ["heron"]
    assert reader.document("otter").title == "Otter"
    assert (reader.manifest.generation, reader.n_documents) == (1, 7)
    reader.close()
    assert build(NEW, built).generation == 3


def failing(error: BaseException) -> Iterator[Document]:
    for i in range(1_500):
        yield Document(f"{i}", "heron")
    raise error


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt(), SystemExit(1)])
@pytest.mark.parametrize("rebuild", [False, True])
def test_failing_in_the_middle(
    tmp_path: Path, built: Path, error: BaseException, rebuild: bool
) -> None:
    target = built if rebuild else tmp_path / "fresh"
    before = content(tmp_path)
    with pytest.raises(type(error)):
        build(failing(error), target)
    assert content(tmp_path) == before
    build(NEW, target)
    assert ids(target) == {"new"}


STAGES = ["read", "encode", "dense", "index", "checksum", "publish"]


@pytest.mark.parametrize("stage", STAGES)
def test_interrupted_at_any_stage(tmp_path: Path, built: Path, stage: str) -> None:
    def interrupt(now: str, done: int, total: int | None) -> None:
        if now == stage:
            raise KeyboardInterrupt

    before = content(built)
    options = {"sparse": Bm25Encoder(), "dense": StubDense()}
    with pytest.raises(KeyboardInterrupt):
        build_collection(NEW, built, progress=interrupt, **options)  # type: ignore[arg-type]
    assert content(built) == before
    assert build_collection(NEW, built, **options).generation == 2  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["birds"]


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("broken", ["segment", "encoder", "manifest", "sync", "rename"])
def test_disk_full(
    tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    before = content(tmp_path)
    with monkeypatch.context() as patch:
        if broken == "segment":
            patch.setattr(Segment, "save", full)
        elif broken == "encoder":
            patch.setattr(Bm25Encoder, "save_file", full)
        elif broken == "manifest":
            patch.setattr(Path, "write_text", full)
        elif broken == "sync":
            patch.setattr(os, "fsync", full)
        else:
            patch.setattr(Path, "rename", full)
        with pytest.raises(StorageError, match="No space left on device.*nothing was changed"):
            build(NEW, built)
    assert content(tmp_path) == before
    assert build(NEW, built).generation == 2


LIMITED = """
import resource, signal, sys
from pathlib import Path
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import StorageError
from lsr.index.collection.build import build_collection
from lsr.types import Document

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
documents = (Document(f"{i}", f"heron w{i} " + "fish " * 50) for i in range(3_000))
try:
    build_collection(documents, Path(sys.argv[1]), sparse=Bm25Encoder())
except StorageError as error:
    print("StorageError:", error)
"""


@pytest.mark.parametrize("limit", [0, 10_000, 100_000, 700_000])
def test_writes_that_really_fail(tmp_path: Path, built: Path, limit: int) -> None:
    """No file may grow beyond the limit: the system refuses, as on a full disk."""
    before = content(tmp_path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIMITED, str(built), str(limit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("StorageError: ")
    assert done.stderr == ""
    assert content(tmp_path) == before
    assert "heron" in ids(built)


def test_two_builds_at_once(tmp_path: Path) -> None:
    target = tmp_path / "index"
    started, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[Document]:
        started.set()
        assert go_on.wait(30)
        yield from NEW

    first = threading.Thread(target=build, args=(slow(), target))
    first.start()
    assert started.wait(30)
    try:
        with pytest.raises(
            StorageError,
            match="another writer of .*index is at work and holds the lock .*index.building",
        ):
            build([Document("other", "x")], target)
    finally:
        go_on.set()
        first.join()
    assert ids(target) == {"new"}
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_a_lock_of_a_file_that_was_replaced_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first build ends, and its lock goes, between the second's opening and locking it."""
    opened = os.open

    def late(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = opened(path, flags, mode)
        if path.parent.name == ".index.building":
            path.unlink()
            os.close(opened(path, flags))
        return descriptor

    monkeypatch.setattr(os, "open", late)
    with pytest.raises(StorageError, match="another writer"):
        Staging(tmp_path / "index").__enter__()


def test_a_build_that_waited_counts_on(built: Path) -> None:
    """A generation's number is chosen under the lock: never that of a live one."""
    waiting = Staging(built)
    build(NEW, built)
    with waiting as staging:
        assert staging.generation == 3
        assert staging.before is not None
        assert staging.before.generation == 2


def test_what_a_killed_build_left_is_cleared(built: Path) -> None:
    left = built.parent / ".birds.building"
    (left / "collection" / "segment-000002").mkdir(parents=True)
    (left / "collection" / "segment-000002" / "documents.sqlite").write_text("half")
    (left / "collection" / MANIFEST).write_text("half")
    (built / "segment-000002").mkdir()
    (built / "segment-000002" / "moved before the manifest was").write_text("x")
    (built / "tie_order-000002.npy").write_text("x")
    (built / "generation-000001").mkdir()
    (built / "generation-000001" / "of format 1").write_text("x")
    assert "heron" in ids(built)
    assert build(NEW, built).generation == 2
    assert ids(built) == {"new"}
    assert {path.name for path in built.iterdir()} == parts(2)
    assert not left.exists()


@pytest.mark.parametrize("damage", ["manifest", "version", "file"])
def test_building_over_an_unusable_index(built: Path, damage: str) -> None:
    """What the errors advise, to build again, can be done where the index is."""
    path = built / MANIFEST
    if damage == "manifest":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "version":
        path.write_text('{"format_version": 99, "checksum": ""}')
    else:
        (built / "segment-000001" / "documents.sqlite").write_bytes(b"")
    with pytest.raises(LsrError, match="build (the index )?again"):
        CollectionReader.open(built)
    assert build(NEW, built).generation == 2
    assert ids(built) == {"new"}
    assert {path.name for path in built.iterdir()} == parts(2)


def test_a_source_that_cannot_be_read_is_not_blamed_on_the_target(tmp_path: Path) -> None:
    def documents() -> Iterator[Document]:
        yield Document("a", "text")
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(InputError, match="my source cannot be read .Input/output error."):
        build_collection(documents(), tmp_path / "index", sparse=Bm25Encoder(), source="my source")
    assert list(tmp_path.iterdir()) == []
