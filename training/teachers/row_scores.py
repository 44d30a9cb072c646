"""Scores that the rows of a run bring themselves, as a teacher beside others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from lsr.progress import Progress, no_progress
from lsr.retrieval.retriever import Ranking
from lsr.training.teachers.pair_table import PairTable
from lsr.training.teachers.protocol import Rows, Scores, unprepared, unranked

__all__ = ["RowScores"]


class RowScores:
    """A `Teacher` by the scores of a run's own rows.

    Args:
        query_rows, document_rows, scores: shape (n_pairs,): pair by pair.
        name: for people.
    """

    def __init__(
        self, query_rows: Rows, document_rows: Rows, scores: Scores, *, name: str = "rows"
    ) -> None:
        self.name = name
        self._given = (query_rows, document_rows, scores)
        self._table: PairTable | None = None

    @property
    def identity(self) -> str:
        digest = hashlib.sha256(b"rows\n")
        for part, dtype in zip(self._given, ("<i8", "<i8", "<f4"), strict=True):
            digest.update(np.asarray(part, dtype).tobytes())
        return digest.hexdigest()

    def prepare(
        self,
        queries: Sequence[str],  # noqa: ARG002
        documents: Sequence[str],
        progress: Progress = no_progress,  # noqa: ARG002
    ) -> None:
        """Put the scores where batches find them."""
        self._table = PairTable(len(documents))
        self._table.add(*self._given)

    def scores(self, query_rows: Rows, document_rows: Rows) -> Scores:
        """Scores of the rows, float32, shape (n_queries, n_documents); NaN elsewhere."""
        if self._table is None:
            raise unprepared(self.name)
        return self._table.scores(query_rows, document_rows)

    def best(self, query_rows: Rows, depth: int) -> Ranking:  # noqa: ARG002
        """Always raises InputError: rows score their own documents only."""
        raise unranked(self.name)
