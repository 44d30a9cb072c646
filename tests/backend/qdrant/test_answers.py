"""A collection of Qdrant gives the answers of the index it was made of, scores to the bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from lsr.backend.qdrant.migrate import migrate_to
from lsr.backend.qdrant.open import open_stored
from lsr.backend.qdrant.shard import QdrantShard
from lsr.backend.sharded_collection import ShardedCollection
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import NotFoundError, QueryError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.retrieval.plan import plan_from
from lsr.types import Document, Query
from tests.backend.qdrant.stores import ADDRESS, edge_store, local_store
from tests.backend.test_answers import PLANS, QUERIES, told
from tests.support.hybrid_corpus import DOCUMENTS, Topics

TIED = [Document(f"t{(7 * n) % 40:02}", "kelp", metadata={"n": n}) for n in range(40)]
"""All with one score, and not in the order of their identifiers."""
VALUES: list[dict[str, Any]] = [
    {},
    {"year": 2020},
    {"year": 2020.0},
    {"year": "2020"},
    {"year": "2020.0"},
    {"year": "02020"},
    {"year": True},
    {"year": "true"},
    {"year": [2019, 2021]},
    {"year": []},
    {"year": None},
    {"year": {"of": 2020}},
    {"year.of": "x", "year": {"of": 3}},
    {"year": 2019.5},
    {"year": -3},
    {"day": "2020-05-31"},
    {"day": "2020-05"},
    {"day": "2020-05-31T10:30"},
    {"day": "2020-05-31T10:30:00.000001+02:00"},
    {"day": "9999-12-31"},
    {"day": 'a "quoted" ~ day'},
    {"whole": 2**53},
    {"whole": -(2**53)},
    {"whole": 2**53 + 2},
    {"whole": -(2**53) - 2},
    {"large": 2**53 + 1},
    {"huge": 10**400},
    {"fine": "9999-12-31T10:30:00.000001"},
    {"long": "a" * 300},
    {"long": "a" * 301},
]
FILTERS: list[dict[str, Any]] = [
    {"year": 2020},
    {"year": "2020"},
    {"year": "2020.0"},
    {"year": "02020"},
    {"year": True},
    {"year": "true"},
    {"year": None},
    {"year": {"any": [2019, None, "x"]}},
    {"year": {"any": []}},
    {"year": {"not": 2020}},
    {"year": {"not": {"any": [2020, None]}}},
    {"year": {"exists": True}},
    {"year": {"exists": False}},
    {"year.of": 2020},
    {"year.of": {"exists": True}},
    {"year": {"gte": 2019.5}},
    {"year": {"gt": 2019.5, "lt": "2021"}},
    {"year": {"gt": 2019, "lt": 2021}},
    {"year": {"lte": -3}},
    {"year": {"gte": 10**400}},
    {"year": {"lte": 10**400}},
    {"whole": {"gt": 2**53 - 1}},
    {"whole": {"gte": 2**53 + 1}},
    {"whole": {"gt": 2**53 + 1}},
    {"whole": {"lt": -(2**53) - 1}},
    {"whole": {"lt": 2**53 + 1}},
    {"whole": {"lte": -(2**53) - 1}},
    {"large": 2**53 + 1},
    {"large": 2**53},
    {"huge": 10**400},
    {"day": {"gte": "2020-05-31"}},
    {"day": {"gt": "2020-05"}},
    {"day": {"lt": "2020-05-31T10:30"}},
    {"day": {"lte": "2020-05-31"}},
    {"day": 'a "quoted" ~ day'},
    {"long": "a" * 301},
    {"must": [{"year": {"gte": 2019}}], "must_not": [{"year": "2020"}]},
    {"should": [{"day": "2020-05"}, {"should": [{"year": True}, {"year": -3}]}]},
]


class Both(NamedTuple):
    """An index, and the collection that was made of it."""

    one: CollectionReader
    other: ShardedCollection


@pytest.fixture(scope="module", params=[edge_store, local_store])
def both(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("qdrant")
    valued = [Document(f"v{n:02}", "moss", metadata=each) for n, each in enumerate(VALUES)]
    documents = [*DOCUMENTS, *TIED, *valued, Document("empty", "")]
    build_collection(documents, folder / "one", sparse=Bm25Encoder(), dense=Topics())
    one = CollectionReader.open(folder / "one", dense=Topics())
    store = request.param(folder)
    migrate_to(one, store, ADDRESS)
    other = open_stored(store, ADDRESS, Topics())
    yield Both(one, other)
    one.close()
    other.close()


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: json.dumps(plan)[:60])
def test_every_plan(both: Both, plan: Any) -> None:
    assert both.other.encoder.identity == both.one.encoder.identity
    for text in (*QUERIES, "kelp"):
        for k, offset in ((10, 0), (1, 2), (5, 7)):
            asked: dict[str, Any] = {"k": k, "offset": offset, "plan": plan_from(plan)}
            assert told(both.other.search(text, **asked)) == told(both.one.search(text, **asked))


@pytest.mark.parametrize("k", [1, 10, 30, 100])
def test_equal_scores_are_in_the_order_of_identifiers(both: Both, k: int) -> None:
    found = both.other.search("kelp", k=k, mode="sparse")
    assert [hit.document.doc_id for hit in found.hits] == [f"t{n:02}" for n in range(min(k, 40))]
    assert told(found) == told(both.one.search("kelp", k=k, mode="sparse"))


@pytest.mark.parametrize("where", FILTERS, ids=lambda where: json.dumps(where)[:40])
def test_filters_mean_what_they_mean_in_an_index(both: Both, where: Any) -> None:
    for text in ("moss", "heron kelp moss"):
        asked: dict[str, Any] = {"k": 150, "where": where, "mode": "sparse"}
        assert told(both.other.search(text, **asked)) == told(both.one.search(text, **asked))


def test_the_filters_tell_documents_apart(both: Both) -> None:
    asked: dict[str, Any] = {"k": 30, "mode": "sparse"}
    answers = [both.one.search("moss", where=where, **asked) for where in FILTERS]
    found = {tuple(hit.document.doc_id for hit in answer.hits) for answer in answers}
    assert len(found) > len(FILTERS) / 2


@pytest.mark.parametrize(
    ("where", "problem"),
    [
        ({"colour": "red"}, "no document has a metadata field 'colour'; fields: day, fine, huge"),
        ({"large": {"gt": 3}}, r"'large' has numbers that float64 cannot hold, .* \(gt\)"),
        ({"huge": {"lt": 3}}, "'huge' has numbers that float64 cannot hold"),
        ({"large": {"exists": True}}, None),
        ({"fine": {"gte": "2020-01"}}, "'fine' has times that float64 cannot hold"),
    ],
)
def test_filters_that_are_refused(both: Both, where: Any, problem: str | None) -> None:
    if problem is None:
        assert both.other.search("moss", where=where).hits
        return
    with pytest.raises(QueryError, match=problem):
        both.other.search("moss", where=where)


def test_filters_with_every_plan_and_vectors_of_the_caller(both: Both) -> None:
    for plan in PLANS:
        asked: dict[str, Any] = {"where": {"year": {"gte": 2002}}, "plan": plan_from(plan)}
        assert told(both.other.search("river", **asked)) == told(both.one.search("river", **asked))
    asked = {
        "sparse_vector": both.one.encoder.encode_queries(["heron river"]).row(0),
        "dense_vector": np.array([1, 0.5, 0, 0, 0, 0.1], np.float32),
        "mode": "hybrid",
    }
    assert told(both.other.search("", **asked)) == told(both.one.search("", **asked))


def test_runs_and_documents(both: Both) -> None:
    queries = [Query(str(number), text) for number, text in enumerate(QUERIES)]
    for given in PLANS[:4]:
        plan = plan_from(given)
        assert both.other.run(queries, plan, 9) == both.one.retriever(plan).retrieve(queries, 9)
    for each in (DOCUMENTS[3], TIED[1]):
        assert both.other.document(each.doc_id) == each
    with pytest.raises(NotFoundError):
        both.other.document("nothing")


def test_counts_of_the_shard(both: Both) -> None:
    info, segment = both.other.infos[0], both.one.segment
    assert info.n_documents == segment.n_documents == 70 + 40 + len(VALUES) + 1
    assert info.n_postings == segment.n_postings
    terms = np.arange(both.one.encoder.n_terms, dtype=np.int32)
    assert np.array_equal(info.document_frequency, segment.document_frequency(terms))
    shard: Any = both.other._shards
    assert isinstance(shard._shards[0], QdrantShard)
