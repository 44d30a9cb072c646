"""LlamaIndex's retriever, and a store of nodes, over a collection, with the real package."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import lsr
from lsr.errors import IndexMissingError, IndexStateError, InputError, QueryError

pytest.importorskip("llama_index.core", reason="the package llama-index-core is not installed")

from llama_index.core.schema import (
    Document,
    NodeRelationship,
    NodeWithScore,
    RelatedNodeInfo,
    TextNode,
)

from lsr.integrations.llamaindex import LsrNodeStore, LsrRetriever
from tests.support.hybrid_corpus import DOCUMENTS, Topics

HANDBOOK = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="handbook")}
NODES = [
    TextNode(
        id_="a",
        text="Keys rotate.",
        metadata={"year": 2026, "title": "Keys"},
        relationships=HANDBOOK,
        start_char_idx=10,
        end_char_idx=22,
    ),
    TextNode(id_="b", text="Doors are closed.", metadata={"year": 2020}, relationships=HANDBOOK),
    TextNode(id_="c", text="Keys open doors.", metadata={"tags": ["x", "y"]}),
]


@pytest.fixture
def store(tmp_path: Path) -> LsrNodeStore:
    made = LsrNodeStore(tmp_path / "notes", sparse="bm25")
    assert made.add(NODES) == ["a", "b", "c"]
    return made


def ids(found: list[NodeWithScore]) -> list[str]:
    return [each.node.node_id for each in found]


def test_nodes_are_found_as_they_were_given(store: LsrNodeStore) -> None:
    retriever = store.as_retriever(k=2)
    found = retriever.retrieve("rotating keys")
    assert ids(found) == ["a", "c"]
    assert found[0].node == NODES[0]
    hits = store.collection.search("rotating keys", k=2).hits
    assert [each.score for each in found] == [hit.score for hit in hits]
    assert ids(asyncio.run(retriever.aretrieve("closed"))) == ["b"]
    late = store.as_retriever(where={"year": {"gte": 2021}}, mode="sparse")
    assert ids(late.retrieve("keys and doors")) == ["a"]


def test_a_store_replaces_and_deletes(store: LsrNodeStore) -> None:
    store.add([TextNode(id_="c", text="Locks.")])
    assert [node.text for node in store.get_nodes(["c", "nothing"])] == ["Locks."]
    store.delete("handbook")
    assert len(store.collection) == 1
    store.delete_nodes(["c", "nothing"])
    assert len(store.collection) == 0
    store.delete("handbook")
    assert store.add([]) == []


def test_documents_that_are_no_nodes_come_as_text_nodes(tmp_path: Path) -> None:
    both = lsr.build(DOCUMENTS, tmp_path / "both", sparse="bm25", dense=Topics())
    query = DOCUMENTS[0].text
    plan = lsr.plan_from({"fusion": {"method": "rrf"}})
    hits = both.search(query, k=3, plan=plan).hits
    found = LsrRetriever(both, k=3, plan=plan).retrieve(query)
    assert ids(found) == [hit.document.doc_id for hit in hits]
    first = hits[0].document
    assert found[0].node == TextNode(
        id_=first.doc_id, text=first.text, metadata={"title": first.title, **first.metadata}
    )
    dense = [hit.document.doc_id for hit in both.search(query, k=3, mode="dense").hits]
    assert ids(LsrRetriever(str(both.path), k=3, mode="sparse").retrieve(query)) != []
    assert ids(LsrRetriever(both, k=3, mode="dense").retrieve(query)) == dense
    LsrNodeStore(both).delete("handbook")
    assert len(both) == len(DOCUMENTS)


def test_what_is_wrong_is_told_in_a_sentence(store: LsrNodeStore, tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError, match="make one with: lsr index build"):
        LsrRetriever(tmp_path / "nothing")
    with pytest.raises(IndexMissingError, match="new does not exist"):
        LsrNodeStore(tmp_path / "new", sparse="bm25").as_retriever()
    with pytest.raises(InputError, match="with the sparse model bm25, and doc-mini is asked for"):
        LsrNodeStore(tmp_path / "notes", sparse="doc-mini")
    wrong = [
        (Document(id_="x", text="x"), "the node 'x' is a Document; only text nodes"),
        (TextNode(id_="x", text="x", embedding=[0.5]), "the node 'x' has an embedding"),
    ]
    for node, sentence in wrong:
        with pytest.raises(InputError, match=sentence):
            store.add([node])
    with pytest.raises(QueryError, match="has the condition 'like'"):
        store.as_retriever(where={"year": {"like": 2}}).retrieve("keys")
    with pytest.raises(QueryError, match="the query is empty"):
        store.as_retriever().retrieve(" ")
    retriever = store.as_retriever()
    store.collection.close()
    for call in (lambda: retriever.retrieve("keys"), lambda: store.add(NODES)):
        with pytest.raises(IndexStateError, match="is closed; open it again"):
            call()
