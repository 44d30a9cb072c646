"""LangChain: a collection as a retriever, and as a vector store that takes texts.

    LsrRetriever(index="my-index", k=5).invoke("how to rotate a key")
    LsrVectorStore.from_texts(texts, index="my-index", sparse="bm25").as_retriever()

A LangChain document is a document here, under its id; metadata comes back as it was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn
from uuid import uuid4

import lsr
from lsr.errors import InputError, QueryError
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
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.vectorstores import VectorStore
    from pydantic import ConfigDict, field_validator
except ImportError as error:
    raise missing("langchain-core", "langchain") from error

__all__ = ["LsrRetriever", "LsrVectorStore"]

_DEFAULT_K = 4
"""Hits of a vector store; every store of LangChain's has this default."""


class LsrRetriever(BaseRetriever):
    """A collection as a retriever of LangChain's; `invoke` takes its settings too, but `index`.

    Args:
        index: a folder, or what `lsr.open` returns.
        k: hits wanted.
        mode, where, plan: of every search, as `lsr.Collection.search` takes them.

    Raises:
        IndexStateError: there is no collection in the folder, or it cannot be read.
        QueryError: from `invoke`: the query or the filter is wrong.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    index: Index
    k: int = 10
    mode: Mode | None = None
    where: Mapping[str, Any] | None = None
    plan: Any = None

    @field_validator("index")
    @classmethod
    def _opened(cls, index: Index) -> lsr.Collection:
        return opened(index)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        mode: Mode | None = None,
        where: Mapping[str, Any] | None = None,
        plan: lsr.SearchPlan | None = None,
    ) -> list[Document]:
        found = _search(
            self.index,
            query,
            self.k if k is None else k,
            mode or self.mode,
            self.where if where is None else where,
            plan or self.plan,
        )
        return [document for document, _ in found]


class LsrVectorStore(VectorStore):
    """A collection that takes texts and finds them: sparse, dense or both, by its own models.

    Methods that begin with `a` run the others in a thread.

    Args:
        index: a folder, whose collection the first texts build, or what `lsr.open` returns.
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
        """The collection, or None before the first texts."""
        return self._handle.collection

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        embedding: None = None,
        metadatas: Sequence[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        index: Index,
        sparse: str | None = None,
        dense: str | None = None,
    ) -> LsrVectorStore:
        """A store of these texts; if `index` is there, they are added to it.

        Args:
            embedding: must be None: vectors are made by the collection's models.
            metadatas, ids: of each text, in their order. Default: none, and new ids.

        Raises:
            InputError: an embedding is given, or other numbers of metadata or ids than of texts.
        """
        if embedding is not None:
            raise InputError(
                "a store of lsr makes its vectors by its own models and takes no embedding; give "
                "None, and name models by sparse and dense"
            )
        store = cls(index, sparse=sparse, dense=dense)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: Sequence[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
    ) -> list[str]:
        """Add texts; one whose id is there replaces it. `add_documents` does the same.

        Returns:
            Their ids.

        Raises:
            InputError: other numbers of metadata or ids than of texts, an id twice, or metadata
                that JSON cannot hold.
        """
        given = list(texts)
        for name, values in (("metadatas", metadatas), ("ids", ids)):
            if values is not None and len(values) != len(given):
                raise InputError(f"there are {len(given)} texts and {len(values)} {name}")
        known = [each or uuid4().hex for each in ids or [None] * len(given)]
        about = [each or {} for each in metadatas or [{}] * len(given)]
        self._handle.add(map(record, known, given, about))
        return known

    def delete(self, ids: Sequence[str] | None = None) -> bool:
        """Delete documents by id, those that are there; all documents without ids."""
        if ids is None:
            everything = documents_of(self.collection) if self.collection is not None else ()
            ids = [document.doc_id for document in everything]
        self._handle.delete(ids)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents of these ids, those that are there."""
        return list(map(_document, self._handle.get(ids)))

    def similarity_search(
        self,
        query: str,
        k: int = _DEFAULT_K,
        *,
        mode: Mode | None = None,
        where: Mapping[str, Any] | None = None,
        plan: lsr.SearchPlan | None = None,
    ) -> list[Document]:
        """The k best documents; the options are those of `lsr.Collection.search`.

        Raises:
            QueryError: the query or the filter is wrong.
        """
        found = self.similarity_search_with_score(query, k, mode=mode, where=where, plan=plan)
        return [document for document, _ in found]

    def similarity_search_with_score(
        self,
        query: str,
        k: int = _DEFAULT_K,
        *,
        mode: Mode | None = None,
        where: Mapping[str, Any] | None = None,
        plan: lsr.SearchPlan | None = None,
    ) -> list[tuple[Document, float]]:
        """The same with scores: greater is better, without a greatest for sparse ones."""
        if self.collection is None:
            return []
        return _search(self.collection, query, k, mode, where, plan)

    def _select_relevance_score_fn(self) -> NoReturn:
        raise QueryError(
            "sparse scores have no greatest, so there is no relevance from 0 to 1; use "
            "similarity_search_with_score"
        )

    def similarity_search_by_vector(self, embedding: list[float], k: int = _DEFAULT_K) -> NoReturn:
        """Refused: vectors of other models mean nothing here."""
        raise QueryError(
            "a store of lsr is searched by text; for a vector of the collection's own dense model, "
            "use store.collection.search(dense_vector=...)"
        )

    def max_marginal_relevance_search(
        self, query: str, k: int = _DEFAULT_K, fetch_k: int = 20, lambda_mult: float = 0.5
    ) -> NoReturn:
        """Refused: it needs the dense vectors of hits."""
        raise QueryError(
            "max_marginal_relevance_search is not there for a store of lsr; use similarity_search"
        )


def _search(
    collection: lsr.Collection,
    query: str,
    k: int,
    mode: Mode | None,
    where: Mapping[str, Any] | None,
    plan: lsr.SearchPlan | None,
) -> list[tuple[Document, float]]:
    answer = collection.search(query, k=k, mode=mode, where=where, plan=plan)
    return [(_document(hit.document), hit.score) for hit in answer.hits]


def _document(document: lsr.Document) -> Document:
    return Document(page_content=document.text, metadata=fields_of(document), id=document.doc_id)
