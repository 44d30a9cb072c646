"""The two sides of a collection, and the hybrid of both, as `Retriever`s."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.datasets.vectors.open import write_vectors
from lsr.encoders.corpus.word_mask import word_mask
from lsr.encoders.dense import open_dense_encoder
from lsr.encoders.dense_recipe import DenseOptions, similarity_of
from lsr.encoders.protocols import DenseEncoder, Encoder
from lsr.errors import IndexVersionError, InputError
from lsr.index.collection.multi_searcher import MultiDenseIndex
from lsr.index.collection.multi_segment import AnySegment
from lsr.index.collection.multi_store import AnyStore
from lsr.index.collection.segment_reader import AnyDenseIndex, Searcher
from lsr.index.search.batch import check_k, check_mask
from lsr.index.search.passages import best_places, joined
from lsr.retrieval.hybrid import HybridQuery, HybridSearcher
from lsr.retrieval.plan import SearchPlan
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR, SparseVector
from lsr.types import EncoderIdentity, Query, Run, ScoredDoc

__all__ = [
    "DenseRetriever",
    "HybridRetriever",
    "SparseRetriever",
    "open_model",
]


class SparseRetriever:
    """An encoder and the inverted lists of what it encoded: a `SparseSide`."""

    floor: float | None = 0.0

    def __init__(
        self, encoder: Encoder, searcher: Searcher, segment: AnySegment, store: AnyStore
    ) -> None:
        self._encoder = encoder
        self._name = encoder.identity.name
        self._searcher = searcher
        self._segment = segment
        self._store = store

    @property
    def name(self) -> str:
        return self._name

    def encode(self, texts: Sequence[str]) -> CSR:
        """Query vectors, one row for each text."""
        return self._encoder.encode_queries(texts)

    def search(self, queries: CSR, k: int, allowed: NDArray[np.bool_] | None = None) -> Ranking:
        """As `ExactSearcher.search_batch`."""
        return self._searcher.search_batch(queries, k, allowed)

    def score(self, query: SparseVector, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """As `ExactSearcher.score`."""
        return self._searcher.score(query, rows)

    def passage_scores(
        self, query: SparseVector, rows: NDArray[np.int32]
    ) -> list[NDArray[np.float32]]:
        """As `SparseSide.passage_scores`."""
        passages, edges = self._segment.passages_of(rows)
        scores = self._searcher.passage_scores(query, passages)
        return np.split(scores, edges[1:-1]) if len(rows) else []

    def vectors(self, rows: NDArray[np.int32], query: SparseVector) -> CSR:
        """Documents' vectors, from the store: of a split one, that of the query's best passage."""
        n_terms = self._segment.n_terms
        best, first = self._best(query, rows)
        if best is first:
            return self._store.sparse_vectors(first.tolist(), n_terms)
        found = self._store.sparse_vectors([*best.tolist(), *first.tolist()], n_terms)
        whole_from, n = self._segment.whole_from, len(rows)
        parts = zip(map(found.row, range(n)), map(found.row, range(n, 2 * n)), strict=True)
        return CSR.from_vectors([joined(*each, whole_from) for each in parts], n_terms)

    def _best(
        self, query: SparseVector, rows: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The passage of each row that answers a query best, and its first; one where all are."""
        passages, edges = self._segment.passages_of(rows)
        first = passages[edges[:-1]]
        if len(passages) == len(rows):
            return first, first
        return passages[best_places(self._searcher.passage_scores(query, passages), edges)], first

    def has_vector(self, rows: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Whether documents have any term, shape (n,)."""
        return self._segment.has_terms[rows]

    def may_feed(self, terms: NDArray[np.int32], max_df: float) -> NDArray[np.bool_]:
        """Words that at most a share `max_df` of passages have; tokens that are no words not."""
        most = max_df * self._segment.n_live_passages
        return (self._segment.document_frequency(terms) <= most) & self._is_word[terms]

    @cached_property
    def _is_word(self) -> NDArray[np.bool_]:
        """Mask of terms but special tokens. Found with the first feedback."""
        return word_mask(self._encoder)

    def document_weights(self, query: SparseVector, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Weights of the query's terms in documents, in the passage that answers it best."""
        best, first = self._best(query, rows)
        weights = self._searcher.document_weights(query.terms, best)
        if best is not first:
            whole = query.terms >= self._segment.whole_from
            weights[:, whole] = self._searcher.document_weights(query.terms[whole], first)
        return weights

    def term(self, term: int) -> str:
        """The text of a term."""
        return self._encoder.term(term)

    def surface_terms(self, text: str) -> NDArray[np.int32] | None:
        """The terms that a query's text itself holds; None when its vector has no others."""
        return self._encoder.surface_terms(text)

    def retrieve(
        self, queries: Sequence[Query], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Run:
        """See `Retriever`."""
        vectors = self.encode([query.text for query in queries])
        return _run(queries, self.search(vectors, k, allowed), self._segment)

    def export(self, file: Path, format_name: str | None, rows: NDArray[np.int32]) -> int:
        """Write the vectors of rows to a file; returns the entries. See `CollectionReader`."""
        n_terms = self._encoder.n_terms
        if self._segment.n_passages != self._segment.n_rows:
            raise InputError(
                "documents of this index are split, and such files hold one vector of each; build "
                "it without passages to export it"
            )
        vectors = self._store.sparse_vectors(rows.tolist(), n_terms)
        documents = self._store.documents(rows.tolist())
        write_vectors(
            file,
            format_name,
            [document.doc_id for document in documents],
            vectors,
            [self.term(term) for term in range(n_terms)],
            [document.full_text for document in documents],
        )
        return vectors.nnz

    def warm_up(self) -> None:
        """Compile the kernels, or load them from Numba's cache."""
        self.encode([""])  # vectors made elsewhere take no other text
        self._searcher.warm_up()


class DenseRetriever:
    """A dense model and the vectors that it made. A `lsr.retrieval.retriever.DenseSide`.

    Model and faiss are loaded when they are first needed.

    Args:
        open_dense_index: opens the vectors of `segment` for search.
        onnx: a folder where the model may lie exported to ONNX.
        encoder: the model, where it is loaded already.

    Raises:
        IndexVersionError: on loading, when the model's weights differ from those of the build.
        UnavailableError: on loading, when the packages it needs are not installed.
    """

    def __init__(
        self,
        identity: EncoderIdentity,
        segment: AnySegment,
        open_dense_index: Callable[[], AnyDenseIndex | MultiDenseIndex],
        onnx: Path | None = None,
        encoder: DenseEncoder | None = None,
    ) -> None:
        self.similarity = similarity_of(identity)
        self.floor: float | None = -1.0 if self.similarity == "cosine" else None
        self._identity = identity
        self._segment = segment
        self._open_vectors = open_dense_index
        self._onnx = onnx
        self._index: AnyDenseIndex | MultiDenseIndex | None = None
        self._encoder = encoder
        self._loading = threading.Lock()

    @property
    def name(self) -> str:
        return self._identity.name

    @property
    def dimension(self) -> int:
        return self._segment.dimension

    @property
    def is_exact(self) -> bool:
        """Whether every vector is compared, and not only those that a graph leads to."""
        return self._vectors.is_exact

    @property
    def _vectors(self) -> AnyDenseIndex | MultiDenseIndex:
        if self._index is None:
            with self._loading:
                if self._index is None:
                    self._index = self._open_vectors()
        return self._index

    @property
    def loaded(self) -> DenseEncoder | None:
        """The model, once it was needed."""
        return self._encoder

    @property
    def model(self) -> DenseEncoder:
        """The model; loaded with the first use."""
        with self._loading:
            if self._encoder is None:
                self._encoder = open_model(self._identity, self._onnx)
            return self._encoder

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Query vectors, shape (n_texts, dimension)."""
        return self.model.encode_queries(texts)

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Ranking:
        """The `k` best rows by inner product, as `DenseIndex.search`.

        Raises:
            QueryError: `k` is below 1, or `allowed` has another length than the collection.
        """
        check_k(k)
        if allowed is not None:
            check_mask(allowed, self._segment.n_rows)
        return Ranking(*self._vectors.search(queries, k, allowed))

    def score(self, query: NDArray[np.float32], rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """As `DenseIndex.score`."""
        return self._vectors.score(query, rows)

    def passage_scores(
        self, query: NDArray[np.float32], rows: NDArray[np.int32]
    ) -> list[NDArray[np.float32]]:
        """As `DenseSide.passage_scores`."""
        passages, edges = self._segment.passages_of(rows)
        scores = self._vectors.passage_scores(query, passages)
        return np.split(scores, edges[1:-1]) if len(rows) else []

    def vectors(self, rows: NDArray[np.int32], query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Documents' vectors, shape (n, dimension); zeros where there is none.

        Of a split document, that of the passage that answers the query best.
        """
        passages, edges = self._segment.passages_of(rows)
        if len(passages) > len(rows):
            scores = self._vectors.passage_scores(query, passages)
            passages = passages[best_places(scores, edges)]
        return self._segment.dense_vectors(passages)

    def has_vector(self, rows: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Whether documents have a vector, shape (n,)."""
        has_vector: NDArray[np.bool_] = self._vectors.has_vector[rows]
        return has_vector

    def retrieve(
        self, queries: Sequence[Query], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Run:
        """See `Retriever`."""
        vectors = self.encode([query.text for query in queries])
        return _run(queries, self.search(vectors, k, allowed), self._segment)

    def warm_up(self) -> None:
        """Load the model and the vectors."""
        self.search(self.encode(["warm up"]), 1)


class HybridRetriever:
    """A `SearchPlan` over both sides, as a `Retriever`.

    A fusion returns at most the union of its windows.

    Queries are encoded one by one, so that an answer does not depend on its neighbours.
    """

    name = "hybrid"

    def __init__(self, searcher: HybridSearcher, plan: SearchPlan, segment: AnySegment) -> None:
        self.searcher = searcher
        self.plan = plan
        self._segment = segment

    def retrieve(
        self, queries: Sequence[Query], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Run:
        """See `Retriever`. Equal scores are by dense raw score, then by doc_id."""
        check_k(k)
        run: Run = {}
        for query in queries:
            outcome = self.searcher.search(HybridQuery(query.text), self.plan, allowed, reach=k)
            doc_ids = self._segment.doc_ids(outcome.rows[:k])
            lines = zip(repeat(query.query_id), doc_ids, outcome.scores[:k].tolist(), strict=False)
            run[query.query_id] = list(map(ScoredDoc._make, lines))
        return run


def _run(queries: Sequence[Query], ranking: Ranking, segment: AnySegment) -> Run:
    run: Run = {}
    for query, rows, scores in zip(queries, ranking.rows, ranking.scores, strict=True):
        n_hits = int(np.count_nonzero(rows >= 0))
        doc_ids = segment.doc_ids(rows[:n_hits])
        lines = zip(repeat(query.query_id), doc_ids, scores[:n_hits].tolist(), strict=False)
        run[query.query_id] = list(map(ScoredDoc._make, lines))
    return run


def open_model(identity: EncoderIdentity, onnx: Path | None) -> DenseEncoder:
    """The dense model that a collection's vectors were made by.

    Args:
        onnx: a folder where it lies exported to ONNX, or None.

    Raises:
        IndexVersionError: the model of that name has other weights now, or makes its vectors in
            another way, or by other code of its own.
        UnavailableError: the packages it needs are not installed, or it runs code of its own that
            this user has not trusted.
    """
    encoder = open_dense_encoder(
        identity.name,
        options=DenseOptions.of(identity),
        onnx_folder=onnx,
        sha256=identity.sha256,
    )
    if encoder.identity.sha256 != identity.sha256:
        made = encoder.identity.parameters
        other = [name for name, value in identity.parameters.items() if made.get(name) != value]
        raise IndexVersionError(
            f"the dense model {identity.name!r} is not the one that made the vectors of this index"
            f"{', by its ' * bool(other)}{', '.join(other)}; build the index again"
        )
    return encoder
