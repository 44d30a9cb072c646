"""Dense vectors that an interrupted build had ready are used by the next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lsr.index.collection.encode
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.update import add_documents, delete_documents
from lsr.types import Document
from tests.support.stub_encoders import StubDense

NEW = [Document("new", "A heron, and an entirely new one."), Document("fish", "No fish here.")]


def test_dense_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsr.index.collection.encode, "DENSE_CHUNK", 4)
    documents = [Document(f"{i}", f"text {'e' * i}") for i in range(10)]
    target = tmp_path / "index"

    def attempt(encoder: StubDense) -> None:
        build_collection(documents, target, sparse=Bm25Encoder(), dense=encoder)

    interrupted = StubDense()
    interrupted.fail_at = 2
    with pytest.raises(KeyboardInterrupt):
        attempt(interrupted)
    assert [len(texts) for texts in interrupted.encoded] == [4, 4]
    assert not target.exists()
    again = StubDense()
    attempt(again)
    assert again.encoded == [[document.text for document in documents[8:]]]
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    direct = StubDense().encode_documents([document.text for document in documents])
    collection = CollectionReader.open(target)
    rows = np.arange(len(documents), dtype=np.int32)
    assert np.array_equal(collection.segment.dense_vectors(rows), direct)
    collection.close()
    afresh = StubDense()
    attempt(afresh)
    assert len(afresh.encoded) == 3, "a finished build keeps nothing"


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"nonsense"])
def test_a_damaged_kept_part_is_encoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes
) -> None:
    monkeypatch.setattr(lsr.index.collection.encode, "DENSE_CHUNK", 1)
    target = tmp_path / "index"
    interrupted = StubDense()
    interrupted.fail_at = 1
    with pytest.raises(KeyboardInterrupt):
        build_collection(NEW, target, sparse=Bm25Encoder(), dense=interrupted)
    (kept,) = (tmp_path / ".index.building" / "kept").iterdir()
    kept.write_bytes(damage)
    again = StubDense()
    build_collection(NEW, target, sparse=Bm25Encoder(), dense=again)
    assert len(again.encoded) == 2


def test_another_model_or_text_is_encoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lsr.index.collection.encode, "DENSE_CHUNK", 1)
    cache = tmp_path / "cache"

    def encoded(documents: list[Document], sha256: str) -> int:
        encoder = StubDense(sha256)
        build_collection(
            documents, tmp_path / "i", sparse=Bm25Encoder(), dense=encoder, vector_cache=cache
        )
        return len(encoder.encoded)

    assert encoded(NEW, "a") == 2
    assert encoded(NEW, "a") == 0
    assert encoded(NEW[::-1], "a") == 0
    assert encoded(NEW, "b") == 2
    assert encoded([NEW[0], Document("fish", "changed")], "a") == 1


def test_an_interrupted_addition_goes_on_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when something is deleted before; what was kept is only cleared by its use."""
    monkeypatch.setattr(lsr.index.collection.encode, "DENSE_CHUNK", 1)
    target = tmp_path / "index"
    build_collection(NEW, target, sparse=Bm25Encoder(), dense=StubDense())
    more = [Document("more", "Another text."), Document("last", "One more.")]
    interrupted = StubDense()
    interrupted.fail_at = 1
    with pytest.raises(KeyboardInterrupt):
        add_documents(target, more, dense=interrupted)
    delete_documents(target, ["fish"])
    assert (tmp_path / ".index.building" / "kept").exists()
    again = StubDense()
    assert add_documents(target, more, dense=again).n_added == 2
    assert again.encoded == [["One more."]]
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    collection = CollectionReader.open(target)
    vectors = collection.segment.dense_vectors(collection.live_rows())
    texts = [document.text for document in [NEW[0], *more]]
    assert np.array_equal(vectors, StubDense().encode_documents(texts))
    collection.close()
