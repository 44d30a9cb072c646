"""The two sides of a collection as `Retriever`s: inverted lists, and dense vectors."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import repeat
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lsr.dense import DenseEncoder
from lsr.encoder import Encoder, EncoderIdentity
from lsr.errors import IndexVersionError, QueryError
from lsr.index.searcher import ExactSearcher, Ranking
from lsr.index.segment import Segment
from lsr.retriever import Retriever
from lsr.sparse import CSR
from lsr.types import Query, Run, ScoredDoc
from lsr.vectors import VectorIndex

__all__ = ["DenseRetriever", "Side", "SparseRetriever"]


class Side(Retriever, Protocol):
    """A retriever in two steps, so that each can be timed; queries go from one to the other."""

    def encode(self, texts: Sequence[str]) -> Any: ...

    def search(self, queries: Any, k: int, allowed: NDArray[np.bool_] | None = None) -> Ranking: ...

    def warm_up(self) -> None: ...


class SparseRetriever:
    """An encoder and the inverted lists of what it encoded."""

    def __init__(self, encoder: Encoder, searcher: ExactSearcher, segment: Segment) -> None:
        self._encoder = encoder
        self._name = encoder.identity.name
        self._searcher = searcher
        self._segment = segment

    @property
    def name(self) -> str:
        return self._name

    def encode(self, texts: Sequence[str]) -> CSR:
        """Query vectors, one row for each text."""
        return self._encoder.encode_queries(texts)

    def search(self, queries: CSR, k: int, allowed: NDArray[np.bool_] | None = None) -> Ranking:
        """As `ExactSearcher.search_batch`."""
        return self._searcher.search_batch(queries, k, allowed)

    def retrieve(
        self, queries: Sequence[Query], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Run:
        """See `Retriever`."""
        vectors = self.encode([query.text for query in queries])
        return _run(queries, self.search(vectors, k, allowed), self._segment)

    def warm_up(self) -> None:
        """Compile the kernels, or load them from Numba's cache."""
        self.encode(["warm up"])
        self._searcher.warm_up()


class DenseRetriever:
    """A dense model and the vectors that it made. The model is loaded with the first query.

    Raises:
        IndexVersionError: on loading, when the model's weights differ from those of the build.
        UnavailableError: on loading, when the packages it needs are not installed.
    """

    def __init__(self, identity: EncoderIdentity, vectors: VectorIndex, segment: Segment) -> None:
        self._identity = identity
        self._vectors = vectors
        self._segment = segment
        self._encoder: DenseEncoder | None = None
        self._loading = threading.Lock()

    @property
    def name(self) -> str:
        return self._identity.name

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Query vectors, shape (n_texts, dimension)."""
        with self._loading:
            if self._encoder is None:
                self._encoder = self._load()
        return self._encoder.encode_queries(texts)

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Ranking:
        """The `k` best rows by inner product, as `VectorIndex.search`.

        Raises:
            QueryError: `k` is below 1, or `allowed` has another length than the collection.
        """
        if k < 1:
            raise QueryError(f"k is {k}; ask for at least 1")
        if allowed is not None and allowed.shape != (self._segment.n_documents,):
            raise QueryError(
                f"the filter has shape {allowed.shape}; one flag for each of "
                f"{self._segment.n_documents} documents is needed"
            )
        return Ranking(*self._vectors.search(queries, k, allowed))

    def retrieve(
        self, queries: Sequence[Query], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Run:
        """See `Retriever`."""
        vectors = self.encode([query.text for query in queries])
        return _run(queries, self.search(vectors, k, allowed), self._segment)

    def warm_up(self) -> None:
        """Load the model."""
        self.encode(["warm up"])

    def _load(self) -> DenseEncoder:
        encoder = DenseEncoder(self._identity.name)
        if encoder.identity.sha256 != self._identity.sha256:
            raise IndexVersionError(
                f"the dense model {self._identity.name!r} is not the one that made the vectors "
                "of this index; build the index again"
            )
        return encoder


def _run(queries: Sequence[Query], ranking: Ranking, segment: Segment) -> Run:
    run: Run = {}
    for query, rows, scores in zip(queries, ranking.rows, ranking.scores, strict=True):
        n_hits = int(np.count_nonzero(rows >= 0))
        doc_ids = segment.doc_ids(rows[:n_hits])
        lines = zip(repeat(query.query_id), doc_ids, scores[:n_hits].tolist(), strict=False)
        run[query.query_id] = list(map(ScoredDoc._make, lines))
    return run
