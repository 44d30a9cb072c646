"""Damage to what changes write is found, and never written on with a new checksum."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import IndexCorruptError, StorageError
from lsr.index.collection.build import build_collection
from lsr.index.collection.merge_policy import MergePolicy
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.update import add_documents, delete_documents, merge_segments
from lsr.index.storage.manifest import MANIFEST, Manifest
from lsr.index.storage.segment import Segment
from lsr.types import Document
from tests.support.changing_collection import content, found_ids, unnamed

FIRST = [
    Document("heron", "A heron", "", {"legs": 2}),
    Document("otter", "An otter eats fish", "", {"legs": 4}),
    Document("pike", "The pike is a fish"),
    Document("empty", ""),
]
KEEP_ALL = MergePolicy(segments_per_tier=100, max_deleted=1.0)
MERGE_ALL = MergePolicy(segments_per_tier=1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of three segments, two of which have tombstones."""
    path = tmp_path_factory.mktemp("damage") / "birds"
    build_collection(FIRST, path, sparse=Bm25Encoder())
    add_documents(path, [Document("carp", "A fish"), Document("pike", "Another pike")])
    add_documents(path, [Document("eel", "A long fish"), Document("otter", "Another otter")])
    delete_documents(path, ["carp"])
    return path


@pytest.fixture
def changed(base: Path, tmp_path: Path) -> Path:
    """A copy of that collection."""
    return Path(shutil.copytree(base, tmp_path / "birds"))


def test_what_there_is(changed: Path) -> None:
    manifest = Manifest.read(changed)
    assert [record.n_deleted for record in manifest.segments] == [2, 1, 0]
    assert [name for name in manifest.files if "deleted-" in name] == [
        "segment-000001/deleted-000003.npy",
        "segment-000002/deleted-000004.npy",
    ]
    assert unnamed(changed) == set()


def test_a_flipped_bit_anywhere_is_found(changed: Path) -> None:
    manifest = Manifest.read(changed)
    rng = random.Random(7)
    small = [changed / name for name in manifest.files if "deleted-" in name]
    places = [(path, place) for path in small for place in range(0, path.stat().st_size, 5)]
    every = [changed / name for name in manifest.files]
    places += [(path, rng.randrange(path.stat().st_size)) for path in every if path.stat().st_size]
    for path, place in places:
        good = path.read_bytes()
        bad = bytearray(good)
        bad[place] ^= 1 << rng.randrange(8)
        path.write_bytes(bad)
        assert list(manifest.damage(changed)) == [f"{path} has changed since it was written"]
        path.write_bytes(good)
    CollectionReader.open(changed).close()


@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_without_verification_damage_is_still_an_error(
    changed: Path, content: bytes | None
) -> None:
    for name in Manifest.read(changed).files:
        path = changed / name
        good = path.read_bytes()
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        if path.name != "vocabulary.txt" or content != b"":
            with pytest.raises(IndexCorruptError):
                CollectionReader.open(changed, verify=False)
        path.write_bytes(good)
    CollectionReader.open(changed, verify=False).close()


WRITERS: dict[str, Callable[[Path], object]] = {
    "add": lambda path: add_documents(path, [Document("x", "x")], policy=KEEP_ALL),
    "merging add": lambda path: add_documents(path, [Document("x", "x")], policy=MERGE_ALL),
    "delete": lambda path: delete_documents(path, ["eel"]),
    "merge": merge_segments,
}
READ = {
    "add": ("deleted-", "encoder-"),
    "merging add": ("",),
    "delete": ("deleted-",),
    "merge": ("",),
}


@pytest.mark.parametrize("writer", list(WRITERS))
def test_writers_refuse_to_go_by_damaged_files(changed: Path, writer: str) -> None:
    """What a change derives something from is compared with its checksum first."""
    before = content(changed.parent)
    for name in Manifest.read(changed).files:
        if not any(part in name for part in READ[writer]):
            continue
        path = changed / name
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(
            IndexCorruptError, match="has changed since it was written|cannot be read"
        ):
            WRITERS[writer](changed)
        path.write_bytes(good)
        assert content(changed.parent) == before, name
    WRITERS[writer](changed)
    assert list(Manifest.read(changed).damage(changed)) == []


def full(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("writer", list(WRITERS))
@pytest.mark.parametrize("broken", ["segment", "manifest", "sync", "rename", "replace"])
def test_disk_full(
    changed: Path, monkeypatch: pytest.MonkeyPatch, writer: str, broken: str
) -> None:
    before = content(changed.parent)
    with monkeypatch.context() as patch:
        if broken == "segment":
            patch.setattr(Segment, "save", full)
            if writer == "delete":
                patch.setattr("lsr.index.collection.deletions.save_tombstones", full)
        elif broken == "manifest":
            patch.setattr(Path, "write_text", full)
        elif broken == "sync":
            patch.setattr(os, "fsync", full)
        elif broken == "rename":
            patch.setattr(Path, "rename", full)
        else:
            patch.setattr(Path, "replace", full)
        with pytest.raises(StorageError, match="No space left on device.*nothing was changed"):
            WRITERS[writer](changed)
    after = content(changed.parent)
    if broken != "replace":  # then parts have been moved that no manifest names
        assert after == before
    assert {name: after[name] for name in before} == before
    WRITERS[writer](changed)
    assert unnamed(changed) == set()
    assert list(Manifest.read(changed).damage(changed)) == []


@pytest.mark.parametrize("n_renamed", [0, 1, 2])
def test_a_move_that_breaks_off_is_undone(
    changed: Path, monkeypatch: pytest.MonkeyPatch, n_renamed: int
) -> None:
    """Encoder, segment and tombstones are moved one by one."""
    before = content(changed.parent)
    rename, calls = Path.rename, 0

    def failing(path: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls > n_renamed:
            full()
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(StorageError, match="nothing was changed"):
        add_documents(changed, [Document("eel", "x")], policy=KEEP_ALL)
    assert content(changed.parent) == before


def test_a_segment_in_place_of_another(changed: Path) -> None:
    """Whole in itself, and not what the manifest speaks of."""
    first, second = changed / "segment-000001", changed / "segment-000002"
    shutil.copy(second / "arrays.bin", first / "arrays.bin")
    with pytest.raises(IndexCorruptError, match="segment-000001 has 2 rows and the manifest says"):
        CollectionReader.open(changed, verify=False)


def test_an_unreadable_manifest(changed: Path) -> None:
    path = changed / MANIFEST
    path.write_bytes(path.read_bytes()[:-9])
    before = content(changed.parent)
    for write in WRITERS.values():
        with pytest.raises(IndexCorruptError, match="manifest.json is damaged"):
            write(changed)
    assert content(changed.parent) == before


def test_opening_while_a_merge_publishes(changed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The segments read from the manifest have gone when they are opened: look again."""
    read, calls = Manifest.read, 0

    def overtaken(path: Path) -> Manifest:
        nonlocal calls
        manifest = read(path)
        calls += 1
        if calls == 1:
            merge_segments(path)
        return manifest

    monkeypatch.setattr(Manifest, "read", overtaken)
    for verify in (True, False):
        calls = 0
        delete_documents(changed, ["eel"], ignore_missing=True)
        calls = 0
        add_documents(changed, [Document("eel", "A long fish")], policy=KEEP_ALL)
        calls = 0
        collection = CollectionReader.open(changed, verify=verify)
        assert len(collection.manifest.segments) == 1
        collection.close()
    monkeypatch.undo()
    assert "eel" in found_ids(changed, "fish")
