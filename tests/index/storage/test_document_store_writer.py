"""Rows of one database taken over by another, and vectors read back."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.errors import IndexCorruptError
from lsr.index.storage.document_store import DocumentStore
from lsr.index.storage.document_store_writer import StoreWriter
from lsr.sparse import CSR
from lsr.types import Document
from tests.naive import exact as naive

N = 2_300
VECTORS = CSR.from_rows([{i % 7: 1.0 + i, 9: 0.5} if i % 5 else {} for i in range(N)], 12)
DENSE = np.arange(N * 2, dtype=np.float32).reshape(N, 2)
DOCUMENTS = [Document(f"d{i}", f"text {i}", "T", {"third": i % 3, "i": i}) for i in range(N)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DocumentStore:
    path = tmp_path_factory.mktemp("store") / "s.sqlite"
    writer = StoreWriter(path)
    list(writer.add_documents(DOCUMENTS))
    writer.add_sparse(VECTORS)
    writer.add_dense(DENSE)
    writer.close()
    return DocumentStore(path)


@settings(max_examples=12, deadline=None)
@given(chosen=st.sets(st.integers(0, N - 1)), n_before=st.integers(0, 3), all_of=st.booleans())
def test_copy(
    store: DocumentStore,
    chosen: set[int],
    n_before: int,
    all_of: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Documents, metadata and vectors of some rows, behind rows that were there."""
    rows = np.arange(N, dtype=np.int32) if all_of else np.array(sorted(chosen), np.int32)
    path = tmp_path_factory.mktemp("copy") / "s.sqlite"
    writer = StoreWriter(path)
    own = [Document(f"own{i}", "x", "", {"third": 1}) for i in range(n_before)]
    list(writer.add_documents(own))
    writer.add_sparse(CSR.from_rows([{1: 2.0}] * n_before, 12))
    writer.add_dense(np.ones((n_before, 2), np.float32))
    done = list(writer.copy(store, rows, sparse=True, dense=True))
    assert done[-1:] == ([len(rows)] if len(rows) else [])
    assert done == sorted(done)
    vectors = writer.sparse_vectors(12)
    vectors.validate()
    expected = [{1: np.float32(2.0)}] * n_before
    expected += naive.rows_of(VECTORS.take(rows.tolist()))
    assert naive.rows_of(vectors) == expected
    writer.close()
    copied = DocumentStore(path)
    documents = [*own, *(DOCUMENTS[row] for row in rows)]
    assert copied.documents(list(range(len(documents)))) == documents
    assert copied.rows([d.doc_id for d in documents]) == {
        document.doc_id: row for row, document in enumerate(documents)
    }
    third = {value: rows.split(",") for value, rows in copied.field_values("third")}
    ones = [f"{row}" for row, document in enumerate(documents) if document.metadata["third"] == 1]
    assert sorted(third.get("1", []), key=int) == ones
    dense = [blob for _, blob in copied.lines("dense_vectors")]
    assert dense[n_before:] == [DENSE[row].tobytes() for row in rows]
    copied.close()


def test_copy_without_vectors(store: DocumentStore, tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path / "s.sqlite")
    list(writer.copy(store, np.array([3, 4], np.int32), sparse=False, dense=False))
    assert writer.sparse_vectors(12).n_rows == 0
    assert list(writer.texts()) == [["T text 3", "T text 4"]]
    writer.close()


def test_an_id_in_two_segments(store: DocumentStore, tmp_path: Path) -> None:
    """Tombstones see to it that this cannot be; without them it is damage."""
    writer = StoreWriter(tmp_path / "s.sqlite")
    list(writer.add_documents([Document("d7", "x")]))
    with pytest.raises(IndexCorruptError, match="two segments hold the same document"):
        list(writer.copy(store, np.array([7], np.int32), sparse=True, dense=True))
    writer.abandon()


def test_rows_of_ids(store: DocumentStore) -> None:
    assert store.rows([]) == {}
    assert store.rows(["d1", "never", "d1", "\ud800"]) == {"d1": 1}
    store._connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 1_000)
    assert len(store.rows([f"d{i}" for i in range(N + 50)])) == N


def test_a_database_that_breaks_off(tmp_path: Path, store: DocumentStore) -> None:
    path = tmp_path / "broken.sqlite"
    path.write_bytes(store._path.read_bytes())
    broken = DocumentStore(path)
    with path.open("r+b") as stream:
        stream.seek(4096 * 5)
        stream.write(b"\xff" * 4096 * 40)
    writer = StoreWriter(tmp_path / "s.sqlite")
    with pytest.raises(IndexCorruptError, match="broken.sqlite cannot be read"):
        list(writer.copy(broken, np.arange(N, dtype=np.int32), sparse=True, dense=True))
    writer.abandon()
    broken.close()
