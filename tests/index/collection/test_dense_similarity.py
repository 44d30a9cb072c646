"""Collections whose vectors are compared by dot: their lengths count from end to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import lsr.index.collection.retrievers
import lsr.index.live.live_collection
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.dense import SentenceTransformerEncoder
from lsr.encoders.dense_recipe import LONGEST, DenseOptions
from lsr.encoders.protocols import DenseEncoder
from lsr.errors import IndexVersionError, InputError, QueryError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.update import add_documents
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.operation import Operation
from lsr.index.storage.manifest import Manifest
from lsr.retrieval.plan import plan_from
from lsr.types import Document
from tests.support.dense_counts import Counts
from tests.support.dense_models import dense_model_folder
from tests.support.live import ThreadWorker, searchable

pytest.importorskip("faiss")

DOCUMENTS = [
    Document("near", "heron"),
    Document("far", "heron heron heron heron"),
    Document("side", "otter otter"),
    Document("none", ""),
]


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(
        lsr.index.collection.retrievers, "open_dense_encoder", lambda name, **_: Counts()
    )
    build_collection(DOCUMENTS, tmp_path / "ix", sparse=Bm25Encoder(), dense=Counts())
    return tmp_path / "ix"


def opened(path: Path, dense: DenseEncoder | None = None) -> closing[CollectionReader]:
    return closing(CollectionReader.open(path, dense=dense))


@pytest.fixture
def collection(built: Path) -> Iterator[CollectionReader]:
    with opened(built) as reader:
        yield reader


def ranked(collection: CollectionReader, text: str = "", **how: object) -> list[tuple[str, float]]:
    answer = collection.search(text, **how)  # type: ignore[arg-type]
    return [(hit.document.doc_id, round(float(hit.score), 4)) for hit in answer.hits]


def test_scores_are_inner_products(collection: CollectionReader) -> None:
    assert ranked(collection, "heron heron otter", mode="dense") == [
        ("far", 8.0),
        ("near", 2.0),
        ("side", 2.0),
    ]
    given = np.array([0.5, -3], np.float32)
    assert ranked(collection, mode="dense", dense_vector=given) == [
        ("far", 2.0),
        ("near", 0.5),
        ("side", -6.0),
    ]


def test_a_vector_that_is_too_long(collection: CollectionReader, built: Path) -> None:
    longest = np.array([LONGEST, 0], np.float32)
    assert ranked(collection, mode="dense", dense_vector=longest)[0][0] == "far"
    with pytest.raises(QueryError, match=r"has the length 4e\+15; give one of 1e\+15 at most"):
        collection.search("", dense_vector=longest * 4)
    with LiveCollection.open(built) as live:
        far = Operation("put", "x", Document("x", "x"), dense=[4e30, 0.0])
        with pytest.raises(InputError, match="the dense vector has the length"):
            live.write([far])


def test_the_fusion_has_no_floor(collection: CollectionReader) -> None:
    """The default plan; the least of the list is the minimum."""
    assert collection.dense.floor is None
    plan = plan_from({"mode": "hybrid", "explain": "full", "fusion": {"weight_sparse": 0.0}})
    hits = collection.search("heron heron otter", plan=plan).hits
    parts = {hit.document.doc_id: hit.explanation for hit in hits}
    norms = {name: part.dense.norm for name, part in parts.items() if part and part.dense}
    assert norms == {"far": 1.0, "near": 0.0, "side": 0.0}
    both = collection.search("heron heron otter")
    assert both.plan.fusion.norm == "tmm"
    assert both.plan.fusion.weight_sparse == 0.5, "the default of minmax"
    assert both.hits[0].document.doc_id == "far"
    own = plan_from({"fusion": {"weight_sparse": 0.3}})
    assert collection.search("heron", plan=own).plan.fusion.weight_sparse == 0.3


def test_feedback_keeps_the_length(collection: CollectionReader) -> None:
    prf = {"interpolate": "dense_only", "depth": 1, "dense": {"method": "average"}}
    plan = plan_from({"mode": "dense", "prf": prf, "explain": "full"})
    answer = collection.search("heron heron otter", plan=plan)
    scores = {hit.document.doc_id: float(hit.score) for hit in answer.hits}
    assert scores == {"far": 12.0, "near": 3.0, "side": 1.0}, "by ([2, 1] + [4, 0]) / 2"
    for hit in answer.hits:
        assert hit.explanation is not None
        prf_part = hit.explanation.prf
        assert prf_part is not None
        assert prf_part.dense_query + prf_part.dense_feedback == pytest.approx(hit.score)


def test_documents_given_as_vectors(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the buffer, after publication, and beside what an addition encodes."""
    monkeypatch.setattr(lsr.index.live.live_collection, "Worker", ThreadWorker)
    with LiveCollection.open(built) as live:
        searchable(live, Operation("put", "mine", Document("mine", "x"), dense=[30.0, 40.0]))
        assert ranked(live.view, "heron", mode="dense")[0] == ("mine", 30.0)
        live.publish()
        assert ranked(live.view, "heron", mode="dense")[0] == ("mine", 30.0)
    add_documents(built, [Document("more", "heron " * 50)])
    with opened(built) as reader:
        assert ranked(reader, "heron", mode="dense")[:2] == [("more", 50.0), ("mine", 30.0)]


