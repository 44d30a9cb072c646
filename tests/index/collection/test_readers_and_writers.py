"""Readers and writers of one collection at the same time; segments that answer as one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lsr.index.collection.encoder_registry
import lsr.index.collection.retrievers
import lsr.retrieval.dense_index
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import IndexVersionError, InputError, LsrError, StorageError
from lsr.index.collection.build import build_collection
from lsr.index.collection.merge_policy import MergePolicy
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.update import add_documents, delete_documents, merge_segments
from lsr.index.storage.manifest import MANIFEST
from lsr.service.examples import example_queries
from lsr.types import Document
from tests.support.changing_collection import (
    LOADERS,
    Words,
    answers,
    content,
    found_ids,
    living,
    opened,
    unnamed,
)
from tests.support.search_sides import Compass
from tests.support.stub_encoders import StubDense

KEEP_ALL = MergePolicy(segments_per_tier=100, max_deleted=1.0)
NEW = [Document("carp", "A carp is a fish of ponds."), Document("heron", "Another heron.")]


@pytest.fixture
def compass(monkeypatch: pytest.MonkeyPatch) -> Compass:
    """Collections of words and directions can be opened."""
    pytest.importorskip("faiss")
    model = Compass()
    monkeypatch.setattr(lsr.index.collection.encoder_registry, "LOADERS", LOADERS)
    monkeypatch.setattr(
        lsr.index.collection.retrievers, "open_dense_encoder", lambda name, **_: model
    )
    return model


def crossroads(first: int, last: int) -> list[Document]:
    """Documents with and without vectors of each sort, many of them alike."""
    words = ("north east tower", "south gate", "tower tower", "into north north", "", "gate west")
    return [
        Document(f"{i * 7 % 101:03}", words[i % 6] + " market" * (i % 4), "", {"odd": i % 2})
        for i in range(first, last)
    ]


QUERIES = ("north tower", "market", "into gate south", "nothing")


def build_crossroads(target: Path, documents: list[Document]) -> None:
    build_collection(documents, target, sparse=Words(), dense=Compass())


@pytest.mark.parametrize("flat_limit", [50_000, 3])
def test_segments_are_as_one(
    tmp_path: Path, compass: Compass, monkeypatch: pytest.MonkeyPatch, flat_limit: int
) -> None:
    """Both sides, fusion, feedback, filters: as one segment of the living documents answers.

    Also where each segment has a graph of its own.
    """
    monkeypatch.setattr(lsr.retrieval.dense_index, "FLAT_LIMIT", flat_limit)
    path, whole = tmp_path / "index", tmp_path / "whole"
    build_crossroads(path, crossroads(0, 30))
    left = {document.doc_id: document for document in crossroads(0, 30)}
    for first in (20, 50, 60, 72):
        batch = crossroads(first, first + 12)
        add_documents(path, batch, policy=KEEP_ALL)
        for document in batch:
            left.pop(document.doc_id, None)  # the newer version is in a later row
            left[document.doc_id] = document
    gone = list(left)[::5]
    delete_documents(path, gone)
    for doc_id in gone:
        del left[doc_id]
    build_crossroads(whole, list(left.values()))
    with opened(path) as collection, opened(whole) as one:
        assert len(collection.manifest.segments) == 5
        assert collection.n_documents == one.n_documents > 40
        for where in (None, {"odd": 1}):
            expected = answers(one, QUERIES, where=where)
            assert answers(collection, QUERIES, where=where) == expected
            assert any(expected.values())
    merge_segments(path)
    with opened(path) as collection, opened(whole) as one:
        assert answers(collection, QUERIES) == answers(one, QUERIES)
        assert collection.encoder.identity == one.encoder.identity
        assert {p.name for p in path.iterdir()} == {MANIFEST, "encoder-000001", "segment-000007"}


def test_a_reader_keeps_its_generation(
    tmp_path: Path, compass: Compass, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also its graph, though dense vectors are opened when they are first searched."""
    monkeypatch.setattr(lsr.retrieval.dense_index, "FLAT_LIMIT", 3)
    path = tmp_path / "index"
    build_crossroads(path, crossroads(0, 30))
    readers = [CollectionReader.open(path)]
    copies = [CollectionReader.open(path)]
    for change in (
        lambda: add_documents(path, crossroads(20, 40), policy=KEEP_ALL),
        lambda: delete_documents(path, [d.doc_id for d in crossroads(0, 15)]),
        lambda: merge_segments(path),
        lambda: build_crossroads(path, crossroads(90, 95)),
    ):
        expected = answers(copies[-1], QUERIES)
        change()
        reader = readers[-1]
        assert answers(reader, QUERIES) == expected, "its vectors were not open before"
        assert answers(reader, QUERIES[:1], where={"odd": 1})
        readers.append(CollectionReader.open(path))
        copies.append(CollectionReader.open(path))
    assert [reader.manifest.generation for reader in readers] == [1, 2, 3, 4, 5]
    assert [reader.n_documents for reader in readers] == [30, 40, 25, 25, 5]
    for reader in readers + copies:
        reader.close()


