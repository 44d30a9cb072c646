"""Documents in SQLite: what goes in comes out, and filters mean what they say."""

from __future__ import annotations

import math
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.errors import IndexCorruptError, InputError, StorageError
from lsr.index.storage.document_store import DocumentStore
from lsr.index.storage.document_store_writer import StoreWriter
from lsr.sparse import CSR
from lsr.types import Document
from tests.support.strategies import texts


def stored(path: Path, documents: list[Document]) -> DocumentStore:
    writer = StoreWriter(path)
    for _ in writer.add_documents(documents):
        pass
    writer.close()
    return DocumentStore(path)


scalars = st.none() | st.booleans() | st.integers() | texts(5) | st.floats(allow_nan=False)
json_values = st.recursive(
    scalars.filter(lambda v: not (isinstance(v, float) and math.isinf(v))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(
    documents=st.lists(
        st.builds(
            Document,
            texts(5).filter(bool),
            texts(),
            texts(),
            st.dictionaries(texts(5), json_values, max_size=3),
        ),
        unique_by=lambda document: document.doc_id,
    )
)
def test_documents_come_back(
    documents: list[Document], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = stored(tmp_path_factory.mktemp("store") / "s.sqlite", documents)
    assert store.n_documents == len(documents)
    assert [store.document(row) for row in range(len(documents))] == documents
    for row, document in enumerate(documents):
        assert store.row(document.doc_id) == row
    assert store.row("never an id this long") is None
    with pytest.raises(IndexCorruptError):
        store.document(len(documents))
    store.close()


def deep() -> object:
    value: object = 1
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (Document("", "x"), "document 3 of the source has an empty doc_id"),
        (Document("a", "x"), "document 3 of the source repeats the doc_id 'a' of an earlier one"),
        (Document("c", "\ud800"), "'c'.*half a surrogate pair"),
        (Document("c", "", "\udfff"), "'c'.*half a surrogate pair"),
        (Document("\ud800", ""), "half a surrogate pair"),
        (Document("c", "", "", {"x": "\ud800"}), "'c'.*half a surrogate pair"),
        (Document("c", "", "", {"\ud800": 1}), "'c'.*half a surrogate pair"),
        (Document("c", "", "", {"x": object()}), "'c'.*metadata that JSON cannot hold"),
        (Document("c", "", "", {"x": math.nan}), "'c'.*metadata that JSON cannot hold"),
        (Document("c", "", "", {"x": [math.inf]}), "'c'.*metadata that JSON cannot hold"),
        (Document("c", "", "", {"x": {1, 2}}), "'c'.*metadata that JSON cannot hold"),
        (Document("c", "", "", {"x": deep()}), "'c'.*metadata that JSON cannot hold"),
    ],
)
def test_refused_documents(tmp_path: Path, document: Document, message: str) -> None:
    writer = StoreWriter(tmp_path / "s.sqlite")
    with pytest.raises(InputError, match=message):
        list(writer.add_documents([Document("a", ""), Document("b", ""), document]))
    writer.abandon()


def test_a_field_name_that_is_not_text_is_refused(tmp_path: Path) -> None:
    """JSON would turn it into text behind the caller's back, and SQLite knows no NULL field."""
    for name in (None, 1, 1.5, True):
        writer = StoreWriter(tmp_path / f"{name}.sqlite")
        document = Document("c", "", "", {name: 1})  # type: ignore[dict-item]
        with pytest.raises(InputError, match="metadata"):
            list(writer.add_documents([document]))
        writer.abandon()


def test_writer_gives_back_texts_and_ids(tmp_path: Path) -> None:
    documents = [Document(f"d{i}", f"text {i}", "T" if i % 2 else "") for i in range(2_500)]
    writer = StoreWriter(tmp_path / "s.sqlite")
    assert list(writer.add_documents(iter(documents))) == [1_000, 2_000, 2_500]
    batches = list(writer.texts())
    assert [len(batch) for batch in batches] == [1_000, 1_000, 500]
    assert [t for batch in batches for t in batch] == [d.full_text for d in documents]
    assert writer.doc_ids() == [d.doc_id for d in documents]
    writer.close()


def test_vectors_are_little_endian_blobs(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    writer = StoreWriter(path)
    list(writer.add_documents([Document("a", ""), Document("b", "")]))
    writer.add_sparse(CSR.from_rows([{}, {1: 0.5, 300: 2.0}]))
    writer.add_dense(np.array([[1, 2], [3, 4]], np.float32))
    writer.close()
    connection = sqlite3.connect(path)
    ((_, terms, weights, _),) = connection.execute("SELECT * FROM sparse_vectors WHERE row = 1")
    assert np.frombuffer(terms, "<i4").tolist() == [1, 300]
    assert np.frombuffer(weights, "<f4").tolist() == [0.5, 2.0]
    dense = connection.execute("SELECT vector FROM dense_vectors ORDER BY row").fetchall()
    assert [np.frombuffer(blob, "<f4").tolist() for (blob,) in dense] == [[1, 2], [3, 4]]
    connection.close()


def with_vectors(path: Path, vectors: CSR) -> DocumentStore:
    writer = StoreWriter(path)
    for _ in writer.add_documents(Document(f"{i}", "x") for i in range(vectors.n_rows)):
        pass
    writer.add_sparse(vectors)
    writer.close()
    return DocumentStore(path)


def test_sparse_vectors_come_back_in_the_order_asked(tmp_path: Path) -> None:
    vectors = CSR.from_rows([{1: 0.5, 300: 2.0}, {}, {0: 0.25}, {7: 2.0**-149}], 301)
    store = with_vectors(tmp_path / "s.sqlite", vectors)
    for rows in ([0, 1, 2, 3], [3, 0], [2, 2, 0, 2], [1], []):
        found = store.sparse_vectors(rows, 301)
        found.validate()
        assert (found.n_rows, found.n_terms) == (len(rows), 301)
        for i, row in enumerate(rows):
            assert found.row(i).terms.tolist() == vectors.row(row).terms.tolist()
            assert found.row(i).weights.tolist() == vectors.row(row).weights.tolist()
    for missing in ([4], [0, -1], [0, 9, 1]):
        with pytest.raises(IndexCorruptError, match="a document is missing; run: lsr index ver"):
            store.sparse_vectors(missing, 301)
    with pytest.raises(IndexCorruptError, match="a term outside"):
        store.sparse_vectors([0], 300)
    store.close()


def test_a_sparse_vector_that_is_missing(tmp_path: Path) -> None:
    """The document is there, and its vector is not."""
    with_vectors(tmp_path / "s.sqlite", CSR.from_rows([{0: 1.0}, {1: 1.0}])).close()
    with sqlite3.connect(tmp_path / "s.sqlite") as connection:
        connection.execute("DELETE FROM sparse_vectors WHERE row = 1")
    connection.close()
    store = DocumentStore(tmp_path / "s.sqlite")
    assert store.sparse_vectors([0], 2).nnz == 1
    with pytest.raises(IndexCorruptError, match="a document is missing"):
        store.sparse_vectors([0, 1], 2)
    store.close()


def test_more_vectors_than_a_statement_has_variables(tmp_path: Path) -> None:
    n = 2_500
    store = with_vectors(tmp_path / "s.sqlite", CSR.from_rows({i: 1.0} for i in range(n)))
    store._connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 1_000)
    rows = list(range(n - 1, -1, -1))
    assert store.sparse_vectors(rows, n).terms.tolist() == rows
    store.close()


def test_one_self_contained_file(tmp_path: Path) -> None:
    stored(tmp_path / "s.sqlite", [Document("a", "x")]).close()
    assert [path.name for path in tmp_path.iterdir()] == ["s.sqlite"]


def test_reader_does_not_write(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = stored(path, [Document("a", "x")])
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store._connection.execute("DELETE FROM documents")
    store.close()


def test_writer_that_cannot_open_its_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be stored"):
        StoreWriter(tmp_path / "absent" / "s.sqlite")


@pytest.mark.parametrize("content", [None, b"", b"not a database, whatever its name is" * 100])
def test_reader_of_something_else(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "s.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(IndexCorruptError, match="s.sqlite cannot be read"):
        DocumentStore(path)


def test_odd_paths(tmp_path: Path) -> None:
    folder = tmp_path / "a b?c#d%20é"
    folder.mkdir()
    store = stored(folder / "s.sqlite", [Document("a", "x")])
    assert store.document(0).text == "x"
    store.close()


def test_many_threads_share_a_reader(tmp_path: Path) -> None:
    documents = [Document(f"{i}", f"text {i}", "", {"odd": bool(i % 2)}) for i in range(200)]
    store = stored(tmp_path / "s.sqlite", documents)
    wrong: list[object] = []

    def read(seed: int) -> None:
        for row in np.random.default_rng(seed).integers(0, 200, 300).tolist():
            if store.document(row) != documents[row]:
                wrong.append(row)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    store.close()


def test_more_documents_than_a_statement_has_variables(tmp_path: Path) -> None:
    n = 2_500
    writer = StoreWriter(tmp_path / "documents.sqlite")
    for _ in writer.add_documents(Document(f"{i}", "x") for i in range(n)):
        pass
    writer.close()
    store = DocumentStore(tmp_path / "documents.sqlite")
    store._connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 1_000)
    rows = list(range(n - 1, -1, -1))
    assert [document.doc_id for document in store.documents(rows)] == [f"{row}" for row in rows]
    assert store.documents([]) == []
    store.close()


def test_documents_that_were_fetched_are_remembered_within_a_number_of_bytes(
    tmp_path: Path,
) -> None:
    documents = [Document(f"d{n}", "x" * 1_000, metadata={"n": [n]}) for n in range(50)]
    stored(tmp_path / "s.sqlite", documents).close()
    forgetful = DocumentStore(tmp_path / "s.sqlite")
    assert forgetful.document(3) is not forgetful.document(3)
    store = DocumentStore(tmp_path / "s.sqlite", memory_bytes=10_000)
    first = store.documents([3, 4, 3])
    assert first == [documents[3], documents[4], documents[3]]
    again = store.documents([4, 5, 3])
    assert again == [documents[4], documents[5], documents[3]]
    assert again[0] is first[1]
    assert again[2] is first[2]
    for row in range(10, 40):
        assert store.document(row) == documents[row]
    assert store.document(3) == documents[3]
    assert store.document(3) is not first[0]
    assert store.document(39) is store.document(39)
    assert store.versions([39, 0]) == [0, 0]
    for each in (store, forgetful):
        each.close()


def test_what_is_fetched_in_large_parts_is_not_remembered(tmp_path: Path) -> None:
    documents = [Document(f"d{n}", "x") for n in range(200)]
    stored(tmp_path / "s.sqlite", documents).close()
    store = DocumentStore(tmp_path / "s.sqlite", memory_bytes=1_000_000)
    many = store.documents(range(200))
    assert many == documents
    assert store.document(7) is not many[7]
    store.close()
