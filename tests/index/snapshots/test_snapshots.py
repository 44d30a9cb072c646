"""Snapshots: made, listed, verified, carried as a tar, restored; and everything that is refused."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import (
    DataError,
    ExistsError,
    IndexCorruptError,
    IndexVersionError,
    InputError,
    LsrError,
    NotFoundError,
)
from lsr.files import signed
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.update import add_documents, delete_documents
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.log import LOG_FILE, OperationLog
from lsr.index.live.operation import Operation, Stored, body_of
from lsr.index.snapshots.archive import pack, packed_size, unpack
from lsr.index.snapshots.listing import LISTING, Listing
from lsr.index.snapshots.restore import (
    last_number,
    raise_numbers,
    recover,
    restore,
    swap_in,
)
from lsr.index.snapshots.snapshots import Snapshots
from lsr.index.storage.manifest import MANIFEST, Manifest
from lsr.types import Document
from tests.support.changing_collection import content

WORDS = ("heron", "river", "otter", "night", "reed", "fish", "stone", "bank")


def documents(first: int, last: int) -> list[Document]:
    return [
        Document(f"d{n}", " ".join(WORDS[(n * k) % 8] for k in range(1, 6)), f"No. {n}", {"n": n})
        for n in range(first, last)
    ]


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    path = tmp_path / "birds"
    build_collection(documents(0, 40), path, sparse=Bm25Encoder())
    add_documents(path, documents(40, 60))
    delete_documents(path, ["d3", "d41"])
    (path / "beside.json").write_text("beside")
    return path


def found(path: Path) -> dict[str, list[tuple[str, float]]]:
    with closing(CollectionReader.open(path)) as reader:
        return {
            text: [(hit.document.doc_id, hit.score) for hit in reader.search(text, k=100).hits]
            for text in (*WORDS, "otter fish", "a stone in the river")
        }


def test_a_snapshot_brings_back_what_was_there(collection: Path, tmp_path: Path) -> None:
    listing = Snapshots(collection).create("first")
    before = found(collection)
    delete_documents(collection, ["d1", "d2"])
    assert found(collection) != before
    restore(Snapshots(collection).path("first"), tmp_path / "copy")
    assert (tmp_path / "copy" / "beside.json").read_text() == "beside"
    assert found(tmp_path / "copy") == before
    restore(Snapshots(collection).path("first"), collection)
    assert found(collection) == before
    assert listing.n_documents == 58
    assert Snapshots(collection).verify("first") == []


def test_a_snapshot_outlives_publications_and_its_collection(collection: Path) -> None:
    snapshots = Snapshots(collection)
    snapshots.create("first")
    before = found(collection)
    for n in range(3):
        add_documents(collection, documents(100 * n, 100 * n + 70))
    shutil.rmtree(collection)
    assert snapshots.verify("first") == []
    restore(snapshots.path("first"), collection)
    assert found(collection) == before


def test_names(collection: Path) -> None:
    snapshots = Snapshots(collection)
    assert snapshots.names() == []
    assert not snapshots.folder.exists()
    for name in ("", "..", "a/b", "A", ".hidden", "x" * 65, "-x", "a\nb"):
        with pytest.raises(InputError, match="cannot be named"):
            snapshots.create(name)
        with pytest.raises(NotFoundError):
            snapshots.path(name)
    assert not snapshots.folder.exists()
    snapshots.create("b")
    made = snapshots.create()
    assert sorted(["b", made.name]) == snapshots.names()
    with pytest.raises(ExistsError, match="already"):
        snapshots.create("b")
    snapshots.delete("b")
    assert snapshots.names() == [made.name]
    snapshots.delete(made.name)
    assert not snapshots.folder.exists()


def test_a_damaged_collection_gives_no_snapshot(collection: Path) -> None:
    store = next(collection.glob("segment-*/documents.sqlite"))
    store.write_bytes(store.read_bytes()[:-1] + b"x")
    with pytest.raises(IndexCorruptError, match=r"documents\.sqlite has changed"):
        Snapshots(collection).create()
    assert not Snapshots(collection).folder.exists()


def test_every_damaged_byte_is_found_and_nothing_is_changed(
    collection: Path, tmp_path: Path
) -> None:
    snapshots = Snapshots(collection)
    listing = snapshots.create("s")
    folder = snapshots.path("s")
    before = content(collection)
    for number, name in enumerate([*listing.files, LISTING]):
        path = folder / name
        whole = path.read_bytes()
        for damaged in (bytes([whole[len(whole) // 2] ^ 1]), None):
            path.unlink()
            if damaged is not None:
                middle = len(whole) // 2
                path.write_bytes(whole[:middle] + damaged + whole[middle + 1 :])
            if damaged is None and name == LISTING:
                path.write_bytes(whole)
                continue
            assert snapshots.verify("s"), name
            for target in (collection, tmp_path / "new") if number % 6 == 0 else ():
                with pytest.raises(LsrError, match="nothing was changed"):
                    restore(folder, target)
            if damaged is not None:
                path.unlink()
            path.write_bytes(whole)
    assert content(collection) == before
    assert not (tmp_path / "new").exists()
    assert snapshots.verify("s") == []
    assert not list(tmp_path.glob(".*restored"))


def test_a_newer_format_is_refused(collection: Path, tmp_path: Path) -> None:
    snapshots = Snapshots(collection)
    snapshots.create("s")
    path = snapshots.path("s") / LISTING
    values = json.loads(path.read_text())
    for name in ("snapshot_version", "format_version"):
        newer = {**values, name: values[name] + 1}
        del newer["checksum"]
        path.write_text(signed(newer))
        with pytest.raises(IndexVersionError, match="install the lsr that made it"):
            restore(snapshots.path("s"), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_tar_there_and_back(collection: Path, tmp_path: Path) -> None:
    snapshots = Snapshots(collection)
    listing = snapshots.create("s")
    tar = b"".join(pack(snapshots.path("s")))
    assert len(tar) == packed_size(snapshots.path("s"))
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        assert opened.getnames() == [LISTING, *listing.files]
    for size in (1 << 20, 700, len(tar)):
        parts = (tar[start : start + size] for start in range(0, len(tar), size))
        assert unpack(parts, tmp_path / "back") == listing
        assert content(tmp_path / "back") == content(snapshots.path("s"))
        shutil.rmtree(tmp_path / "back")


def _tar(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as opened:
        for info, data in members:
            info.size = len(data)
            opened.addfile(info, io.BytesIO(data))
    return made.getvalue()


def _members(tar: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        return [(info, (opened.extractfile(info) or io.BytesIO()).read()) for info in opened]


def _with(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


Change = Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.append((_with("../evil"), b"x")), "not as its listing has it"),
        (lambda m: m.append((_with("/tmp/evil"), b"x")), "not as its listing has it"),
        (lambda m: m.append((_with("evil"), b"x")), "not as its listing has it"),
        (lambda m: m.insert(1, (_with("link", tarfile.SYMTYPE, "/etc"), b"")), "no plain file"),
        (lambda m: m.insert(1, (_with("link", tarfile.LNKTYPE, "x"), b"")), "no plain file"),
        (lambda m: m.insert(1, (_with("null", tarfile.CHRTYPE), b"")), "no plain file"),
        (lambda m: m.insert(1, (_with("pipe", tarfile.FIFOTYPE), b"")), "no plain file"),
        (lambda m: m.insert(1, (_with("dir", tarfile.DIRTYPE), b"")), "no plain file"),
        (lambda m: m.append(m[1]), "not as its listing has it"),
        (lambda m: m.pop(), "ends before"),
        (lambda m: m.insert(0, m.pop()), "does not begin with"),
        (lambda m: m.__setitem__(1, (m[1][0], m[1][1] + b"x")), "not as its listing has it"),
        (lambda m: m.__setitem__(2, (m[2][0], b"\0" * len(m[2][1]))), "is damaged"),
        (lambda m: m.clear(), "does not begin with"),
    ],
)
def test_a_tar_that_holds_something_else(
    collection: Path, tmp_path: Path, change: Change, said: str
) -> None:
    snapshots = Snapshots(collection)
    snapshots.create("s")
    members = _members(b"".join(pack(snapshots.path("s"))))
    change(members)
    with pytest.raises((DataError, IndexCorruptError), match=said):
        unpack([_tar(members)], tmp_path / "back")
    assert {path.name for path in tmp_path.iterdir()} == {"birds", ".birds.snapshots"}


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../b", "a//b", "", ".", "a/.b", LISTING])
def test_a_listing_that_names_other_places(collection: Path, tmp_path: Path, name: str) -> None:
    snapshots = Snapshots(collection)
    listing = snapshots.create("s")
    record = listing.files[MANIFEST]
    evil = replace(listing, files={**listing.files, name: record}).to_json().encode()
    members = [(_with(LISTING), evil), (_with(name or "x"), b"")]
    with pytest.raises(IndexCorruptError, match="nothing was changed"):
        unpack([_tar(members)], tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_what_is_no_tar_at_all(collection: Path, tmp_path: Path) -> None:
    snapshots = Snapshots(collection)
    snapshots.create("s")
    tar = b"".join(pack(snapshots.path("s")))
    import gzip

    for data in (b"", b"x", b"x" * 1024, b"\0" * 2048, gzip.compress(tar), tar[:700], tar[:-3000]):
        with pytest.raises(DataError, match="uploaded snapshot"):
            unpack([data], tmp_path / "back")
        assert not (tmp_path / "back").exists()


def test_a_bomb_is_refused_before_it_is_written(collection: Path, tmp_path: Path) -> None:
    snapshots = Snapshots(collection)
    listing = snapshots.create("s")
    huge = replace(listing.files[MANIFEST], size_bytes=1 << 60)
    bomb = replace(listing, files={**listing.files, "huge.npy": huge}).to_json().encode()
    with pytest.raises(LsrError, match="has room for"):
        unpack([_tar([(_with(LISTING), bomb)])], tmp_path / "back")
    assert not (tmp_path / "back").exists()


def fed(path: Path, *doc_ids: str) -> None:
    """Write documents through the log of a collection, and die before they are published."""
    log = OperationLog(path / LOG_FILE, Manifest.read(path).log_seq)
    with log.transaction() as connection:
        body = body_of(Document("any", "heron"))
        first = log.last(connection) + 1
        log.append(connection, [(seq, each, body, None) for seq, each in enumerate(doc_ids, first)])
    log.close()


def test_the_log_comes_along_and_its_numbers_grow(collection: Path, tmp_path: Path) -> None:
    fed(collection, "new1", "new2", "new3")
    snapshots = Snapshots(collection)
    assert snapshots.create("s").log_seq == 3
    assert not list(snapshots.path("s").glob("*-wal"))
    restore(snapshots.path("s"), tmp_path / "copy")
    with LiveCollection.open(tmp_path / "copy") as live:
        assert live.stored("new3") == Stored(Document("new3", "heron"), 3)
        assert live.wait_searchable(3, 30)
        assert live.view.n_documents == 61
    fed(collection, *(f"later{n}" for n in range(17)))
    assert last_number(collection) == 20
    restore(snapshots.path("s"), collection)
    assert last_number(collection) == 20
    with LiveCollection.open(collection) as live:
        assert live.stored("later0") is None
        assert live.wait_searchable(20, 30)
        (written,) = live.write([Operation.put(Document("one more", "heron"))])
        assert written.seq == 21
        assert live.wait_searchable(21, 30)
        assert live.view.n_documents == 62


def test_a_log_where_nothing_waits_goes_on_too(collection: Path, tmp_path: Path) -> None:
    with LiveCollection.open(collection) as live:
        live.write([Operation.put(Document(f"n{n}", "heron")) for n in range(5)])
        assert live.wait_searchable(5, 30)
        live.publish()
        Snapshots(collection).create("s")
        live.write([Operation.put(Document("late", "heron"))])
    restore(Snapshots(collection).path("s"), collection)
    with LiveCollection.open(collection) as live:
        assert live.stored("late") is None
        assert live.state.acknowledged == live.state.searchable == 6
        (written,) = live.write([Operation.put(Document("one more", "heron"))])
        assert written.seq == 7


def test_numbers_grow_without_waiting_operations(collection: Path) -> None:
    raise_numbers(collection, 7)
    assert Manifest.read(collection).log_seq == last_number(collection) == 7
    raise_numbers(collection, 5)
    assert last_number(collection) == 7


def test_a_swap_that_was_killed_is_undone(collection: Path, tmp_path: Path) -> None:
    before = content(collection)
    collection.rename(tmp_path / ".birds.replaced")
    recover(collection)
    assert content(collection) == before
    shutil.copytree(collection, tmp_path / "new")
    (tmp_path / "new" / "mark").write_text("new")
    swap_in(tmp_path / "new", collection)
    assert (collection / "mark").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"birds"}
    shutil.copytree(collection, tmp_path / ".birds.replaced")
    recover(collection)
    assert {path.name for path in tmp_path.iterdir()} == {"birds"}


def test_files_are_linked_where_that_is_possible(collection: Path) -> None:
    snapshots = Snapshots(collection)
    snapshots.create("s")
    store = next(collection.glob("segment-*/documents.sqlite"))
    twin = snapshots.path("s") / store.relative_to(collection)
    assert store.samefile(twin)
    assert Listing.read(snapshots.path("s")).name == "s"
