"""Versions of documents, and damage in rows that SQLite itself does not see."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import IndexCorruptError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.update import add_documents, delete_documents, merge_segments
from lsr.index.storage.document_store import DocumentStore
from lsr.index.storage.document_store_writer import StoreWriter
from lsr.index.storage.manifest import Manifest
from lsr.index.storage.names import STORE_FILE
from lsr.sparse import CSR
from lsr.types import Document

OLD = Path(__file__).parents[2] / "fixtures" / "v0_1" / "bm25"
DOCUMENTS = [Document(f"d{i}", f"text {i} ü", "T", {"i": i, "é": [1, "x"]}) for i in range(40)]
VECTORS = CSR.from_rows([{i: 1.0 + i, 50: 0.5} for i in range(40)], 51)


def written(path: Path) -> DocumentStore:
    writer = StoreWriter(path)
    list(writer.add_documents(DOCUMENTS, range(100, 140)))
    writer.add_sparse(VECTORS)
    writer.add_dense(np.ones((40, 2), np.float32))
    writer.close()
    return DocumentStore(path)


def test_versions(tmp_path: Path) -> None:
    store = written(tmp_path / "s.sqlite")
    assert store.versions([3, 0, 39, 3]) == [103, 100, 139, 103]
    assert store.stored([1]) == [(DOCUMENTS[1], 101)]
    assert store.versions([]) == []
    writer = StoreWriter(tmp_path / "copy.sqlite")
    list(writer.add_documents([Document("own", "x")]))
    list(writer.copy(store, np.array([7, 2], np.int32), sparse=True, dense=True))
    writer.close()
    copied = DocumentStore(tmp_path / "copy.sqlite")
    assert copied.versions([0, 1, 2]) == [0, 102, 107]
    assert [line[0] for line in copied.lines("sparse_vectors")] == [1, 2]
    copied.close()
    store.close()


@pytest.mark.parametrize("versions", [[1], [1, 2, 3], []])
def test_one_version_for_each_document(tmp_path: Path, versions: list[int]) -> None:
    writer = StoreWriter(tmp_path / "s.sqlite")
    with pytest.raises(ValueError, match="zip"):
        list(writer.add_documents(DOCUMENTS[:2], versions))
    writer.abandon()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE documents SET text = text || ' ' WHERE row = 3",
        "UPDATE documents SET title = 'Te', text = 'xt 3 ü' WHERE row = 3",
        "UPDATE documents SET doc_id = 'other' WHERE row = 3",
        "UPDATE documents SET metadata = '{}' WHERE row = 3",
        "UPDATE documents SET version = 4 WHERE row = 3",
        "UPDATE documents SET crc = crc + 1 WHERE row = 3",
        "UPDATE documents SET text = X'ff' WHERE row = 3",
        "UPDATE documents SET text = CAST(X'ff' AS TEXT) WHERE row = 3",
        "UPDATE documents SET version = 'x' WHERE row = 3",
        "UPDATE documents SET version = 3.5 WHERE row = 3",
        "UPDATE documents SET row = 77 WHERE row = 3; UPDATE documents SET row = 3 WHERE row = 4",
        "UPDATE sparse_vectors SET weights = zeroblob(8) WHERE row = 3",
        "UPDATE sparse_vectors SET weights = zeroblob(4) WHERE row = 3",
        "UPDATE sparse_vectors SET terms = X'00' WHERE row = 3",
        "UPDATE sparse_vectors SET terms = 'text' WHERE row = 3",
    ],
)
def test_a_row_that_has_changed(tmp_path: Path, change: str) -> None:
    path = tmp_path / "s.sqlite"
    written(path).close()
    connection = sqlite3.connect(path)
    connection.executescript(change)
    connection.close()
    store = DocumentStore(path)
    assert store.documents([0, 5]) == [DOCUMENTS[0], DOCUMENTS[5]]
    with pytest.raises(IndexCorruptError, match=r"s.sqlite") as caught:
        store.sparse_vectors([2, 3], 51) if "sparse" in change else store.documents([2, 3])
    assert "row 3 has changed" in str(caught.value) or "cannot be read" in str(caught.value)
    writer = StoreWriter(tmp_path / "copy.sqlite")
    with pytest.raises(IndexCorruptError, match=r"s.sqlite"):
        list(writer.copy(store, np.arange(40, dtype=np.int32), sparse=True, dense=True))
    writer.abandon()
    store.close()


def test_flipped_bits_give_the_right_document_or_an_error(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    written(path).close()
    good = path.read_bytes()
    rng = random.Random(5)
    errors = []
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(rng.choice([1, 1, 1, 8])):
            bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.1:
            del bad[rng.randrange(len(bad)) :]
        path.write_bytes(bad)
        for row in range(0, 40, 3):
            try:
                store = DocumentStore(path)
                try:
                    assert store.stored([row]) == [(DOCUMENTS[row], 100 + row)]
                    found = store.sparse_vectors([row], 51)
                    assert found.terms.tolist() == VECTORS.row(row).terms.tolist()
                finally:
                    store.close()
            except IndexCorruptError as error:
                errors.append(str(error))
    assert len(errors) > 30, "some of the flips hit what is read"
    assert all("s.sqlite" in error for error in errors)


def test_a_database_of_format_2(tmp_path: Path) -> None:
    """It has neither versions nor checksums: its documents have version 0, and are copied so."""
    collection = Path(shutil.copytree(OLD, tmp_path / "old"))
    assert Manifest.read(collection).format_version == 2
    store = DocumentStore(collection / "segment-000001" / STORE_FILE)
    rows = list(range(store.n_documents))
    assert set(store.versions(rows)) == {0}
    texts = {document.doc_id: document for document in store.documents(rows)}
    store.close()
    add_documents(collection, [Document("new", "a newcomer")], versions=[9], log_seq=9)
    manifest = merge_segments(collection).manifest
    assert manifest.format_version == json.loads(manifest.to_json())["format_version"] == 3
    again = DocumentStore(collection / manifest.segments[-1].name / STORE_FILE)
    found = again.stored(range(again.n_documents))
    assert {document.doc_id: version for document, version in found if version} == {"new": 9}
    for document, _ in found:
        assert document.doc_id == "new" or document == texts.get(document.doc_id, document)
    again.close()


def test_the_number_of_the_log_is_carried_over(tmp_path: Path) -> None:
    collection = tmp_path / "c"
    seq = [build_collection([Document("a", "x y")], collection, sparse=Bm25Encoder()).log_seq]
    seq.append(add_documents(collection, [Document("b", "x")], log_seq=5).manifest.log_seq)
    seq.append(add_documents(collection, [Document("c", "x")]).manifest.log_seq)
    seq.append(delete_documents(collection, ["c"]).manifest.log_seq)
    seq.append(delete_documents(collection, ["b"], log_seq=8).manifest.log_seq)
    generation = Manifest.read(collection).generation
    absent = delete_documents(collection, ["b"], ignore_missing=True, log_seq=9).manifest
    assert (absent.log_seq, absent.generation) == (9, generation + 1)
    assert delete_documents(collection, [], log_seq=9).manifest.generation == generation + 1
    seq.append(merge_segments(collection).manifest.log_seq)
    seq.append(build_collection([Document("a", "x")], collection, sparse=Bm25Encoder()).log_seq)
    assert seq == [0, 5, 5, 5, 8, 9, 9]
    reader = CollectionReader.open(collection)
    assert reader.manifest.log_seq == 9
    reader.close()
