"""Cross-encoder teachers: they read query and document together, so they know chosen pairs only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder
from torch import nn

from lsr.encoders.cache.vector_cache import Tick, VectorCache
from lsr.errors import InputError
from lsr.progress import Progress, no_progress
from lsr.retrieval.retriever import Ranking
from lsr.training.teachers.identity import model_sha256
from lsr.training.teachers.loading import code_of, loaded
from lsr.training.teachers.pair_table import PairTable
from lsr.training.teachers.protocol import Rows, Scores, unprepared, unranked

__all__ = ["CrossEncoderScorer", "open_crossencoder"]

PAIRS_AT_ONCE = 512
"""Pairs handed to the model, which sorts them by length."""


class CrossEncoderScorer:
    """A `Teacher` by a cross-encoder's logits.

    Logits, not the probabilities that most models give by default: those are all near 0 or 1.

    Args:
        model: it has one output.
        cache: folder of the cache.
        name: for people.
        batch_size: pairs scored at once.
        code_sha256: of the model's own code, where that is run.

    Raises:
        InputError: the model has more outputs than one.
    """

    def __init__(
        self,
        model: CrossEncoder,
        cache: Path,
        *,
        name: str = "cross_encoder",
        batch_size: int = 32,
        code_sha256: str = "",
    ) -> None:
        if model.num_labels != 1:
            raise InputError(
                f"the cross-encoder {name} has {model.num_labels} outputs; a teacher needs one "
                "that gives a single score"
            )
        self.name = name
        self.identity = model_sha256(model, code_sha256)
        self.cache = VectorCache(cache, self.identity, name=name)
        self._model = model
        self._batch_size = batch_size
        self._texts: tuple[Sequence[str], Sequence[str]] | None = None
        self._table = PairTable(0)

    def prepare(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        progress: Progress = no_progress,  # noqa: ARG002
    ) -> None:
        """Take the texts; no pair is known before `prepare_pairs`."""
        self._texts = (queries, documents)
        self._table = PairTable(len(documents))

    def prepare_pairs(
        self, query_rows: Rows, document_rows: Rows, progress: Progress = no_progress
    ) -> None:
        """Score pairs, from the cache or the model, and know them from now on.

        Args:
            query_rows, document_rows: shape (n_pairs,): pair by pair.

        Raises:
            ModelError: a score is not finite.
            StorageError: the cache cannot be written.
        """
        if self._texts is None:
            raise unprepared(self.name)
        queries, documents = self._texts
        pairs = [(queries[q], documents[d]) for q, d in zip(query_rows, document_rows, strict=True)]
        scores = self.cache.numbers(pairs, self._logits, progress)
        self._table.add(query_rows, document_rows, scores)

    def scores(self, query_rows: Rows, document_rows: Rows) -> Scores:
        """Logits of prepared pairs, float32, shape (n_queries, n_documents); NaN elsewhere."""
        if self._texts is None:
            raise unprepared(self.name)
        return self._table.scores(query_rows, document_rows)

    def best(self, query_rows: Rows, depth: int) -> Ranking:  # noqa: ARG002
        """Always raises InputError: a cross-encoder knows chosen pairs only."""
        raise unranked(self.name)

    def _logits(self, pairs: list[tuple[str, str]], tick: Tick) -> NDArray[np.float32]:
        logits = np.zeros(len(pairs), np.float32)
        for first in range(0, len(pairs), PAIRS_AT_ONCE):
            part = pairs[first : first + PAIRS_AT_ONCE]
            logits[first : first + len(part)] = self._model.predict(
                part,
                batch_size=self._batch_size,
                show_progress_bar=False,
                activation_fn=nn.Identity(),
            )
            tick(first + len(part))
        return logits


def open_crossencoder(
    model: str, cache: Path, *, name: str | None = None, trust_remote_code: bool = False
) -> CrossEncoderScorer:
    """A cross-encoder teacher from a folder or a hub id.

    Args:
        trust_remote_code: run the code that it brings along.

    Raises:
        InputError: there is no such model, it cannot be loaded, it has several outputs, or no code
            to trust.
    """
    what = "cross-encoder"
    if not trust_remote_code:
        return CrossEncoderScorer(loaded(CrossEncoder, model, what), cache, name=name or model)
    code = code_of(model, what)
    trusting = partial(CrossEncoder, trust_remote_code=True, local_files_only=True)
    encoder = loaded(trusting, str(code.folder), what, runs_code=True)
    return CrossEncoderScorer(encoder, cache, name=name or model, code_sha256=code.sha256)
