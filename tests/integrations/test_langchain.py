"""LangChain's retriever and vector store over a collection, with the real langchain-core."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import lsr
from lsr.errors import IndexMissingError, IndexStateError, InputError, QueryError

pytest.importorskip("langchain_core", reason="the package langchain-core is not installed")

from langchain_core.documents import Document
from pydantic import ValidationError

from lsr.integrations.langchain import LsrRetriever, LsrVectorStore
from tests.support.hybrid_corpus import DOCUMENTS, Topics

TEXTS = ["Keys rotate.", "Doors are closed.", "Keys open doors."]
ABOUT: list[dict[str, object]] = [
    {"year": 2026, "title": "Keys"},
    {"year": 2020},
    {"year": 2023, "tags": ["a", "b"]},
]


@pytest.fixture
def store(tmp_path: Path) -> LsrVectorStore:
    return LsrVectorStore.from_texts(
        TEXTS, None, ABOUT, ids=["a", "b", "c"], index=tmp_path / "notes", sparse="bm25"
    )


@pytest.fixture
def index(store: LsrVectorStore) -> lsr.Collection:
    assert store.collection is not None
    return store.collection


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


def test_a_retriever_finds_with_its_metadata(index: lsr.Collection) -> None:
    retriever = LsrRetriever(index=index, k=2)
    found = retriever.invoke("rotating keys")
    assert ids(found) == ["a", "c"]
    assert found[0] == Document(page_content="Keys rotate.", metadata=ABOUT[0], id="a")
    assert ids(asyncio.run(retriever.ainvoke("rotating keys"))) == ["a", "c"]
    assert [ids(each) for each in retriever.batch(["rotate", "closed"])] == [["a"], ["b"]]


def test_settings_are_of_the_retriever_or_of_a_call(index: lsr.Collection) -> None:
    late = LsrRetriever(index=str(index.path), where={"year": {"gte": 2023}}, mode="sparse")
    assert ids(late.invoke("doors")) == ["c"]
    assert ids(late.invoke("doors", where={"year": 2020}, k=1)) == ["b"]
    with pytest.raises(TypeError, match="unexpected keyword argument 'limit'"):
        late.invoke("doors", limit=3)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        LsrRetriever(index=index, filter={})


def test_a_plan_decides_the_search(tmp_path: Path) -> None:
    both = lsr.build(DOCUMENTS, tmp_path / "both", sparse="bm25", dense=Topics())
    query = DOCUMENTS[0].text
    plan = lsr.plan_from({"mode": "hybrid", "fusion": {"method": "rrf"}})
    expected = [hit.document.doc_id for hit in both.search(query, k=3, plan=plan).hits]
    assert ids(LsrRetriever(index=both, k=3, plan=plan).invoke(query)) == expected
    dense = [hit.document.doc_id for hit in both.search(query, k=3, mode="dense").hits]
    assert ids(LsrRetriever(index=both, k=3, mode="dense").invoke(query)) == dense


def test_a_store_adds_replaces_and_deletes(store: LsrVectorStore, index: lsr.Collection) -> None:
    texts = [Document(page_content="Keys are cut."), Document(page_content="Locks.", id="a")]
    (made, known) = store.add_documents(texts)
    assert known == "a"
    assert set(ids(store.get_by_ids([made, "a", "nothing"]))) == {made, "a"}
    assert ids(store.similarity_search("lock")) == ["a"]
    assert store.delete([made, "nothing"])
    assert ids(store.get_by_ids([made])) == []
    assert len(index) == 3
    assert store.delete()
    assert len(index) == 0
    assert store.add_texts([]) == []


def test_a_store_searches_with_scores_and_as_a_retriever(store: LsrVectorStore) -> None:
    assert store.collection is not None
    scored = store.similarity_search_with_score("keys", k=2)
    hits = store.collection.search("keys", k=2).hits
    assert [(found.id, score) for found, score in scored] == [
        (hit.document.doc_id, hit.score) for hit in hits
    ]
    late = store.as_retriever(search_kwargs={"k": 1, "where": {"tags": "b"}})
    assert ids(late.invoke("keys")) == ["c"]
    assert ids(asyncio.run(store.asimilarity_search("closed"))) == ["b"]


def test_a_store_of_documents_is_there_again(store: LsrVectorStore, tmp_path: Path) -> None:
    again = LsrVectorStore.from_documents(
        [Document(page_content="Locks.")], None, index=tmp_path / "notes"
    )
    assert again.collection is not None
    assert len(again.collection) == 4
    empty = LsrVectorStore(tmp_path / "new", sparse="bm25")
    assert empty.collection is None
    assert empty.similarity_search("keys") == empty.get_by_ids(["a"]) == []
    assert empty.delete()


def test_what_is_wrong_is_told_in_a_sentence(store: LsrVectorStore, tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError, match="make one with: lsr index build"):
        LsrRetriever(index=tmp_path / "nothing")
    with pytest.raises(InputError, match="the index is of type int"):
        LsrRetriever(index=3)
    with pytest.raises(InputError, match="with the sparse model bm25, and doc-mini is asked for"):
        LsrVectorStore(tmp_path / "notes", sparse="doc-mini")
    with pytest.raises(InputError, match="with the dense model none, and all-MiniLM"):
        LsrVectorStore(tmp_path / "notes", dense="all-MiniLM-L6-v2")
    with pytest.raises(InputError, match="takes no embedding"):
        LsrVectorStore.from_texts(TEXTS, object(), index=tmp_path / "x")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="there are 3 texts and 1 ids"):
        store.add_texts(TEXTS, ids=["a"])
    with pytest.raises(InputError, match="metadata that JSON cannot hold"):
        store.add_texts(["x"], [{"when": {1, 2}}])
    with pytest.raises(QueryError, match="has the condition 'like'"):
        store.similarity_search("keys", where={"year": {"like": 2}})
    with pytest.raises(QueryError, match="no relevance from 0 to 1"):
        store.similarity_search_with_relevance_scores("keys")
    with pytest.raises(QueryError, match="max_marginal_relevance_search is not there"):
        store.as_retriever(search_type="mmr").invoke("keys")
    with pytest.raises(QueryError, match="is searched by text"):
        store.similarity_search_by_vector([0.1])
    assert store.collection is not None
    retriever = LsrRetriever(index=store.collection)
    store.collection.close()
    for call in (lambda: retriever.invoke("keys"), lambda: store.add_texts(["x"]), store.delete):
        with pytest.raises(IndexStateError, match="is closed; open it again"):
            call()
