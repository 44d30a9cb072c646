"""Dense teachers: any sentence-transformers model, its vectors kept in a cache.

They score as search does, with the same prompts, pooling and similarity.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.cache.vector_cache import Tick, VectorCache
from lsr.encoders.dense import SentenceTransformerEncoder
from lsr.encoders.dense_recipe import DenseOptions, similarity_of
from lsr.encoders.protocols import DenseEncoder
from lsr.errors import InputError
from lsr.files import checksum
from lsr.progress import Progress, no_progress
from lsr.retrieval.retriever import Ranking
from lsr.training.models.precision import Precision, computing_in, resolved_precision
from lsr.training.teachers.identity import model_sha256
from lsr.training.teachers.nearest import nearest_rows
from lsr.training.teachers.protocol import Rows, Scores, padded, unprepared

__all__ = ["DenseScorer", "open_dense"]


class DenseScorer:
    """A `Teacher` by inner products of a model's vectors, which are kept in 16 bits.

    Args:
        encoder: gives the vectors.
        cache: folder of the cache.
        name: for people.
        sha256: of all that vectors depend on; by default what the encoder says of itself.
    """

    def __init__(
        self,
        encoder: DenseEncoder,
        cache: Path,
        *,
        name: str = "dense",
        sha256: str | None = None,
    ) -> None:
        own = encoder.identity
        parts = [own.kind, sha256 or own.sha256, own.parameters]
        self.name = name
        self.identity = checksum(parts)
        self.cache = VectorCache(cache, self.identity, name=name)
        self._encoder = encoder
        self._queries: NDArray[np.float16] | None = None
        self._documents: NDArray[np.float16] | None = None

    def prepare(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        progress: Progress = no_progress,
    ) -> None:
        """Vectors of all texts, from the cache or the model.

        Raises:
            ModelError: a vector is not finite.
            StorageError: the cache cannot be written.
        """

        def queries_of(texts: list[str], _: Tick) -> NDArray[np.float32]:
            return self._encoder.encode_queries(texts)

        self._queries = self.cache.dense("query", queries, queries_of, progress)
        self._documents = self.cache.dense(
            "document", documents, self._encoder.encode_documents, progress
        )

    def scores(self, query_rows: Rows, document_rows: Rows) -> Scores:
        """Inner products of all pairs, float32, shape (n_queries, n_documents), all known."""
        queries, documents = self._prepared()
        return (
            queries[query_rows].astype(np.float32) @ documents[document_rows].astype(np.float32).T
        )

    @property
    def query_vectors(self) -> NDArray[np.float16]:
        """The run's queries at unit length, by which they are alike.

        Float16, shape (n_queries, dimension); one that is empty is a row of zeros.
        """
        queries = self._prepared()[0]
        if similarity_of(self._encoder.identity) == "cosine":
            return queries
        lengths = np.linalg.norm(queries.astype(np.float32), axis=1, keepdims=True)
        units: NDArray[np.float16] = (queries / np.maximum(lengths, 1e-9)).astype(np.float16)
        return units

    def best(self, query_rows: Rows, depth: int) -> Ranking:
        """The documents with the largest inner products, shape (n_queries, depth).

        Raises:
            InputError: `depth` is below 1.
        """
        queries, documents = self._prepared()
        if depth < 1:
            raise InputError(f"a depth of {depth}; ask for at least 1 document")
        ranking = nearest_rows(queries[query_rows], documents, min(depth, len(documents)))
        return padded(ranking, depth)

    def _prepared(self) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        if self._queries is None or self._documents is None:
            raise unprepared(self.name)
        return self._queries, self._documents


def open_dense(
    model: str,
    cache: Path,
    *,
    options: DenseOptions | None = None,
    max_tokens: int | None = None,
    precision: Precision = "fp32",
    name: str | None = None,
) -> DenseScorer:
    """A dense teacher from a folder, a hub id, or the packaged all-MiniLM-L6-v2.

    Args:
        options: prompts, similarity and so on; default: as the model's folder says.
        max_tokens: where longer texts are cut, if the model does not cut them sooner.
        precision: of the network; vectors of each are kept apart.
        name: by default the model's.

    Raises:
        InputError: there is no such model, it cannot be loaded, or it cannot be as asked.
        UnavailableError: sentence-transformers is not installed.
    """
    encoder = _PreciseEncoder(model, options, precision)
    if max_tokens is not None:
        own = encoder.model.max_seq_length
        encoder.model.max_seq_length = max_tokens if own is None else min(own, max_tokens)
    sha256 = f"{model_sha256(encoder.model)} {encoder.precision}".removesuffix(" fp32")
    return DenseScorer(encoder, cache, name=name or model, sha256=sha256)


class _PreciseEncoder(SentenceTransformerEncoder):
    """The encoder with its network in a precision of choice."""

    def __init__(self, model: str, options: DenseOptions | None, precision: Precision) -> None:
        super().__init__(model, options)
        self.precision = resolved_precision(precision)

    def _encode_batch(self, texts: list[str], prompt: str) -> NDArray[np.float32]:
        with computing_in(self.precision):
            return super()._encode_batch(texts, prompt)
