"""Sparse teachers: any SparseEncoder, its vectors kept in a cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SparseEncoder

from lsr.encoders.cache.vector_cache import Tick, VectorCache
from lsr.errors import ModelError
from lsr.progress import Progress, no_progress
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR
from lsr.training.models.sparse_encoder import open_model
from lsr.training.teachers.identity import model_sha256
from lsr.training.teachers.loading import code_of, loaded
from lsr.training.teachers.protocol import Rows, Scores, unprepared
from lsr.training.teachers.sparse_matrix import SparseRows

__all__ = ["SparseScorer", "open_sparse"]


class SparseScorer:
    """A `Teacher` by inner products of sparse vectors.

    Args:
        model: queries and documents go through `encode_query` and `encode_document`, which may
            differ.
        cache: folder of the cache.
        name: for people.
        batch_size: texts encoded at once.
        code_sha256: of the model's own code, where that is run.
    """

    def __init__(
        self,
        model: SparseEncoder,
        cache: Path,
        *,
        name: str = "sparse",
        batch_size: int = 32,
        code_sha256: str = "",
    ) -> None:
        self.name = name
        self.identity = model_sha256(model, code_sha256)
        self.cache = VectorCache(cache, self.identity, name=name)
        self._model = model
        self._batch_size = batch_size
        self._rows: SparseRows | None = None

    def prepare(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        progress: Progress = no_progress,
    ) -> None:
        """Vectors of all texts, from the cache or the model.

        Raises:
            ModelError: a weight is not finite, or below 0.
            StorageError: the cache cannot be written.
        """
        model = self._model
        self._rows = SparseRows(
            self.cache.sparse("query", queries, self._with(model.encode_query), progress),
            self.cache.sparse("document", documents, self._with(model.encode_document), progress),
        )

    def scores(self, query_rows: Rows, document_rows: Rows) -> Scores:
        """Products of all pairs, float32, shape (n_queries, n_documents); no pair is unknown."""
        return self._prepared().scores(query_rows, document_rows)

    def best(self, query_rows: Rows, depth: int) -> Ranking:
        """The best documents with a score above 0, shape (n_queries, depth)."""
        return self._prepared().best(query_rows, depth)

    def _prepared(self) -> SparseRows:
        if self._rows is None:
            raise unprepared(self.name)
        return self._rows

    def _with(self, encode: Callable[..., Any]) -> Callable[[list[str], Tick], CSR]:
        """Texts to vectors, longest first so that a batch holds texts of one length."""

        def rows_of(texts: list[str], tick: Tick) -> CSR:
            order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
            parts = []
            for first in range(0, len(order), self._batch_size):
                chosen = order[first : first + self._batch_size]
                weights = encode(
                    [texts[i] for i in chosen],
                    batch_size=self._batch_size,
                    show_progress_bar=False,
                    convert_to_sparse_tensor=False,
                    save_to_cpu=True,
                )
                parts.append(self._matrix(weights.float().numpy()))
                tick(first + len(chosen))
            return CSR.concatenate(parts).take(np.argsort(order).tolist())

        return rows_of

    def _matrix(self, weights: NDArray[np.float32]) -> CSR:
        """The entries above 0 of a dense matrix."""
        if not np.isfinite(weights).all() or (weights < 0).any():
            raise ModelError(
                f"the teacher {self.name} gives weights that are negative or not finite; choose a "
                "model whose vectors are sparse and not negative"
            )
        rows, terms = np.nonzero(weights)
        counts = np.bincount(rows, minlength=len(weights))
        return CSR(
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            terms.astype(np.int32),
            weights[rows, terms],
            weights.shape[1],
        )


def open_sparse(
    model: str, cache: Path, *, name: str | None = None, trust_remote_code: bool = False
) -> SparseScorer:
    """A sparse teacher from a folder or a hub id.

    Args:
        trust_remote_code: run the code that it brings along.

    Raises:
        InputError: there is no such model, it cannot be loaded, or it has no code to trust.
    """
    what = "sparse encoder"
    if not trust_remote_code:
        return SparseScorer(loaded(open_model, model, what), cache, name=name or model)
    code = code_of(model, what)
    trusting = partial(open_model, trust_remote_code=True)
    encoder = loaded(trusting, str(code.folder), what, runs_code=True)
    return SparseScorer(encoder, cache, name=name or model, code_sha256=code.sha256)
