"""A sharded collection gives the answers of one collection, scores to the bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lsr.backend.build import build_sharded
from lsr.backend.collection_shard import CollectionShard, LocalShards
from lsr.backend.shard import Called
from lsr.backend.sharded_collection import ShardedCollection
from lsr.backend.shards_file import ShardsFile
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import QueryError, RetrieverError
from lsr.index.collection.build import build_collection
from lsr.index.collection.encoder_registry import load_encoder
from lsr.index.collection.reader import CollectionReader
from lsr.index.storage.manifest import Manifest
from lsr.retrieval.answers.answer import Answer
from lsr.retrieval.plan import plan_from
from lsr.types import Document, Query
from tests.support.hybrid_corpus import DOCUMENTS, Topics

QUERIES = (
    "heron by the river",
    "otter night",
    "a boat and reed",
    "the willow",
    "zebra",
    "fur dark",
)
PRF = ("search", "vectors", "search")
PLANS: tuple[dict[str, Any], ...] = (
    {"mode": "sparse"},
    {"mode": "sparse", "prf": {"sparse": {"enabled": True}}, "explain": "full"},
    {"mode": "dense"},
    {"mode": "hybrid"},
    {"mode": "hybrid", "fusion": {"method": "rrf"}, "window": 20},
    {"mode": "hybrid", "fusion": {"norm": "minmax", "missing": "zero"}, "window": 20},
    {"mode": "hybrid", "fusion": {"norm": "zscore"}, "window": 15},
    {"mode": "hybrid", "prf": {"interpolate": "both", "sparse": {"enabled": True}}},
    {"mode": "hybrid", "prf": {"interpolate": "post"}, "explain": "full", "window": 12},
    {"mode": "hybrid", "prf": {"interpolate": "dense_only"}, "explain": "full"},
)


class Counted(LocalShards):
    """Local shards that count the rounds."""

    rounds: list[str]

    def call(self, method: str, arguments: Any) -> Called:
        self.rounds.append(method)
        return super().call(method, arguments)


def opened(
    folder: Path, kind: type[LocalShards] = LocalShards, *, joined: bool = False
) -> ShardedCollection:
    """A sharded collection whose dense model is that of the tests."""
    listed = ShardsFile.read(folder)
    folders = [folder / each.folder for each in listed.shards]
    apart = [CollectionShard.open(each) for each in folders]
    shards = kind([CollectionShard.joined(folders)] if joined else apart)
    if isinstance(shards, Counted):
        shards.rounds = []
    first = folder / listed.shards[0].folder
    encoder = load_encoder(first, Manifest.read(first))
    sizes = [len(folders)] if joined else []
    return ShardedCollection("sharded", shards, encoder, Topics, sizes=sizes)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectionReader]:
    folder = tmp_path_factory.mktemp("one") / "index"
    build_collection(DOCUMENTS, folder, sparse=Bm25Encoder(), dense=Topics())
    reader = CollectionReader.open(folder, dense=Topics())
    yield reader
    reader.close()


@pytest.fixture(scope="module", params=[(1, False), (2, False), (4, False), (7, False), (4, True)])
def sharded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ShardedCollection]:
    folder = tmp_path_factory.mktemp("sharded") / "index"
    n_shards, joined = request.param
    made = build_sharded(
        DOCUMENTS, folder, n_shards, sparse=Bm25Encoder(), dense=Topics, slice_documents=16
    )
    assert sum(each.n_documents for each in made.shards) == len(DOCUMENTS)
    collection = opened(folder, joined=joined)
    yield collection
    collection.close()


def told(answer: Answer) -> dict[str, Any]:
    """All of an answer but the time and the shards."""
    return asdict(replace(answer, took_ms={}, shards=None, analyzer=None))


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: json.dumps(plan)[:60])
def test_every_plan(one: CollectionReader, sharded: ShardedCollection, plan: Any) -> None:
    assert sharded.encoder.identity == one.encoder.identity
    for text in QUERIES:
        for k, offset in ((10, 0), (3, 0), (1, 2), (5, 7)):
            asked: dict[str, Any] = {"k": k, "offset": offset, "plan": plan_from(plan)}
            expected = one.search(text, **asked)
            found = sharded.search(text, **asked)
            assert told(found) == told(expected), (text, asked)
            assert found.shards is not None
            assert (found.shards.total, found.shards.ok) == (sharded.n_shards, sharded.n_shards)


def test_filters_and_vectors_of_the_caller(
    one: CollectionReader, sharded: ShardedCollection
) -> None:
    dense = np.array([1, 0.5, 0, 0, 0, 0.1], np.float32)
    sparse = one.encoder.encode_queries(["heron river"]).row(0)
    filters: tuple[dict[str, Any], ...] = (
        {"year": 2001},
        {"year": {"gte": 2002}},
        {"year": 1999},
    )
    for where in filters:
        for plan in PLANS:
            asked: dict[str, Any] = {"where": where, "plan": plan_from(plan)}
            assert told(sharded.search("river", **asked)) == told(one.search("river", **asked))
    asked = {"sparse_vector": sparse, "dense_vector": dense, "mode": "hybrid"}
    assert told(sharded.search("", **asked)) == told(one.search("", **asked))


def test_runs(one: CollectionReader, sharded: ShardedCollection) -> None:
    queries = [Query(str(number), text) for number, text in enumerate(QUERIES)]
    for given in PLANS:
        plan = plan_from(given)
        assert sharded.run(queries, plan, 9) == one.retriever(plan).retrieve(queries, 9)


def test_documents_by_id(sharded: ShardedCollection) -> None:
    assert [sharded.document(each.doc_id) for each in DOCUMENTS] == DOCUMENTS


@pytest.mark.parametrize(
    ("plan", "rounds"),
    [
        ({"mode": "sparse"}, ["search"]),
        ({"mode": "dense"}, ["search"]),
        ({"mode": "sparse", "prf": {"sparse": {"enabled": True}}}, [*PRF, "documents"]),
        ({"mode": "hybrid"}, ["search", "documents"]),
        ({"mode": "hybrid", "fusion": {"method": "rrf"}}, ["search", "documents"]),
        (
            {"mode": "hybrid", "prf": {"interpolate": "both", "sparse": {"enabled": True}}},
            [*PRF, "documents"],
        ),
    ],
)
def test_rounds(tmp_path: Path, plan: Any, rounds: list[str]) -> None:
    build_sharded(DOCUMENTS, tmp_path / "x", 3, sparse=Bm25Encoder(), dense=Topics)
    collection = opened(tmp_path / "x", Counted)
    shards: Any = collection._shards
    shards.rounds.clear()
    collection.search("heron by the river", plan=plan_from(plan))
    assert shards.rounds == rounds
    shards.rounds.clear()
    collection.search("heron by the river", k=43, plan=plan_from(plan))
    assert shards.rounds[-1] == "documents"  # too many would be sent for nothing
    collection.close()


def test_a_model_that_fails(tmp_path: Path) -> None:
    """As with one index: an error, or the other side and a notice where the plan allows that."""

    class Broken(Topics):
        def encode_queries(self, texts: Any) -> NDArray[np.float32]:
            raise RuntimeError("no model")

    def broken() -> Topics:
        return Broken()

    build_collection(DOCUMENTS, tmp_path / "one", sparse=Bm25Encoder(), dense=Topics())
    build_sharded(DOCUMENTS, tmp_path / "two", 2, sparse=Bm25Encoder(), dense=Topics)
    one = CollectionReader.open(tmp_path / "one", dense=Broken())
    two = opened(tmp_path / "two")
    two._open_dense = broken
    partial = plan_from({"mode": "hybrid", "allow_partial": True})
    expected, found = (each.search("heron river", plan=partial) for each in (one, two))
    assert told(found) == told(expected)
    assert [notice.code for notice in found.warnings] == ["dense_failed"]
    for each in (one, two):
        with pytest.raises(RetrieverError, match="the dense side failed .no model"):
            each.search("heron river", mode="hybrid")
        each.close()


@pytest.mark.parametrize("n_documents", [1, 3])
def test_fields_that_one_shard_alone_has(tmp_path: Path, n_documents: int) -> None:
    """Few documents, most shards empty: a filter is refused where no shard knows its field."""
    rare = Document("zz", "rare heron", metadata={"rare": 1})
    documents = [*DOCUMENTS[:2], rare][-n_documents:]
    build_collection(documents, tmp_path / "one", sparse=Bm25Encoder(), dense=Topics())
    build_sharded(documents, tmp_path / "four", 4, sparse=Bm25Encoder(), dense=Topics)
    one = CollectionReader.open(tmp_path / "one", dense=Topics())
    filters: list[dict[str, Any]] = [{"rare": 1}, {"rare": 2}, {"must_not": [{"rare": 1}]}]
    filters += [{"year": {"gte": 1}}] if n_documents > 1 else []
    for joined in (False, True):
        four = opened(tmp_path / "four", joined=joined)
        for plan in PLANS:
            for where in filters:
                asked: dict[str, Any] = {"where": where, "plan": plan_from(plan)}
                assert told(four.search("heron", **asked)) == told(one.search("heron", **asked))
            with pytest.raises(QueryError, match="no document has a metadata field 'colour'"):
                four.search("heron", where={"colour": "red"}, plan=plan_from(plan))
        four.close()
    one.close()
