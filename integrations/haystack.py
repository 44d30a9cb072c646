"""Haystack: a collection as a document store, and the retriever over it.

    store = LsrDocumentStore("my-index", sparse="bm25")
    LsrRetriever(store, top_k=5).run("how to rotate a key")["documents"]

A Haystack document is a document here, under its id; meta comes back as it was given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import lsr
from lsr.errors import InputError, QueryError
from lsr.integrations.handle import (
    Handle,
    Index,
    Mode,
    documents_of,
    fields_of,
    missing,
    record,
)
from lsr.integrations.haystack_filters import where_of

try:
    from haystack import Document, component, default_from_dict, default_to_dict
    from haystack.document_stores.errors import DuplicateDocumentError
    from haystack.document_stores.types import DuplicatePolicy, FilterPolicy
    from haystack.errors import FilterError
except ImportError as error:
    raise missing("haystack-ai", "haystack") from error

__all__ = ["LsrDocumentStore", "LsrRetriever"]

_DEFAULT_K = 10
"""Hits of a retriever; every retriever of Haystack's has this default."""


class LsrDocumentStore:
    """A collection as a document store.

    Args:
        index: a folder, whose collection the first documents build, or what `lsr.open` returns.
        sparse, dense: models of a collection that is built, as `lsr.build` takes them.

    Raises:
        InputError: the collection is there, and has vectors of other models.
    """

    def __init__(
        self, index: Index, *, sparse: str | None = None, dense: str | None = None
    ) -> None:
        self._handle = Handle(index, sparse, dense)

    @property
    def collection(self) -> lsr.Collection | None:
        """The collection, or None before the first documents."""
        return self._handle.collection

    def to_dict(self) -> dict[str, Any]:
        """The folder and the models, for pipelines in YAML."""
        handle = self._handle
        return default_to_dict(
            self, index=str(handle.path), sparse=handle.sparse, dense=handle.dense
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LsrDocumentStore:
        """The store of `to_dict`."""
        return default_from_dict(cls, data)

    def count_documents(self) -> int:
        """Documents that can be found."""
        return 0 if self.collection is None else len(self.collection)

    def filter_documents(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """Documents that pass a filter of Haystack's, or all, in the order of their ids.

        Raises:
            FilterError: the filter is malformed, is of other than metadata, or of a field that no
                document has.
        """
        where = _where(filters)
        if self.collection is None:
            return []
        try:
            return [_document(each) for each in documents_of(self.collection, where)]
        except QueryError as error:
            raise FilterError(str(error)) from error

    def write_documents(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """Add documents; the collection's models make their vectors.

        Args:
            documents: with text, and without embeddings of other models. Scores, which are of
                searches, are not stored.
            policy: what is done with ids that are there, or come twice; NONE is FAIL.

        Returns:
            How many were written.

        Raises:
            ValueError: these are no Haystack documents.
            DuplicateDocumentError: an id is there, or comes twice, under FAIL; nothing is written.
            InputError: a document has no text or brings vectors, or its meta is not JSON.
        """
        if not isinstance(documents, list) or not all(isinstance(d, Document) for d in documents):
            raise ValueError("documents must be a list of haystack.Document")
        given: dict[str, lsr.Document] = {}
        there = {document.doc_id for document in self._handle.get([d.id for d in documents])}
        for document in documents:
            if document.id in there or document.id in given:
                if policy in (DuplicatePolicy.NONE, DuplicatePolicy.FAIL):
                    raise DuplicateDocumentError(
                        f"the document {document.id!r} is there already, or comes twice; nothing "
                        "was written; choose the policy SKIP or OVERWRITE"
                    )
                if policy is DuplicatePolicy.SKIP:
                    continue
            given[document.id] = _stored(document)
        self._handle.add(given.values())
        return len(given)

    def delete_documents(self, document_ids: list[str]) -> None:
        """Delete the documents of these ids that are there."""
        self._handle.delete(document_ids)

    def search(
        self,
        query: str,
        top_k: int,
        filters: dict[str, Any] | None,
        mode: Mode | None,
        plan: lsr.SearchPlan | None,
    ) -> list[Document]:
        """The best documents, with scores; see `LsrRetriever`.

        Raises:
            FilterError: as `filter_documents`.
            QueryError: the query is empty, or does not fit the collection.
        """
        where = _where(filters)
        if self.collection is None:
            return []
        answer = self.collection.search(query, k=top_k, mode=mode, where=where, plan=plan)
        return [_document(hit.document, hit.score) for hit in answer.hits]


@component
class LsrRetriever:
    """A component that searches a store: sparse, dense or both.

    Args:
        document_store: what is searched.
        filters, top_k: of every run that brings none.
        mode: sparse, dense or hybrid; default: all that the collection has.
        filter_policy: whether filters of a run replace those here, or both must pass.
        plan: a `lsr.SearchPlan`, or its fields in a dictionary; default: the collection's own.

    Raises:
        InputError: this is no store of lsr.
        QueryError: the plan is wrong.
    """

    def __init__(
        self,
        document_store: LsrDocumentStore,
        *,
        filters: dict[str, Any] | None = None,
        top_k: int = _DEFAULT_K,
        mode: Mode | None = None,
        filter_policy: FilterPolicy | str = FilterPolicy.REPLACE,
        plan: lsr.SearchPlan | Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(document_store, LsrDocumentStore):
            raise InputError(
                f"the document_store is of type {type(document_store).__name__}; give a "
                "LsrDocumentStore"
            )
        self.document_store = document_store
        self.filters = filters
        self.top_k = top_k
        self.mode = mode
        self.filter_policy = (
            FilterPolicy.from_str(filter_policy)
            if isinstance(filter_policy, str)
            else filter_policy
        )
        self.plan = lsr.plan_from(plan) if isinstance(plan, Mapping) else plan

    def to_dict(self) -> dict[str, Any]:
        """The settings, for pipelines in YAML."""
        return default_to_dict(
            self,
            document_store=self.document_store.to_dict(),
            filters=self.filters,
            top_k=self.top_k,
            mode=self.mode,
            filter_policy=self.filter_policy.value,
            plan=None if self.plan is None else asdict(self.plan),
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LsrRetriever:
        """The component of `to_dict`."""
        given = dict(data["init_parameters"])
        given["document_store"] = LsrDocumentStore.from_dict(given["document_store"])
        return default_from_dict(cls, {**data, "init_parameters": given})

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The best documents of a query, under `documents`.

        Raises:
            FilterError, QueryError: see `LsrDocumentStore.search`.
        """
        chosen = self._filters(filters)
        k = self.top_k if top_k is None else top_k
        return {"documents": self.document_store.search(query, k, chosen, self.mode, self.plan)}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The same, in a thread."""
        return await asyncio.to_thread(self.run, query, filters, top_k)

    def _filters(self, given: dict[str, Any] | None) -> dict[str, Any] | None:
        # Haystack's own merging drops one of two conditions on the same field
        if self.filter_policy is FilterPolicy.MERGE and self.filters and given:
            return {"operator": "AND", "conditions": [self.filters, given]}
        return given or self.filters


def _where(filters: dict[str, Any] | None) -> dict[str, Any] | None:
    try:
        return where_of(filters or {}) or None
    except QueryError as error:
        raise FilterError(str(error)) from error


def _stored(document: Document) -> lsr.Document:
    if document.content is None:
        raise InputError(f"the document {document.id!r} has no content; only text is searched")
    for name in ("blob", "embedding", "sparse_embedding"):
        if getattr(document, name) is not None:
            raise InputError(
                f"the document {document.id!r} has the field {name}, which is not stored: vectors "
                "are made by the collection's own models; leave it out"
            )
    return record(document.id, document.content, document.meta)


def _document(document: lsr.Document, score: float | None = None) -> Document:
    return Document(
        id=document.doc_id, content=document.text, meta=fields_of(document), score=score
    )