def test_another_dense_model_is_refused(
    tmp_path: Path, compass: Compass, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "index"
    build_crossroads(path, crossroads(0, 5))
    before = content(tmp_path)
    with pytest.raises(InputError, match="'stub' is not 'compass', which made the vectors"):
        add_documents(path, crossroads(5, 9), dense=StubDense("other"))
    other = StubDense("other")
    monkeypatch.setattr(
        lsr.index.collection.retrievers, "open_dense_encoder", lambda name, **_: other
    )
    with pytest.raises(IndexVersionError, match="'compass' is not the one that made the vectors"):
        add_documents(path, crossroads(5, 9))
    assert content(tmp_path) == before
    assert add_documents(path, crossroads(5, 9), dense=Compass()).n_added == 4


WRITERS: dict[str, Callable[[Path], object]] = {
    "add": lambda path: add_documents(path, [Document("other", "x")]),
    "delete": lambda path: delete_documents(path, ["pike"]),
    "merge": merge_segments,
    "build": lambda path: build_collection([Document("x", "x")], path, sparse=Bm25Encoder()),
}


def test_two_writers(built: Path) -> None:
    """The second is refused at once, and told what it is about."""
    started, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[Document]:
        started.set()
        assert go_on.wait(30)
        yield from NEW

    first = threading.Thread(target=add_documents, args=(built, slow()))
    first.start()
    assert started.wait(30)
    try:
        for write in WRITERS.values():
            with pytest.raises(StorageError) as caught:
                write(built)
            assert str(caught.value) == (
                f"another writer of {built} is at work and holds the lock "
                f"{built.parent / '.birds.building'}; wait for it to end, and try again"
            )
        assert "heron" in found_ids(built, "fish"), "readers go on"
    finally:
        go_on.set()
        first.join()
    assert found_ids(built, "carp") == ["carp"]
    assert [path.name for path in built.parent.iterdir()] == ["birds"]
    for name, write in WRITERS.items():
        write(built)
        assert unnamed(built) == set(), name


@pytest.mark.parametrize(
    ("write", "stages"),
    [
        ("add", ["read", "encode", "merge", "index", "checksum", "publish"]),
        ("delete", ["checksum", "publish"]),
        ("merge", ["merge", "encode", "index", "checksum", "publish"]),
    ],
)
def test_interrupted_at_any_stage(
    tmp_path: Path, built: Path, write: str, stages: list[str]
) -> None:
    add_documents(built, NEW, policy=KEEP_ALL)
    policy = MergePolicy(segments_per_tier=1)
    seen: list[str] = []
    stop = ""

    def interrupt(stage: str, done: int, total: int | None) -> None:
        seen.append(stage)
        assert total is None or done <= total
        if stage == stop:
            raise KeyboardInterrupt

    def change() -> None:
        if write == "add":
            add_documents(built, [Document("x", "x")], policy=policy, progress=interrupt)
        elif write == "delete":
            delete_documents(built, ["pike"], progress=interrupt)
        else:
            merge_segments(built, progress=interrupt)

    before = content(tmp_path)
    for stage in stages:
        stop = stage
        with pytest.raises(KeyboardInterrupt):
            change()
        assert content(tmp_path) == before
    stop, seen = "", []
    change()
    assert list(dict.fromkeys(seen)) == stages
    assert unnamed(built) == set()


def test_searching_while_everything_changes(built: Path) -> None:
    """Readers are opened and asked all the time; each answer is that of one generation."""
    stop = threading.Event()
    wrong: list[object] = []
    seen: set[int] = set()

    def read() -> None:
        while not stop.is_set():
            try:
                with opened(built) as collection:
                    found = {hit.document.doc_id for hit in collection.search("heron", k=50).hits}
                    generation = collection.manifest.generation
                    seen.add(generation)
                    if found != states[generation]:
                        wrong.append((generation, found))
            except LsrError as error:
                wrong.append(error)

    states = {1: {"heron"}}
    living_ids = {"heron"}
    for generation in range(2, 14):
        if generation % 4 == 0:
            pass  # a merge
        elif generation % 4 == 1:
            living_ids = living_ids - {f"n{generation - 2}"}
        else:
            living_ids = living_ids | {f"n{generation}"}
        states[generation] = living_ids
    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for generation in range(2, 14):
            if generation % 4 == 0:
                change = merge_segments(built)
            elif generation % 4 == 1:
                change = delete_documents(built, [f"n{generation - 2}"])
            else:
                change = add_documents(built, [Document(f"n{generation}", "heron")])
            assert change.manifest.generation == generation
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong
    assert len(seen) > 3


def test_examples_are_of_living_documents(built: Path) -> None:
    """What a service shows of a collection: deleted documents are not among it."""
    more = [Document(f"n{i}", "x", f"A title of fish {i}") for i in range(3)]
    add_documents(built, more, policy=KEEP_ALL)
    with opened(built) as collection:
        assert len(example_queries(collection)) == 3
        everything = [document.doc_id for document in living(collection)]
    delete_documents(built, [doc_id for doc_id in everything if doc_id != "n1"])
    with opened(built) as collection:
        assert example_queries(collection) == ("A title of fish 1",)
    delete_documents(built, ["n1"])
    with opened(built) as collection:
        assert example_queries(collection) == ()