def test_a_collection_by_cosine_still_scales(tmp_path: Path) -> None:
    """What says nothing of a similarity is of unit vectors."""

    class Units(Counts):
        identity = replace(Counts.identity, parameters={})

        def encode_documents(
            self, texts: Sequence[str], progress: Callable[[int], None] | None = None
        ) -> NDArray[np.float32]:
            vectors = super().encode_documents(texts, progress)
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            units: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-9))
            return units

    build_collection(DOCUMENTS, tmp_path / "ix", sparse=Bm25Encoder(), dense=Units())
    with opened(tmp_path / "ix", Units()) as reader:
        assert reader.dense.floor == -1.0
        long = np.array([30, 0], np.float32)
        assert ranked(reader, mode="dense", dense_vector=long)[0][1] == 1.0


def test_the_manifest_says_how_vectors_are_made(tmp_path: Path) -> None:
    """And the model is opened so, whatever its folder says meanwhile."""
    pytest.importorskip("sentence_transformers")
    folder = dense_model_folder(tmp_path, "prompts")
    options = DenseOptions(query_prompt="why ", dimensions=8)
    made = SentenceTransformerEncoder(str(folder), options)
    texts = [Document(name, text) for name, text in (("a", "cat dog"), ("b", "sea"), ("c", "cat"))]
    build_collection(texts, tmp_path / "ix", sparse=Bm25Encoder(), dense=made)
    identity = Manifest.read(tmp_path / "ix").dense
    assert identity is not None
    assert identity.parameters == {
        "dimension": 8,
        "max_tokens": 64,
        "similarity": "dot",
        "pooling": "mean",
        "query_prompt": "why ",
        "document_prompt": "read this . ",
    }
    vectors = made.encode_documents([document.text for document in texts])
    expected = dict(zip("abc", vectors @ made.encode_queries(["cat"])[0], strict=True))
    config = folder / "config_sentence_transformers.json"
    config.write_text(config.read_text("utf-8").replace("read this", "skim that"), "utf-8")
    with opened(tmp_path / "ix") as reader:
        hits = reader.search("cat", mode="dense").hits
        assert {hit.document.doc_id: hit.score for hit in hits} == pytest.approx(expected, abs=1e-4)
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text("utf-8").replace('"mean"', '"cls"'), "utf-8")
    with (
        opened(tmp_path / "ix") as reader,
        pytest.raises(
            IndexVersionError,
            match="made the vectors of this index, by its pooling; build",
        ),
    ):
        reader.search("cat", mode="dense")


def test_an_index_whose_identity_does_not_say(tmp_path: Path) -> None:
    """As lsr 0.1 wrote it: opened, searched and continued with unit vectors, without prompts."""
    pytest.importorskip("sentence_transformers")
    folder = dense_model_folder(tmp_path, "prompts")
    old = SentenceTransformerEncoder(str(folder), DenseOptions(is_old=True))
    assert set(old.identity.parameters) == {"dimension", "max_tokens"}
    build_collection([Document("a", "cat dog")], tmp_path / "ix", sparse=Bm25Encoder(), dense=old)
    add_documents(tmp_path / "ix", [Document("b", "sea")])
    plain = old.model.encode(["cat", "cat dog", "sea"], normalize_embeddings=True)
    with opened(tmp_path / "ix") as reader:
        assert reader.manifest.dense == old.identity
        found = {hit.document.doc_id: hit.score for hit in reader.search("cat", mode="dense").hits}
    expected = {"a": plain[0] @ plain[1], "b": plain[0] @ plain[2]}
    assert found == pytest.approx(expected, abs=1e-5)
