"""Both sides of a hybrid search without a disk or a model, and a watch on what is asked of them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.protocols import Encoder
from lsr.index.collection.retrievers import DenseRetriever, SparseRetriever
from lsr.index.search.exact_searcher import ExactSearcher
from lsr.index.storage.document_store import DocumentStore
from lsr.index.storage.segment import Segment
from lsr.retrieval.dense_index import DenseIndex
from lsr.retrieval.hybrid import HybridQuery, HybridSearcher
from lsr.retrieval.retriever import DenseSide, SparseSide
from lsr.sparse import CSR, SparseVector
from lsr.types import EncoderIdentity

__all__ = ["Compass", "Letters", "Watched", "World", "random_world", "unit"]


def unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Rows at unit length; zeros stay zeros."""
    lengths = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=-1, keepdims=True))
    scaled: NDArray[np.float32] = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled


class Letters:
    """A sparse encoder whose terms are letters. A model adds the next letter at half weight."""

    identity = EncoderIdentity("letters", "letters", "stub")

    def __init__(self, n_terms: int) -> None:
        self.n_terms = n_terms

    def encode_queries(self, texts: Sequence[str]) -> CSR:
        rows = []
        for text in texts:
            own = self.surface_terms(text).tolist()
            added = {term + 1: 0.5 for term in own if term + 1 < self.n_terms}
            rows.append(added | {term: float(text.count(self.term(term))) for term in own})
        return CSR.from_rows(rows, self.n_terms)

    def surface_terms(self, text: str) -> NDArray[np.int32]:
        terms = {ord(letter) - ord("a") for letter in text if letter.isalpha()}
        return np.array(sorted(term for term in terms if term < self.n_terms), np.int32)

    def term(self, term: int) -> str:
        return chr(ord("a") + term)


class _MemoryStore:
    """What a sparse side asks of a store."""

    def __init__(self, documents: CSR) -> None:
        self.documents = documents

    def sparse_vectors(self, rows: Sequence[int], n_terms: int) -> CSR:
        return CSR.from_vectors([self.documents.row(row) for row in rows], n_terms)


class Watched:
    """A side that counts its calls, and does something else first where told to.

    Attributes:
        calls: by name of the method.
        arguments: of each call, by name of the method.
        before: by name of the method; called with the number of the call, from 1.
    """

    def __init__(self, side: Any) -> None:
        self._side = side
        self.calls: Counter[str] = Counter()
        self.arguments: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self.before: dict[str, Callable[[int], object]] = {}

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._side, name)
        if not callable(value):
            return value

        def call(*args: Any, **named: Any) -> Any:
            self.calls[name] += 1
            self.arguments[name].append(args)
            if name in self.before:
                self.before[name](self.calls[name])
            return value(*args, **named)

        return call


class World:
    """A small collection with both sides in memory, watched; queries bring their own vectors.

    Args:
        documents: shape (n, n_terms).
        vectors: float32, shape (n, dimension); zeros for a document without a vector.
    """

    def __init__(
        self, doc_ids: Sequence[str], documents: CSR, vectors: NDArray[np.float32]
    ) -> None:
        self.doc_ids = list(doc_ids)
        self.documents = documents
        self.vectors = vectors
        self.segment = Segment.build(self.doc_ids, documents, vectors)
        store = cast(DocumentStore, _MemoryStore(documents))
        encoder = cast(Encoder, Letters(documents.n_terms))
        sparse = SparseRetriever(encoder, ExactSearcher(self.segment), self.segment, store)
        identity = EncoderIdentity("dense", "stub", "stub")
        self.sparse = Watched(sparse)
        self.dense = Watched(DenseRetriever(identity, self.segment, self._open_vectors))

    def _open_vectors(self) -> DenseIndex:
        return DenseIndex(self.segment.vectors, self.segment.tie_order)

    @property
    def n(self) -> int:
        return len(self.doc_ids)

    def searcher(self, **feedback: Any) -> HybridSearcher:
        """Both sides together; `feedback` as `HybridSearcher` takes it."""
        sides = (cast(SparseSide, self.sparse), cast(DenseSide, self.dense))
        return HybridSearcher(*sides, self.segment.tie_order, **feedback)

    def ids(self, rows: NDArray[np.int32]) -> list[str]:
        return [self.doc_ids[row] for row in rows.tolist()]


def random_world(
    seed: int, n: int, n_terms: int = 12, dimension: int = 4
) -> tuple[World, HybridQuery]:
    """Documents at random, some of them repeated, without terms or without a vector; a query."""
    rng = np.random.default_rng(seed)

    def sparse_row() -> dict[int, float]:
        terms = rng.choice(n_terms, rng.integers(1, 6), replace=False)
        return {int(term): float(rng.random() + 0.01) for term in terms}

    rows: list[dict[int, float]] = []
    vectors = unit(rng.standard_normal((n, dimension)))
    for i in range(n):
        kind = rng.random()
        if kind < 0.15 and i > 0:
            rows.append(rows[i - 1])
            vectors[i] = vectors[i - 1]
        else:
            rows.append({} if kind < 0.25 else sparse_row())
            if 0.25 <= kind < 0.35:
                vectors[i] = 0
    doc_ids = [f"d{i:03}" for i in rng.permutation(n)]
    query = SparseVector.from_mapping(sparse_row())
    dense = unit(rng.standard_normal(dimension))
    return World(doc_ids, CSR.from_rows(rows, n_terms), vectors), HybridQuery("", query, dense)


class Compass:
    """A dense encoder of few words: directions in space. Counts what it was asked for.

    `into` is a stop word of the sparse side, so a document can say something to this side alone;
    a text without any of these words has no vector. `broken` gives numbers that are not finite.
    """

    identity = EncoderIdentity("dense", "compass", "stub")
    dimension = 3
    words: ClassVar[dict[str, tuple[float, float, float]]] = {
        "north": (0, 1, 0),
        "south": (0, -1, 0),
        "east": (1, 0, 0),
        "west": (-1, 0, 0),
        "into": (0, 0, 1),
        "broken": (0, math.nan, math.inf),
    }

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode_documents(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        nothing = (0.0, 0.0, 0.0)
        sums = [
            np.sum([self.words.get(word, nothing) for word in text.split()] or [nothing], axis=0)
            for text in texts
        ]
        return unit(np.array(sums).reshape(len(texts), 3))

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return self.encode_documents(texts)
