"""An index into Qdrant and back: to the bit, interrupted anywhere, over nothing that is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lsr.backend.qdrant.migrate as migration
from lsr.backend.qdrant.address import QdrantAddress
from lsr.backend.qdrant.migrate import Migrated, migrate_from, migrate_to
from lsr.backend.qdrant.open import open_stored
from lsr.backend.qdrant.store import Layout, Point
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.precomputed import PrecomputedEncoder
from lsr.errors import (
    ExistsError,
    IndexCorruptError,
    IndexMissingError,
    IndexVersionError,
    InputError,
)
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.tuned_plan import TunedPlan
from lsr.index.collection.update import add_documents, delete_documents
from lsr.retrieval.plan import plan_from
from lsr.sparse import CSR, SparseVector
from lsr.types import Document
from tests.backend.qdrant.stores import ADDRESS, Stopping, edge_store, local_store
from tests.backend.test_answers import told
from tests.support.hybrid_corpus import DOCUMENTS, Topics

ODD = Document("ü/1", "Zwölf\0 Boxkämpfer", "", {"n": 2**70, "x": 0.1 + 0.2, "deep": {"a": [1]}})


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "BATCH", 16)
    monkeypatch.setattr(migration, "PAGE", 16)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[CollectionReader]:
    """Of several segments, with deleted documents."""
    build_collection(DOCUMENTS, tmp_path / "one", sparse=Bm25Encoder(), dense=Topics())
    add_documents(tmp_path / "one", [ODD, Document("empty", "")], dense=Topics())
    delete_documents(tmp_path / "one", ["d03", "d69"])
    reader = CollectionReader.open(tmp_path / "one", dense=Topics())
    yield reader
    reader.close()


def vectors(reader: CollectionReader) -> dict[str, tuple[Any, ...]]:
    """Both vectors of each document, as bytes."""
    rows = reader.live_rows()
    sparse = reader.sparse.vectors(rows, SparseVector.from_mapping({}))
    dense = reader.segment.dense_vectors(reader.segment.passages_of(rows)[0])
    documents = reader.store.documents(rows.tolist())
    return {
        document.doc_id: (document, *(each.tobytes() for each in sparse.row(row)), values.tobytes())
        for row, (document, values) in enumerate(zip(documents, dense, strict=True))
    }


@pytest.mark.parametrize("kind", [edge_store, local_store])
def test_there_and_back(index: CollectionReader, tmp_path: Path, kind: Any) -> None:
    evidence: dict[str, Any] = {"measure": "nDCG@10"}
    tuned = TunedPlan(
        plan_from({"fusion": {"weight_sparse": 0.3}}),
        index.manifest.sparse,
        index.manifest.dense,
        1,
        "today",
        evidence,
    )
    tuned.save(index.path)
    index = CollectionReader.open(index.path, dense=Topics())
    store = kind(tmp_path)
    assert migrate_to(index, store, ADDRESS) == Migrated(70, 0)
    assert migrate_to(index, store, ADDRESS) == Migrated(70, 70)
    other = open_stored(store, ADDRESS, Topics())
    assert migrate_from(store, ADDRESS, tmp_path / "back") == Migrated(70, 0)
    back = CollectionReader.open(tmp_path / "back", dense=Topics())
    assert vectors(back) == vectors(index)
    assert list(vectors(back)) == list(vectors(index))  # in one order
    assert back.encoder.identity == index.encoder.identity == other.encoder.identity
    assert (back.manifest.dense, back.manifest.n_deleted) == (index.manifest.dense, 0)
    assert back.tuned_plan == tuned
    assert other.default_plan == back.default_plan == tuned.plan
    assert sorted(path.name for path in tmp_path.iterdir() if "back" in path.name) == ["back"]
    for mode in ("sparse", "dense", "hybrid"):
        asked: dict[str, Any] = {"mode": mode, "k": 30}
        found = other.search("heron by the river", **asked)
        expected = back.search("heron by the river", **asked)
        assert told(found) | {"generation": 1} == told(expected)


def test_vectors_made_elsewhere_without_dense_ones(tmp_path: Path) -> None:
    documents = [Document(str(n), "") for n in range(5)]
    made = CSR.from_rows([{n: 1 / (n + 3), 6: 0.1} for n in range(5)], 7)
    encoder = PrecomputedEncoder(7, list("abcdefg"))
    build_collection(documents, tmp_path / "one", sparse=encoder, vectors=made)
    store = edge_store(tmp_path)
    with_reader = CollectionReader.open(tmp_path / "one")
    migrate_to(with_reader, store, ADDRESS)
    other = open_stored(store, ADDRESS)
    assert other.modes == ("sparse",)
    query = '{"a": 2, "g": 0.3}'
    assert told(other.search(query)) == told(with_reader.search(query))
    migrate_from(store, ADDRESS, tmp_path / "back")
    back = CollectionReader.open(tmp_path / "back")
    found = back.store.sparse_vectors(range(5), 7)
    assert np.array_equal(found.weights, made.weights)
    assert np.array_equal(found.terms, made.terms)


@pytest.mark.parametrize(
    ("method", "most"), [("create", 0), ("create", 1), *(("put", n) for n in range(9))]
)
def test_an_interrupted_migration_goes_on(
    index: CollectionReader, tmp_path: Path, method: str, most: int
) -> None:
    store = edge_store(tmp_path)
    stopping: Any = Stopping(store, method, most)
    with pytest.raises(KeyboardInterrupt):
        migrate_to(index, stopping, ADDRESS)
    with pytest.raises(IndexMissingError):
        open_stored(store, ADDRESS)
    n_found = min(70, max(0, most - 3) * 16) if method == "put" else 0
    assert migrate_to(index, store, ADDRESS) == Migrated(70, n_found)
    migrate_from(store, ADDRESS, tmp_path / "back")
    assert vectors(CollectionReader.open(tmp_path / "back", dense=Topics())) == vectors(index)


@pytest.mark.parametrize("most", [2, 3, 5])
def test_an_interrupted_return_goes_on(index: CollectionReader, tmp_path: Path, most: int) -> None:
    store = edge_store(tmp_path)
    migrate_to(index, store, ADDRESS)
    stopping: Any = Stopping(store, "fetch", most)
    with pytest.raises(KeyboardInterrupt):
        migrate_from(stopping, ADDRESS, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    done = migrate_from(store, ADDRESS, tmp_path / "back")
    assert 0 < done.n_found < done.n_documents
    assert vectors(CollectionReader.open(tmp_path / "back", dense=Topics())) == vectors(index)


def test_nothing_that_is_there_is_written_over(index: CollectionReader, tmp_path: Path) -> None:
    store = edge_store(tmp_path)
    build_collection(DOCUMENTS[:9], tmp_path / "two", sparse=Bm25Encoder())
    other = CollectionReader.open(tmp_path / "two")
    stopping: Any = Stopping(store, "put", 5)
    with pytest.raises(KeyboardInterrupt):
        migrate_to(index, stopping, ADDRESS)
    for _ in range(2):  # begun, then done
        with pytest.raises(ExistsError, match="birds at http://nowhere, which was made of another"):
            migrate_to(other, store, ADDRESS)
        migrate_to(index, store, ADDRESS)
    foreign = QdrantAddress("http://nowhere", "foreign")
    store.create("foreign", Layout())
    with pytest.raises(ExistsError, match="which is not of lsr; choose another name"):
        migrate_to(other, store, foreign)
    assert not store.count("foreign")
    before = vectors(index)
    with pytest.raises(ExistsError, match="one exists; choose a new folder"):
        migrate_from(store, ADDRESS, index.path)
    assert vectors(CollectionReader.open(index.path, dense=Topics())) == before


def test_points_that_another_writes_meanwhile(index: CollectionReader, tmp_path: Path) -> None:
    store = edge_store(tmp_path)
    stopping: Any = Stopping(store, "put", 5)
    with pytest.raises(KeyboardInterrupt):
        migrate_to(index, stopping, ADDRESS)
    (point,) = store.fetch("birds", [3], ["doc_id"], ["sparse"])
    store.put("birds", [point._replace(number=900)])
    with pytest.raises(IndexCorruptError, match="71 points, 70 of them written by lsr"):
        migrate_to(index, store, ADDRESS)
    store.layouts["birds"] = store.layouts["birds"]._replace(modifier="idf")
    with pytest.raises(IndexVersionError, match="has modifier idf"):
        migrate_to(index, store, ADDRESS)


def test_long_texts_go_in_requests_of_their_own(tmp_path: Path) -> None:
    texts = ["b" * 900_000, "a", "c" * 1_200_000, "d" * 1_900_000, "e", "f"]
    documents = [Document(str(n), text) for n, text in enumerate(texts)]
    build_collection(documents, tmp_path / "one", sparse=Bm25Encoder())
    store = edge_store(tmp_path)
    puts: list[tuple[str, int]] = []
    real = store.put

    def counted(name: str, points: list[Point]) -> None:
        puts.append((name, len(points)))
        real(name, points)

    store.put = counted
    migrate_to(CollectionReader.open(tmp_path / "one"), store, ADDRESS)
    assert [n for name, n in puts if name == "birds"] == [2, 1, 3]


def test_what_cannot_be_migrated(index: CollectionReader, tmp_path: Path) -> None:
    local = QdrantAddress(str(tmp_path / "local"), "birds")
    many = [Document(str(n), "a") for n in range(1_001)]
    build_collection(many, tmp_path / "many", sparse=Bm25Encoder())
    store = edge_store(tmp_path)
    with pytest.raises(InputError, match=r"1,000 documents at most, and these are 1,001; give a"):
        migrate_to(CollectionReader.open(tmp_path / "many"), store, local)
    object.__setattr__(index.manifest, "passages", {"tokens": 9})
    with pytest.raises(InputError, match="has passages, which a collection of Qdrant does not"):
        migrate_to(index, store, ADDRESS)
    assert not store.layouts


def test_an_index_without_documents(tmp_path: Path) -> None:
    build_collection([], tmp_path / "none", sparse=Bm25Encoder(), allow_empty=True)
    store = edge_store(tmp_path)
    assert migrate_to(CollectionReader.open(tmp_path / "none"), store, ADDRESS) == Migrated(0, 0)
    assert open_stored(store, ADDRESS).search("heron").hits == ()
    migrate_from(store, ADDRESS, tmp_path / "back")
    assert CollectionReader.open(tmp_path / "back").n_documents == 0
