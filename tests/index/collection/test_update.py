"""Documents added, replaced and deleted, segments merged: what is found, and what is on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import lsr.index.storage.commit
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import (
    IndexMissingError,
    InputError,
    NotFoundError,
    QueryError,
)
from lsr.index.collection.build import build_collection
from lsr.index.collection.merge_policy import MergePolicy
from lsr.index.collection.update import Change, add_documents, delete_documents, merge_segments
from lsr.index.storage.manifest import MANIFEST, Manifest
from lsr.types import Document
from tests.support.changing_collection import Words, content, found_ids, living, opened, unnamed

NEW = [
    Document("heron", "A heron that is another one.", "", {"legs": 3}),
    Document("carp", "A carp is a fish of ponds.", "", {"legs": 0, "scales": True}),
]
KEEP_ALL = MergePolicy(segments_per_tier=100, max_deleted=1.0)


def test_add_and_replace(built: Path, documents: list[Document]) -> None:
    change = add_documents(built, NEW)
    assert (change.n_added, change.n_replaced, change.n_deleted, change.n_merged) == (1, 1, 0, 0)
    manifest = change.manifest
    assert manifest == Manifest.read(built)
    assert (manifest.generation, manifest.n_documents, manifest.n_deleted) == (2, 8, 1)
    assert manifest.source == "birds", "what the first documents were read from"
    assert {path.name for path in built.iterdir()} == {
        *(MANIFEST, "segment-000001", "segment-000002", "encoder-000002.bin")
    }
    assert (built / "segment-000001" / "deleted-000002.npy").exists()
    assert unnamed(built) == set()
    with opened(built) as collection:
        assert collection.document("heron") == NEW[0]
        assert collection.document("carp") == NEW[1]
        assert collection.n_documents == 8
        assert living(collection) == [*documents[1:], *NEW]
        assert [hit.document for hit in collection.search("heron").hits] == NEW[:1]
        assert collection.search("shallow").hits == ()
        found = [hit.document.doc_id for hit in collection.search("fish").hits]
        assert sorted(found) == ["carp", "otter", "pike"]


def test_delete(built: Path, documents: list[Document]) -> None:
    change = delete_documents(built, ["zebra-1", "pike", "pike"])
    assert (change.n_added, change.n_replaced, change.n_deleted) == (0, 0, 2)
    manifest = change.manifest
    assert (manifest.generation, manifest.n_documents, manifest.n_deleted) == (2, 5, 2)
    assert {path.name for path in built.iterdir()} == {
        *(MANIFEST, "segment-000001", "encoder-000001.bin")
    }
    with opened(built) as collection:
        for doc_id in ("zebra-1", "pike"):
            with pytest.raises(NotFoundError):
                collection.document(doc_id)
        assert [hit.document.doc_id for hit in collection.search("striped").hits] == ["zebra-2"]
    delete_documents(built, ["empty"])
    assert [path.name for path in (built / "segment-000001").glob("deleted-*")] == [
        "deleted-000003.npy"
    ], "the tombstones before are gone"
    # what was deleted can come back
    assert add_documents(built, documents[3:4]).n_added == 1
    assert found_ids(built, "pike") == ["pike"]


def test_files_that_stay_are_not_read_or_written_again(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Manifest.read(built)
    inodes = {name: (built / name).stat().st_ino for name in before.files}
    # not what a deletion derives anything from
    damaged = built / "segment-000001" / "arrays.bin"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    delete_documents(built, ["pike"])
    after = Manifest.read(built)
    assert set(after.files) - set(before.files) == {"segment-000001/deleted-000002.npy"}
    assert all(after.files[name] == record for name, record in before.files.items())
    assert all((built / name).stat().st_ino == inode for name, inode in inodes.items())
    assert list(after.damage(built)) == [f"{damaged} has changed since it was written"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: delete_documents(path, ["pike", "carp"]), "there is no document 'carp' in b"),
        (lambda path: delete_documents(path, ["carp", "\ud800"]), "'carp' in .*, nor of 1 other i"),
        (lambda path: add_documents(path, []), "the source holds no documents; there is nothing"),
        (lambda path: add_documents(path, [*NEW, NEW[0]]), "repeats the doc_id 'heron'"),
        (lambda path: add_documents(path, [Document("", "x")]), "empty doc_id"),
        (lambda path: add_documents(path, [Document("a", "\ud800")]), "half a surrogate pair"),
        (lambda path: add_documents(path, NEW, sparse=Words()), "does not have the terms of this"),
        (lambda path: add_documents(path, NEW, vectors=Words().encode_documents(["north"])), "1 s"),
    ],
)
def test_refused_changes_change_nothing(
    tmp_path: Path, built: Path, change: Callable[[Path], Change], message: str
) -> None:
    before = content(tmp_path)
    with pytest.raises(InputError, match=message):
        change(built)
    assert content(tmp_path) == before


def test_more_rows_than_fit(tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsr.index.storage.commit, "MAX_ROWS", 8)
    delete_documents(built, ["pike"])
    before = content(tmp_path)
    with pytest.raises(InputError, match="9 rows, of which 2 are deleted, .* at most 8; nothing"):
        add_documents(built, NEW, policy=KEEP_ALL)
    assert content(tmp_path) == before
    assert add_documents(built, NEW[1:], policy=KEEP_ALL).n_added == 1


def test_missing_ids_can_be_ignored(tmp_path: Path, built: Path) -> None:
    before = content(tmp_path)
    change = delete_documents(built, ["carp", "never"], ignore_missing=True)
    assert (change.n_deleted, change.manifest.generation) == (0, 1)
    assert content(tmp_path) == before
    assert delete_documents(built, ["carp", "pike"], ignore_missing=True).n_deleted == 1
    # a document that was deleted is as unknown as any other
    with pytest.raises(NotFoundError, match="no document 'pike' in birds; nothing was deleted"):
        delete_documents(built, ["pike"])


@pytest.mark.parametrize("is_there", [False, True])
def test_where_there_is_no_index(tmp_path: Path, is_there: bool) -> None:
    path = tmp_path / "absent"
    if is_there:
        path.mkdir()
    before = content(tmp_path)
    changes: list[Callable[[], Change]] = [
        lambda: add_documents(path, NEW),
        lambda: delete_documents(path, ["a"]),
        lambda: merge_segments(path),
    ]
    for change in changes:
        with pytest.raises(IndexMissingError, match="make one with: lsr index build"):
            change()
    assert content(tmp_path) == before


def test_merge_is_a_build(built: Path, tmp_path: Path, documents: list[Document]) -> None:
    """Array for array, with statistics of the documents that are left."""
    add_documents(built, NEW, policy=KEEP_ALL)
    delete_documents(built, ["otter"])
    add_documents(built, [Document("zebra-1", "A new stripe")], policy=KEEP_ALL)
    change = merge_segments(built)
    assert change.n_merged == 3
    left = [documents[i] for i in (2, 3, 4, 5)] + [*NEW, Document("zebra-1", "A new stripe")]
    build_collection(left, tmp_path / "fresh", sparse=Bm25Encoder())
    fresh = content(tmp_path / "fresh")
    merged = content(built)
    arrays = [name for name in fresh if name.endswith(".bin")]
    assert len(arrays) == 2
    for name in arrays:
        assert merged[name.replace("-000001", "-000005")] == fresh[name]
    assert {path.name for path in built.iterdir()} == {
        *(MANIFEST, "segment-000005", "encoder-000005.bin")
    }
    assert (change.manifest.n_documents, change.manifest.n_deleted) == (7, 0)
    again = merge_segments(built)
    assert (again.n_merged, again.manifest.generation) == (0, 5), "there is nothing to do"


def test_statistics_grow_and_old_impacts_stay(built: Path) -> None:
    with opened(built) as collection:
        (before,) = [hit.score for hit in collection.search("kestrel").hits]
    add_documents(built, [Document("k2", "kestrel"), Document("k3", "kestrel kestrel")])
    with opened(built) as collection:
        scores = {hit.document.doc_id: hit.score for hit in collection.search("kestrel").hits}
        encoder = collection.encoder
        assert isinstance(encoder, Bm25Encoder)
        (impact,) = encoder.encode_documents(["kestrel"]).weights.tolist()
    assert scores["kestrel"] == before
    assert scores["k2"] == impact
    merged = merge_segments(built).manifest
    assert merged.encoder == "encoder-000002.bin", "the same documents, so the same statistics"
    assert [record.is_exact for record in merged.segments] == [True]
    with opened(built) as collection:
        scores = {hit.document.doc_id: hit.score for hit in collection.search("kestrel").hits}
    assert scores["kestrel"] < before, "the word is more frequent now"


def test_small_segments_are_merged_on_the_way(built: Path) -> None:
    policy = MergePolicy(segments_per_tier=2)
    n_segments = []
    for i in range(7):
        change = add_documents(built, [Document(f"n{i}", f"heron {i}")], policy=policy)
        n_segments.append(len(change.manifest.segments))
    assert n_segments == [2, 1, 2, 1, 2, 1, 2]
    assert change.manifest.n_documents == 14
    assert not change.manifest.segments[0].is_exact, "its vectors are of several times"
    assert len(found_ids(built, "heron")) == 8
    # one segment without deletions, and still not what a build would make of it
    add_documents(built, [Document("n7", "heron")], policy=policy)
    assert merge_segments(built).n_merged == 1


def test_everything_deleted(built: Path, documents: list[Document]) -> None:
    delete_documents(built, [document.doc_id for document in documents])
    for merged in (False, True):
        with opened(built) as collection:
            assert collection.n_documents == 0
            assert collection.search("heron").hits == ()
            assert collection.search("heron", where={"legs": 2} if not merged else None).hits == ()
            assert collection.live_rows().tolist() == []
            with pytest.raises(NotFoundError):
                collection.document("heron")
            collection.warm_up()
        merge_segments(built)
    add_documents(built, NEW)
    assert found_ids(built, "heron") == ["heron"]
    assert len(Manifest.read(built).segments) == 1


def test_filters_and_deletions(built: Path) -> None:
    add_documents(built, NEW)
    assert found_ids(built, "fish", {"legs": 0}) == ["carp", "pike"]
    assert found_ids(built, "fish", {"scales": True}) == ["carp"]
    assert found_ids(built, "fish heron", {"legs": 2}) == [], "that heron is an older one"
    delete_documents(built, ["pike"])
    assert found_ids(built, "fish", {"legs": 0}) == ["carp"]
    with opened(built) as collection:
        assert set(collection.metadata.fields) == {"legs", "tags", "scales"}
        with pytest.raises(QueryError, match="'colour'; fields: legs, scales, tags"):
            collection.search("fish", where={"colour": "red"})
        with pytest.raises(QueryError, match="filter.scales is a list"):
            collection.search("fish", where={"legs": 0, "scales": [True]})


def test_a_merge_makes_statistics_forget(
    built: Path, tmp_path: Path, documents: list[Document]
) -> None:
    """The one segment that is left was encoded when there were others."""
    add_documents(built, NEW)
    delete_documents(built, [each.doc_id for each in documents[1:]])
    manifest = Manifest.read(built)
    assert (len(manifest.segments), manifest.n_deleted) == (1, 0)
    assert merge_segments(built).n_merged == 1
    build_collection(NEW, tmp_path / "fresh", sparse=Bm25Encoder())
    with opened(built) as merged, opened(tmp_path / "fresh") as fresh:
        assert merged.encoder.identity == fresh.encoder.identity
        assert merged.search("fish heron").hits == fresh.search("fish heron").hits
