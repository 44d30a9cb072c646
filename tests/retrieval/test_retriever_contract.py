"""What every `Retriever` promises, checked on each one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import lsr.index.collection.retrievers
import lsr.retrieval.dense_index
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import QueryError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.retrievers import DenseRetriever
from lsr.index.storage.segment import Segment
from lsr.retrieval.dense_index import DenseIndex
from lsr.retrieval.feedback import SparseFeedback
from lsr.retrieval.fusion import Fusion
from lsr.retrieval.plan import Prf, SearchPlan
from lsr.retrieval.retriever import Retriever
from lsr.types import Document, EncoderIdentity, Query, ranked

N = 120
WORDS = "heron otter pike fish water reed owl".split()


PLANS = {
    "hybrid": SearchPlan(window=N),
    "hybrid minmax": SearchPlan(window=N, fusion=Fusion(norm="minmax", missing="zero")),
    "hybrid both": SearchPlan(
        window=N, prf=Prf(interpolate="both", sparse=SparseFeedback(enabled=True, max_df=1.0))
    ),
    "hybrid pre": SearchPlan(window=N, prf=Prf(interpolate="pre")),
    "hybrid, dense only": SearchPlan(window=N, prf=Prf(interpolate="dense_only")),
    "hybrid, sparse only": SearchPlan(window=N, mode="sparse"),
}
"""The window holds all documents, as `k` does in some tests: fusion never looks further."""


class WordVectors:
    """A dense encoder without a model: one dimension a word, unit length."""

    dimension = len(WORDS)
    identity = EncoderIdentity("dense", "words", "stub")

    def __init__(self, name: str = "words") -> None:
        assert name == "words"

    def encode_documents(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        counts = [[text.lower().split().count(word) for word in WORDS] for text in texts]
        vectors = np.array(counts, np.float32).reshape(-1, self.dimension)
        norms = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
        norms[norms == 0] = 1
        result: NDArray[np.float32] = vectors / norms
        return result

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.encode_documents(texts)


def corpus() -> list[Document]:
    """Groups of equal documents under ids in no order; every tenth says nothing."""
    order = np.random.default_rng(4).permutation(N).tolist()
    return [
        Document(f"id {i:03}", "" if i % 10 == 9 else " ".join(WORDS[: i % 6 + 1])) for i in order
    ]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectionReader]:
    target: Path = tmp_path_factory.mktemp("contract") / "index"
    build_collection(corpus(), target, sparse=Bm25Encoder(), dense=WordVectors())
    opened = CollectionReader.open(target)
    yield opened
    opened.close()


@pytest.fixture(params=["sparse", "dense", "dense graph", *PLANS])
def retriever(
    request: pytest.FixtureRequest, collection: CollectionReader, monkeypatch: pytest.MonkeyPatch
) -> Retriever:
    monkeypatch.setattr(
        lsr.index.collection.retrievers, "open_dense_encoder", lambda name, **_: WordVectors(name)
    )
    if request.param == "dense graph":
        pytest.importorskip("faiss")
        monkeypatch.setattr(lsr.retrieval.dense_index, "FLAT_LIMIT", 50)
        segment = collection.segment
        assert isinstance(segment, Segment)
        made = DenseRetriever(
            WordVectors.identity,
            segment,
            lambda: DenseIndex(segment.vectors, segment.tie_order),
        )
        assert not made.is_exact
        return made
    if request.param == "sparse":
        return collection.sparse
    pytest.importorskip("faiss")
    return (
        collection.dense if request.param == "dense" else collection.retriever(PLANS[request.param])
    )


QUERIES = [
    Query("q3", "heron reed"),
    Query("q1", "fish"),
    Query("nothing", ""),
    Query("unknown", "unicorn zebra"),
    Query("q2", "water water pike"),
]


def test_protocol(retriever: Retriever) -> None:
    assert isinstance(retriever, Retriever)
    assert retriever.name in ("bm25", "words", "hybrid")


def test_one_list_a_query_in_order(retriever: Retriever) -> None:
    run = retriever.retrieve(QUERIES, 10)
    assert list(run) == [query.query_id for query in QUERIES]
    for query_id, hits in run.items():
        assert [hit.query_id for hit in hits] == [query_id] * len(hits)
        assert all(type(hit.score) is float for hit in hits)
        assert hits == ranked(hits), "score descending, then doc_id"
        assert len({hit.doc_id for hit in hits}) == len(hits)
    assert len(run["q1"]) == 10


def test_hopeless_queries_get_empty_lists(retriever: Retriever) -> None:
    run = retriever.retrieve(QUERIES, 5)
    assert run["nothing"] == run["unknown"] == []


def test_no_queries(retriever: Retriever) -> None:
    assert retriever.retrieve([], 5) == {}


def test_equal_scores_are_by_doc_id(retriever: Retriever) -> None:
    hits = retriever.retrieve([Query("q", "heron")], 15)["q"]
    best = [hit.doc_id for hit in hits if hit.score == hits[0].score]
    assert best == [f"id {i:03}" for i in range(0, N, 6) if i % 10 != 9][: len(best)]
    assert len(best) == 15


def test_a_smaller_k_is_a_prefix(retriever: Retriever) -> None:
    whole = retriever.retrieve(QUERIES, N)
    for k in (1, 2, 7, 50):
        run = retriever.retrieve(QUERIES, k)
        assert run == {query_id: hits[:k] for query_id, hits in whole.items()}


def test_k_beyond_the_collection(retriever: Retriever) -> None:
    assert retriever.retrieve(QUERIES, N + 50) == retriever.retrieve(QUERIES, N)
    found = {hit.doc_id for hit in retriever.retrieve(QUERIES, N + 50)["q3"]}
    assert not found & {document.doc_id for document in corpus() if not document.text}


@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 1.0])
def test_masks(retriever: Retriever, share: float) -> None:
    """A filter leaves what it lets pass, in the same order and with the same scores.

    A hybrid's scores are relative to the best hit that passes, and so is the order of the rest.
    """
    allowed = np.random.default_rng(6).random(N) < share
    passing = {document.doc_id for document, flag in zip(corpus(), allowed, strict=True) if flag}
    whole = retriever.retrieve(QUERIES, N)
    if retriever.name == "hybrid" and share < 1:
        for k in (3, N):
            for query_id, hits in retriever.retrieve(QUERIES, k, allowed).items():
                found = {hit.doc_id for hit in hits}
                matching = {hit.doc_id for hit in whole[query_id]} & passing
                assert found <= matching
                assert len(found) == min(k, len(matching))
        return
    for k in (3, N):
        expected = {
            query_id: [hit for hit in hits if hit.doc_id in passing][:k]
            for query_id, hits in whole.items()
        }
        assert retriever.retrieve(QUERIES, k, allowed) == expected


def test_a_batch_is_its_queries(retriever: Retriever) -> None:
    run = retriever.retrieve(QUERIES, 8)
    for query in QUERIES:
        assert retriever.retrieve([query], 8) == {query.query_id: run[query.query_id]}
    twice = [Query(f"{i}", "fish pike") for i in range(3)]
    hits = [
        [(hit.doc_id, hit.score) for hit in found]
        for found in retriever.retrieve(twice, 8).values()
    ]
    assert hits[0] == hits[1] == hits[2]


def test_it_is_deterministic(retriever: Retriever) -> None:
    assert retriever.retrieve(QUERIES, 20) == retriever.retrieve(QUERIES, 20)


@pytest.mark.parametrize("k", [0, -1])
def test_bad_k(retriever: Retriever, k: int) -> None:
    with pytest.raises(QueryError, match=f"k is {k}; ask for at least 1"):
        retriever.retrieve(QUERIES, k)


@pytest.mark.parametrize("n", [0, N - 1, N + 1])
def test_bad_mask(retriever: Retriever, n: int) -> None:
    with pytest.raises(QueryError, match=f"one flag for each of {N} documents"):
        retriever.retrieve(QUERIES, 3, np.ones(n, np.bool_))
