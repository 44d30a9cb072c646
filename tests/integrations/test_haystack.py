"""Haystack's document store and retriever over a collection: its own tests of stores, and ours."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import lsr
from lsr.errors import IndexStateError, InputError, QueryError

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"  # read when it is imported
pytest.importorskip("haystack", reason="the package haystack-ai is not installed")

from haystack import Document, Pipeline
from haystack.dataclasses import ByteStream
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError
from haystack.testing import document_store as haystack_tests

from lsr.integrations.haystack import LsrDocumentStore, LsrRetriever
from tests.support.hybrid_corpus import DOCUMENTS, Topics

NOTES = [
    Document(id="a", content="Keys rotate.", meta={"year": 2026, "title": "Keys"}),
    Document(id="b", content="Doors are closed.", meta={"year": 2020}),
    Document(id="c", content="Keys open doors.", meta={"tags": ["x", "y"], "of": {"team": "ops"}}),
]


@pytest.fixture
def store(tmp_path: Path) -> LsrDocumentStore:
    made = LsrDocumentStore(tmp_path / "notes", sparse="bm25")
    assert made.write_documents(NOTES) == 3
    return made


def ids(documents: list[Document]) -> list[str]:
    return [document.id for document in documents]


class TestHaystacksOwn(haystack_tests.DocumentStoreBaseTests):
    """What Haystack asks of every store."""

    @pytest.fixture
    def document_store(self, tmp_path: Path) -> LsrDocumentStore:
        return LsrDocumentStore(tmp_path / "store", sparse="bm25")

    @pytest.fixture
    def filterable_docs(self) -> list[Document]:
        made = haystack_tests.create_filterable_docs()
        return [replace(document, embedding=None) for document in made]

    def assert_documents_are_equal(
        self, received: list[Document], expected: list[Document]
    ) -> None:
        assert sorted(received, key=lambda d: d.id) == sorted(expected, key=lambda d: d.id)

    def test_write_documents(self, document_store: LsrDocumentStore) -> None:
        assert document_store.write_documents(NOTES[:1]) == 1
        with pytest.raises(DuplicateDocumentError, match="the document 'a' is there already"):
            document_store.write_documents(NOTES)
        assert document_store.count_documents() == 1


COMPARED = [
    {"field": "meta.year", "operator": operator, "value": 2020}
    for operator in ("==", "!=", ">", ">=", "<", "<=")
]
FILTERS: list[dict[str, Any]] = [
    *COMPARED,
    {"field": "year", "operator": "in", "value": [2020, 2021]},
    {"field": "meta.year", "operator": "not in", "value": [2020, None]},
    {"field": "meta.of.team", "operator": "==", "value": "ops"},
    {"operator": "OR", "conditions": [COMPARED[0], COMPARED[2]]},
    {"operator": "NOT", "conditions": [{"operator": "OR", "conditions": COMPARED[:1]}]},
    {
        "operator": "AND",
        "conditions": [COMPARED[1], {"operator": "NOT", "conditions": COMPARED[2:3]}],
    },
]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_filters_mean_what_they_mean_in_haystack(
    store: LsrDocumentStore, filters: dict[str, Any]
) -> None:
    reference = InMemoryDocumentStore()
    reference.write_documents(NOTES)
    try:
        expected = sorted(ids(reference.filter_documents(filters)))
    except FilterError:  # nested logic is beyond the store in memory
        expected = {"NOT": ["a", "c"], "AND": ["c"]}[filters["operator"]]
    assert ids(store.filter_documents(filters)) == expected


@pytest.mark.parametrize(
    ("filters", "sentence"),
    [
        ([], "filters is of type list"),
        ({"operator": "XOR", "conditions": COMPARED}, "has the operator 'XOR'; there are AND, OR"),
        ({"operator": "AND", "conditions": []}, "filters.conditions is empty"),
        ({"operator": "AND", "conditions": [{}]}, "none of them empty"),
        ({"operator": "AND", "conditions": ["x"]}, r"filters.conditions\[0\] is of type str"),
        ({**COMPARED[0], "operator": "contains"}, "has the operator 'contains'; there are =="),
        ({**COMPARED[0], "boost": 2}, "filters has 'boost'; it takes field, operator, value only"),
        ({**COMPARED[0], "field": "content"}, "is of content; only metadata"),
        ({**COMPARED[0], "field": "meta.month"}, "no document has a metadata field 'month'"),
        ({**COMPARED[0], "value": [1]}, r"filters.value is \[1\]; == takes one value"),
        ({**COMPARED[2], "value": "soon"}, "soon"),
    ],
)
def test_filters_that_cannot_be_are_refused_by_name(
    store: LsrDocumentStore, filters: Any, sentence: str
) -> None:
    if filters == []:
        filters = [COMPARED[0]]
    with pytest.raises(FilterError, match=sentence):
        store.filter_documents(filters)
    with pytest.raises((FilterError, QueryError), match=sentence):
        LsrRetriever(store).run("keys", filters=filters)


def test_writing_follows_the_policy(store: LsrDocumentStore) -> None:
    twice = [Document(id="d", content="One."), Document(id="d", content="Two.")]
    assert store.write_documents(twice, DuplicatePolicy.SKIP) == 1
    assert store.filter_documents()[-1].content == "One."
    assert store.write_documents([*twice, NOTES[0]], DuplicatePolicy.OVERWRITE) == 2
    assert store.filter_documents()[-1].content == "Two."
    with pytest.raises(DuplicateDocumentError):
        store.write_documents([Document(id="e", content="x")] * 2, DuplicatePolicy.FAIL)
    assert store.write_documents([]) == 0
    store.delete_documents(["a", "d", "nothing"])
    assert ids(store.filter_documents()) == ["b", "c"]


def test_a_retriever_runs_alone_and_in_a_pipeline(store: LsrDocumentStore) -> None:
    retriever = LsrRetriever(store, top_k=2)
    (first, second) = retriever.run("rotating keys")["documents"]
    assert (first.id, first.content, first.meta) == ("a", "Keys rotate.", NOTES[0].meta)
    assert first.score > second.score > 0
    assert ids(retriever.run("rotating keys", top_k=1)["documents"]) == ["a"]
    found = retriever.run("keys doors", filters=COMPARED[0])["documents"]
    assert ids(found) == ["b"]
    assert ids(asyncio.run(retriever.run_async("closed"))["documents"]) == ["b"]
    merging = LsrRetriever(store, filters=COMPARED[1], filter_policy="merge")
    assert ids(merging.run("keys", filters=COMPARED[3])["documents"]) == ["a"]
    pipeline = Pipeline()
    pipeline.add_component("search", retriever)
    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["lsr.integrations.haystack"])
    assert ids(again.run({"search": {"query": "closed"}})["search"]["documents"]) == ["b"]


def test_modes_and_plans_are_the_collections(tmp_path: Path) -> None:
    both = lsr.build(DOCUMENTS, tmp_path / "both", sparse="bm25", dense=Topics())
    store = LsrDocumentStore(both)
    query = DOCUMENTS[0].text
    for given in ({"mode": "dense"}, {"fusion": {"method": "rrf"}}):
        hits = both.search(query, k=3, plan=lsr.plan_from(given)).hits
        retriever = LsrRetriever(store, top_k=3, plan=given)
        expected = [hit.document.doc_id for hit in hits]
        assert ids(retriever.run(query)["documents"]) == expected
        assert LsrRetriever.from_dict(retriever.to_dict()).plan == retriever.plan
    assert ids(LsrRetriever(store, top_k=3, mode="sparse").run(query)["documents"]) == [
        hit.document.doc_id for hit in both.search(query, k=3, mode="sparse").hits
    ]


def test_what_is_wrong_is_told_in_a_sentence(store: LsrDocumentStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the index is ''; give the folder"):
        LsrDocumentStore("")
    with pytest.raises(InputError, match="with the sparse model bm25, and doc-mini is asked for"):
        LsrDocumentStore(tmp_path / "notes", sparse="doc-mini")
    with pytest.raises(InputError, match="is of type InMemoryDocumentStore; give a LsrDocument"):
        LsrRetriever(InMemoryDocumentStore())
    with pytest.raises(QueryError, match="the query is empty"):
        LsrRetriever(store).run(" ")
    with pytest.raises(QueryError, match="lexical"):
        LsrRetriever(store, plan={"mode": "lexical"})
    wrong = [
        (Document(id="x", content="x", embedding=[0.5]), "has the field embedding"),
        (Document(id="x", blob=ByteStream(b"x")), "has no content"),
        (Document(id="x", content="x", meta={"when": {1}}), "metadata that JSON cannot hold"),
    ]
    for document, sentence in wrong:
        with pytest.raises(InputError, match=sentence):
            store.write_documents([document])
    empty = LsrDocumentStore(tmp_path / "new", sparse="bm25")
    assert LsrRetriever(empty).run("keys") == {"documents": []}
    assert store.collection is not None
    store.collection.close()
    with pytest.raises(IndexStateError, match="is closed; open it again"):
        store.count_documents()
