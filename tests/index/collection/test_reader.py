"""Search in a collection on disk: answers, pages, filters, and requests that are wrong."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import (
    IndexCorruptError,
    IndexMissingError,
    IndexVersionError,
    NotFoundError,
    QueryError,
)
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import DEFAULT_K, CollectionReader
from lsr.index.storage.manifest import MANIFEST, Manifest
from lsr.retrieval.answers.answer import Answer
from lsr.types import Document
from tests.support.strategies import texts


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> CollectionReader:
    """200 documents of few words, so that many scores are equal."""
    words = "heron otter pike fish water".split()
    documents = [
        Document(f"{i:03}", " ".join(words[: i % 5 + 1]), "", {"odd": bool(i % 2), "i": i})
        for i in range(200)
    ]
    target = tmp_path_factory.mktemp("many") / "index"
    build_collection(documents, target, sparse=Bm25Encoder())
    return CollectionReader.open(target)


def ids(answer: Answer) -> list[str]:
    return [hit.document.doc_id for hit in answer.hits]


def test_an_answer(built: Path, documents: list[Document]) -> None:
    collection = CollectionReader.open(built)
    answer = collection.search("fish in rivers")
    assert (answer.text, answer.mode) == ("fish in rivers", "sparse")
    assert set(ids(answer)) == {"heron", "otter", "pike"}
    assert all(hit.document in documents for hit in answer.hits)
    scores = [hit.score for hit in answer.hits]
    assert scores == sorted(scores, reverse=True)
    assert all(type(score) is float and score > 0 for score in scores)
    assert set(answer.took_ms) == {
        "filter",
        "plan",
        "encode_sparse",
        "search_sparse",
        "fuse",
        "fetch",
        "total",
    }
    assert all(took >= 0 for took in answer.took_ms.values())
    assert ids(collection.search("kestrels")) == ["kestrel"], "titles are searched, and stemmed"
    assert ids(collection.search("striped grass")) == ["zebra-1", "zebra-2"], "ties by doc_id"
    collection.close()


@pytest.mark.parametrize("text", ["the of", "unicorn", "?!", "😀", "\x00", "\ud800"])
def test_queries_that_say_nothing(built: Path, text: str) -> None:
    collection = CollectionReader.open(built)
    assert collection.search(text).hits == ()
    collection.close()


def test_default_k(many: CollectionReader, built: Path) -> None:
    assert len(many.search("heron").hits) == DEFAULT_K
    collection = CollectionReader.open(built)
    assert len(collection.search("fish striped kestrel").hits) == 6
    collection.close()


@pytest.mark.parametrize("size", [1, 7, 64, 200])
@pytest.mark.parametrize("where", [None, {"odd": True}])
def test_pages_put_together_are_one_answer(
    many: CollectionReader, size: int, where: dict[str, object] | None
) -> None:
    whole = many.search("heron water", k=200, where=where)
    assert len(whole.hits) == (200 if where is None else 100)
    pages = [
        many.search("heron water", k=size, offset=offset, where=where)
        for offset in range(0, 220, size)
    ]
    assert [hit for page in pages for hit in page.hits] == list(whole.hits)
    assert many.search("heron", k=200, offset=200).hits == ()
    assert many.search("heron", k=1, offset=10**12).hits == ()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=texts(20).filter(str.strip), k=st.integers(1, 200), offset=st.integers(0, 250))
def test_any_text_gives_an_answer(many: CollectionReader, text: str, k: int, offset: int) -> None:
    whole = many.search(f"{text} pike", k=200)
    assert many.search(f"{text} pike", k=k, offset=offset).hits == whole.hits[offset : offset + k]


def test_filters(many: CollectionReader) -> None:
    assert ids(many.search("water", where={"i": 4})) == ["004"]
    assert ids(many.search("water", where={"i": 4.0, "odd": False})) == ["004"]
    assert ids(many.search("water", where={"i": 4, "odd": True})) == []
    assert ids(many.search("water", where={"i": "4"})) == ["004"], "a text that writes it"
    assert ids(many.search("water", where={"i": "04"})) == []
    assert ids(many.search("water", where={})) == ids(many.search("water"))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"text": ""}, "the query is empty; write at least one word"),
        ({"text": " \n\t\u3000"}, "the query is empty"),
        ({"k": 0}, "0 hits were asked for; ask for at least 1"),
        ({"k": -3}, "-3 hits were asked for"),
        ({"offset": -1}, "the offset is -1; it must be 0 or more"),
        ({"mode": "fuzzy"}, "mode is 'fuzzy'; choose hybrid, sparse, dense"),
        ({"mode": ""}, "mode is ''; choose"),
        ({"mode": "hybrid"}, "has no dense vectors; build it again with --dense"),
        ({"mode": "dense"}, "has no dense vectors; build it again with --dense"),
        ({"dense_vector": np.ones(3, np.float32)}, "a dense vector and this collection has none"),
        ({"where": {"colour": "red"}}, "no document has a metadata field 'colour'; fields: i, odd"),
        ({"where": {"i": [1]}}, r'filter.i is a list; write {"any": \[...\]}'),
        ({"where": {"i": float("nan")}}, "filter.i is nan, which is no number of JSON"),
        (
            {"where": {"must": [{"i": {"above": 1}}]}},
            r"filter.must\[0\].i has the condition 'above'",
        ),
    ],
)
def test_wrong_requests(many: CollectionReader, request_: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        many.search(**{"text": "heron", **request_})


def test_documents_by_id(built: Path, documents: list[Document]) -> None:
    collection = CollectionReader.open(built)
    assert collection.document("heron") == documents[0]
    for doc_id in ("Heron", "", "heron ", "\ud800"):
        with pytest.raises(NotFoundError, match=re.escape(f"no document {doc_id!r} in birds")):
            collection.document(doc_id)
    collection.close()


def test_warm_up(built: Path) -> None:
    collection = CollectionReader.open(built)
    collection.warm_up()
    unknown: Any = "other"
    with pytest.raises(QueryError):
        collection.warm_up(unknown)
    collection.close()


def test_it_can_be_moved(built: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.move(built, moved)
    collection = CollectionReader.open(moved)
    assert collection.search("heron").hits
    collection.close()


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError, match="make one with: lsr index build"):
        CollectionReader.open(tmp_path)
    with pytest.raises(IndexMissingError, match="does not exist"):
        CollectionReader.open(tmp_path / "absent")


def test_an_encoder_of_the_future(built: Path) -> None:
    manifest = Manifest.read(built)
    other = type(manifest.sparse)("splade", "s", "x")
    changed = Manifest(**{**vars(manifest), "sparse": other})
    (built / MANIFEST).write_text(changed.to_json())
    with pytest.raises(IndexVersionError, match="needs an encoder 'splade' that this lsr lacks"):
        CollectionReader.open(built)


@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_without_verification_damage_is_still_an_error(built: Path, content: bytes | None) -> None:
    """Files that cannot be read at all are noticed on opening."""
    files = sorted(path for path in built.rglob("*") if path.is_file() and path.name != MANIFEST)
    assert len(files) == 3
    for path in files:
        good = path.read_bytes()
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        if path.name != "vocabulary.txt" or content != b"":
            with pytest.raises(IndexCorruptError):
                CollectionReader.open(built, verify=False)
        path.write_bytes(good)
    CollectionReader.open(built, verify=False).close()


def test_opening_while_a_build_publishes(
    built: Path, documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generation read from the manifest has gone when its files are opened: look again."""
    calls = 0
    verify = Manifest.damage

    def overtaken(self: Manifest, collection: Path, names: Any = None) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            build_collection(documents[:2], built, sparse=Bm25Encoder())
        return verify(self, collection, names)

    monkeypatch.setattr(Manifest, "damage", overtaken)
    collection = CollectionReader.open(built)
    assert calls == 2
    assert (collection.manifest.generation, collection.n_documents) == (2, 2)
    assert ids(collection.search("fish")) == ["otter", "heron"]
    collection.close()
