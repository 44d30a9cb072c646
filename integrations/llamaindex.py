"""LlamaIndex: a collection as a retriever, and as a store that takes nodes.

    store = LsrNodeStore("my-index", sparse="bm25")
    store.add(nodes)
    store.as_retriever(k=5).retrieve("how to rotate a key")

A node is a document here, under its id, and comes back as it was. Documents that are no nodes
come back as text nodes with their metadata.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import lsr
from lsr.errors import InputError
from lsr.integrations.handle import (
    Handle,
    Index,
    Mode,
    documents_of,
    fields_of,
    missing,
    opened,
    record,
)

try:
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle, TextNode
    from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict
except ImportError as error:
    raise missing("llama-index-core", "llamaindex") from error

__all__ = ["LsrNodeStore", "LsrRetriever"]

_NODE = "_node_content"
"""Metadata in which LlamaIndex's own stores keep what else a node has."""


class LsrRetriever(BaseRetriever):
    """A collection as a retriever of LlamaIndex's.

    Args:
        index: a folder, or what `lsr.open` returns.
        k: hits wanted.
        mode, where, plan: of every search, as `lsr.Collection.search` takes them.

    Raises:
        IndexStateError: there is no collection in the folder, or it cannot be read.
        QueryError: from `retrieve`: the query or the filter is wrong.
    """

    def __init__(
        self,
        index: Index,
        *,
        k: int = 10,
        mode: Mode | None = None,
        where: Mapping[str, Any] | None = None,
        plan: lsr.SearchPlan | None = None,
    ) -> None:
        super().__init__()
        self.index = opened(index)
        self.k = k
        self.mode = mode
        self.where = where
        self.plan = plan

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        answer = self.index.search(
            query_bundle.query_str, k=self.k, mode=self.mode, where=self.where, plan=self.plan
        )
        return [NodeWithScore(node=_node(hit.document), score=hit.score) for hit in answer.hits]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


class LsrNodeStore:
    """A collection that takes nodes, as a splitter makes them; its own models make vectors.

    Args:
        index: a folder, whose collection the first nodes build, or what `lsr.open` returns.
        sparse, dense: models of a collection that is built, as `lsr.build` takes them.

    Raises:
        InputError: the collection is there, and has vectors of other models.
    """

    def __init__(
        self, index: Index, *, sparse: str | None = None, dense: str | None = None
    ) -> None:
        self._handle = Handle(index, sparse, dense)

    @property
    def collection(self) -> lsr.Collection:
        """The collection. Raises IndexMissingError before the first nodes."""
        return self._handle.collection or opened(self._handle.path)

    def add(self, nodes: Sequence[BaseNode]) -> list[str]:
        """Add nodes; one whose id is there replaces it.

        Returns:
            Their ids.

        Raises:
            InputError: a node is no text node or has an embedding, an id comes twice, or metadata
                is not JSON.
        """
        self._handle.add(list(map(_stored, nodes)))
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str) -> None:
        """Delete the nodes that were cut from a document."""
        fields = self.collection.reader.metadata.fields
        if "ref_doc_id" in fields:
            nodes = documents_of(self.collection, {"ref_doc_id": ref_doc_id})
            self.delete_nodes([node.doc_id for node in nodes])

    def delete_nodes(self, node_ids: Sequence[str]) -> None:
        """Delete the nodes of these ids that are there."""
        self._handle.delete(node_ids)

    def get_nodes(self, node_ids: Sequence[str]) -> list[BaseNode]:
        """The nodes of these ids that are there."""
        return list(map(_node, self._handle.get(node_ids)))

    def as_retriever(
        self,
        *,
        k: int = 10,
        mode: Mode | None = None,
        where: Mapping[str, Any] | None = None,
        plan: lsr.SearchPlan | None = None,
    ) -> LsrRetriever:
        """A retriever over the collection. Raises IndexMissingError before the first nodes."""
        return LsrRetriever(self.collection, k=k, mode=mode, where=where, plan=plan)


def _stored(node: BaseNode) -> lsr.Document:
    if not isinstance(node, TextNode):
        raise InputError(
            f"the node {getattr(node, 'node_id', node)!r} is a {type(node).__name__}; only text "
            "nodes are searched"
        )
    if node.embedding is not None:
        raise InputError(
            f"the node {node.node_id!r} has an embedding, which is not stored: vectors are made by "
            "the collection's own models; leave it out"
        )
    metadata = node_to_metadata_dict(node, remove_text=True)
    return record(node.node_id, node.text, metadata)


def _node(document: lsr.Document) -> BaseNode:
    if _NODE in document.metadata:
        return metadata_dict_to_node(dict(document.metadata), text=document.text)
    return TextNode(id_=document.doc_id, text=document.text, metadata=fields_of(document))
