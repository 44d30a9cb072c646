"""Collections of vectors made elsewhere: built, added to, merged."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.precomputed import PrecomputedEncoder
from lsr.errors import InputError
from lsr.index.collection.build import build_collection
from lsr.index.collection.merge_policy import MergePolicy
from lsr.index.collection.update import add_documents, delete_documents, merge_segments
from lsr.sparse import CSR
from lsr.types import Document
from tests.support.changing_collection import content, naive_answer, opened

TOKENS = ["cat", "dog", "owl"]
MORE = [*TOKENS, "eel", "ant"]
DOCUMENTS = [Document("b", "first"), Document("a", "second")]
VECTORS = CSR.from_rows([{0: 1.5, 2: 0.5}, {1: 2.0}])


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "index"
    build_collection(DOCUMENTS, path, sparse=PrecomputedEncoder(3, TOKENS), vectors=VECTORS)
    return path


def hits(path: Path, query: str) -> list[tuple[str, float]]:
    with opened(path) as collection:
        found = collection.search(query).hits
        told = [(hit.document.doc_id, hit.score) for hit in found]
        assert told == naive_answer(collection, query)
        return told


def test_build_and_search(given: Path) -> None:
    assert hits(given, '{"cat": 2, "dog": 1}') == [("b", 3.0), ("a", 2.0)]
    assert hits(given, '{"eel": 2}') == []


@pytest.mark.parametrize("n_segments", [2, 1])
def test_add_with_new_tokens(given: Path, n_segments: int) -> None:
    vectors = CSR.from_rows([{3: 1.0, 0: 0.25}, {4: 4.0}])
    documents = [Document("c", "third"), Document("a", "newer")]
    policy = MergePolicy(segments_per_tier=n_segments)
    encoder = PrecomputedEncoder(5, MORE)
    change = add_documents(given, documents, vectors=vectors, sparse=encoder, policy=policy)
    assert (change.n_added, change.n_replaced) == (1, 1)
    assert len(change.manifest.segments) == n_segments
    assert change.manifest.n_terms == 5
    for _ in range(2):
        assert hits(given, '{"cat": 1, "ant": 1, "eel": 1}') == [
            ("a", 4.0),
            ("b", 1.5),
            ("c", 1.25),
        ]
        assert hits(given, '{"dog": 1}') == []
        merge_segments(given)
    delete_documents(given, ["b"])
    assert hits(given, '{"cat": 1}') == [("c", 0.25)]


def test_add_with_the_same_tokens(given: Path) -> None:
    before = {path.name for path in given.iterdir() if "encoder" in path.name}
    add_documents(given, [Document("c", "")], vectors=CSR.from_rows([{2: 1.0}]))
    assert {path.name for path in given.iterdir() if "encoder" in path.name} == before
    assert hits(given, '{"owl": 1}') == [("c", 1.0), ("b", 0.5)]


@pytest.mark.parametrize(
    ("encoder", "vectors", "message"),
    [
        (None, None, "text cannot be encoded for it; give the documents' vectors"),
        (None, CSR.empty(2, 3), "2 sparse vectors for 1 documents; give one each"),
        (None, CSR.from_rows([{3: 1.0}]), "row 0 has a term outside 0..2"),
        (
            PrecomputedEncoder(3, ["dog", "cat", "owl"]),
            CSR.empty(1, 3),
            "not have the terms of this ind",
        ),
        (
            PrecomputedEncoder(2, TOKENS[:2]),
            CSR.empty(1, 2),
            "does not have the terms of this index",
        ),
        (Bm25Encoder(), CSR.empty(1, 0), "'bm25' does not have the terms of this index in their"),
    ],
)
def test_refused(
    given: Path, encoder: PrecomputedEncoder | None, vectors: CSR | None, message: str
) -> None:
    before = content(given.parent)
    with pytest.raises(InputError, match=message):
        add_documents(given, [Document("c", "x")], vectors=vectors, sparse=encoder)
    assert content(given.parent) == before


def test_a_build_with_vectors_that_do_not_fit(tmp_path: Path) -> None:
    for vectors in (CSR.empty(1, 3), CSR.from_rows([{3: 1.0}, {}])):
        with pytest.raises(InputError):
            build_collection(
                DOCUMENTS, tmp_path / "i", sparse=PrecomputedEncoder(3, TOKENS), vectors=vectors
            )
        assert list(tmp_path.iterdir()) == []
