"""A collection opened for reading: documents, both sides of search, and one `search` call."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lsr.bm25 import Bm25Encoder
from lsr.encoder import Encoder
from lsr.errors import IndexCorruptError, IndexVersionError, NotFoundError, QueryError
from lsr.index.builder import ENCODER_FOLDER, GRAPH_FILE, SEGMENT_FOLDER, STORE_FILE
from lsr.index.manifest import Manifest
from lsr.index.retrievers import DenseRetriever, Side, SparseRetriever
from lsr.index.searcher import ExactSearcher
from lsr.index.segment import Segment
from lsr.index.store import DocumentStore
from lsr.types import Document
from lsr.vectors import VectorIndex

__all__ = ["DEFAULT_K", "Answer", "Collection", "Hit", "Mode"]

Mode = Literal["sparse", "dense"]
DEFAULT_K = 10
_LOADERS = {"bm25": Bm25Encoder.load}


@dataclass(frozen=True)
class Hit:
    """A found document and its score."""

    document: Document
    score: float


@dataclass(frozen=True)
class Answer:
    """What a search gives.

    Attributes:
        hits: best first: score descending, equal scores by doc_id.
        took_ms: milliseconds by stage: filter, encode, search, fetch, total.
    """

    text: str
    mode: str
    hits: tuple[Hit, ...]
    took_ms: dict[str, float]


class Collection:
    """One generation of a collection; it keeps it while newer ones are published.

    Args:
        path: the collection's folder.
        verify: compare every file with its checksum first. Leave it on unless the files are
            trusted: a damaged index may give wrong answers.

    Raises:
        IndexMissingError, IndexVersionError, IndexCorruptError: the folder cannot be used.
    """

    def __init__(self, path: Path, *, verify: bool = True) -> None:
        self.path = path
        while True:
            self.manifest = Manifest.read(path)
            try:
                self._open(verify)
                return
            except IndexCorruptError:
                if Manifest.read(path).generation == self.manifest.generation:
                    raise

    def _open(self, verify: bool) -> None:
        if verify:
            for damage in self.manifest.damage(self.path):
                raise IndexCorruptError(f"{damage}; restore it from a copy, or build again")
        folder = self.path / self.manifest.folder
        kind = self.manifest.sparse.kind
        if kind not in _LOADERS:
            raise IndexVersionError(f"{self.path} needs an encoder {kind!r} that this lsr lacks")
        self.segment = Segment.load(folder / SEGMENT_FOLDER)
        self.encoder: Encoder = _LOADERS[kind](folder / ENCODER_FOLDER)
        self.store = DocumentStore(folder / STORE_FILE)
        self.sparse = SparseRetriever(self.encoder, ExactSearcher(self.segment), self.segment)
        self._graph = folder / SEGMENT_FOLDER / GRAPH_FILE
        self._dense: DenseRetriever | None = None

    @property
    def n_documents(self) -> int:
        return self.manifest.n_documents

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes this collection can be searched in."""
        return ("sparse", "dense") if self.manifest.dense else ("sparse",)

    @property
    def dense(self) -> DenseRetriever:
        """The dense side; the model is loaded when this is first used.

        Raises:
            QueryError: the collection was built without one.
            UnavailableError: what it needs is not installed.
        """
        if self.manifest.dense is None:
            raise QueryError(
                f"{self.path} has no dense vectors; build it again with --dense, or search sparse"
            )
        if self._dense is None:
            vectors = VectorIndex(
                self.segment.vectors,
                self.segment.tie_order,
                self._graph if self._graph.exists() else None,
            )
            self._dense = DenseRetriever(self.manifest.dense, vectors, self.segment)
        return self._dense

    def retriever(self, mode: str) -> Side:
        """The side that `mode` names. Raises QueryError when there is no such mode."""
        if mode not in get_args(Mode):
            raise QueryError(f"mode {mode!r} is not one of {', '.join(get_args(Mode))}")
        return self.sparse if mode == "sparse" else self.dense

    def warm_up(self, mode: str = "sparse") -> None:
        """Do now what would slow the first search down: compile kernels, load models."""
        self.retriever(mode).warm_up()

    def search(
        self,
        text: str,
        *,
        k: int | None = None,
        offset: int = 0,
        mode: str = "sparse",
        where: Mapping[str, object] | None = None,
    ) -> Answer:
        """Search, and fetch the documents found.

        Args:
            text: the query. One without known terms gives an empty answer.
            k: hits wanted, at most the number of documents; by default 10, or fewer if there are.
            offset: hits to leave out at the front. Pages put together are one long answer.
            mode: "sparse" or "dense".
            where: metadata values that every hit must have.

        Raises:
            QueryError: `text` is blank, `k` or `offset` is out of range, there is no such mode
                here, or `where` names an unknown field.
        """
        begin = time.perf_counter()
        if not text.strip():
            raise QueryError("the query is empty; write at least one word")
        k = min(DEFAULT_K, self.n_documents) if k is None else k
        if not 1 <= k <= self.n_documents:
            raise QueryError(
                f"{k} hits were asked for and the collection has {self.n_documents:,} documents; "
                f"ask for 1 to {self.n_documents:,}"
            )
        if offset < 0:
            raise QueryError(f"the offset is {offset}; it must be 0 or more")
        retriever = self.retriever(mode)
        allowed = self._mask(where)
        filtered = time.perf_counter()
        query = retriever.encode([text])
        encoded = time.perf_counter()
        depth = min(offset + k, self.n_documents)
        ranking = retriever.search(query, depth, allowed)
        searched = time.perf_counter()
        rows = ranking.rows[0, offset:]
        rows = rows[rows >= 0].tolist()
        scores = ranking.scores[0, offset:].tolist()
        documents = self.store.documents(rows)
        page = [Hit(document, score) for document, score in zip(documents, scores, strict=False)]
        fetched = time.perf_counter()
        took_ms = {
            "filter": (filtered - begin) * 1e3,
            "encode": (encoded - filtered) * 1e3,
            "search": (searched - encoded) * 1e3,
            "fetch": (fetched - searched) * 1e3,
            "total": (fetched - begin) * 1e3,
        }
        return Answer(text, mode, tuple(page), took_ms)

    def document(self, doc_id: str) -> Document:
        """A document by id. Raises NotFoundError when there is none."""
        row = self.store.row(doc_id)
        if row is None:
            raise NotFoundError(f"there is no document {doc_id!r} in {self.path.name}")
        return self.store.document(row)

    def close(self) -> None:
        """Close the database. Searches that are running fail."""
        self.store.close()

    def _mask(self, where: Mapping[str, object] | None) -> NDArray[np.bool_] | None:
        return self.store.mask(where) if where else None
