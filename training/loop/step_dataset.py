"""A run's batches as features: step i is a pure function of the seed and i.

Nothing here has state, so a run that resumes begins at any step with what it would have had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lsr.training.config.train import Ensemble, OptimConfig
from lsr.training.data.batches import Batch, BatchPlan, micro_batches
from lsr.training.data.column_sampling import choose_columns
from lsr.training.losses.distributed import process_share
from lsr.training.losses.ensemble import combined, targets
from lsr.training.teachers.protocol import Teacher
from lsr.training.teachers.sparse_matrix import SparseRows

__all__ = ["StepDataset"]


@dataclass(frozen=True)
class StepDataset(torch.utils.data.Dataset[dict[str, Any]]):  # type: ignore[misc]
    """All batches of a stage.

    Item i is a dict: `step` (int), `query` (features), `documents` (a list of features, one for
    each micro-batch of this process), `order` (int64, where each encoded document stands among
    this process's), `columns` (int64 [C], or None for the whole vocabulary), `column_weights`
    (float32 [C]), `n_query_columns` (int), `positives` (int64 [Q]), `known` (bool [Q, D]),
    `teacher` (float32 [Q, D]) and `target` (float32 [Q, D], each row a distribution); and, for
    DeepCT's loss, `recall` (float32 [D, V]: the share of a document's queries that have a term) and
    `present` (bool [D, V]: its own tokens; none where it has no query); and, where own terms are
    scored, `own` (float32 [Q, D]).

    Attributes:
        model: its `preprocess` makes features of texts.
        plan: which rows a step has.
        queries, documents: the texts by row.
        teachers, teacher_weights: nothing for labels alone.
        by_columns: whether query terms suffice: the query side is a table.
        special: token numbers that are of no word.
        own: stems of the rows, whose products are part of the student's score; None for no part.
        queries_of: the labelled queries of each document, where `recall` is wanted; else None.
        first: the step that item 0 is, for a run that resumes.
    """

    model: Any
    plan: BatchPlan
    queries: Sequence[str]
    documents: Sequence[str]
    lengths: NDArray[np.int32]
    teachers: Sequence[Teacher]
    teacher_weights: Sequence[float]
    ensemble: Ensemble
    optim: OptimConfig
    n_terms: int
    by_columns: bool
    special: frozenset[int]
    seed: int
    queries_of: Sequence[NDArray[np.int32]] | None = None
    own: SparseRows | None = None
    first: int = 0

    def __len__(self) -> int:
        return self.optim.steps - self.first

    def __getitem__(self, item: int) -> dict[str, Any]:
        step = self.first + item
        batch = self.plan[step]
        mine = batch.document_rows[list(process_share(len(batch.document_rows)))]
        parts = micro_batches(
            self.lengths[mine], self.optim.micro_batch, max_tokens=self.optim.max_tokens
        )
        query = self._features([self.queries[row] for row in batch.query_rows], "query")
        documents = [
            self._features([self.documents[mine[place]] for place in part], "document")
            for part in parts
        ]
        order = np.empty(len(mine), np.int64)
        order[np.concatenate(parts) if parts else []] = np.arange(len(mine))
        made = {
            "step": step,
            "query": query,
            "documents": documents,
            "order": torch.from_numpy(order),
            **self._columns(query, batch, step),
            **self._supervision(batch),
        }
        if self.own is not None:
            made["own"] = torch.from_numpy(self.own.scores(batch.query_rows, batch.document_rows))
        if self.queries_of is not None:
            made |= self._recall(batch.document_rows)
        return made

    def _features(self, texts: list[str], task: str) -> dict[str, Any]:
        return dict(self.model.preprocess(texts, task=task)) | {"task": task}

    def _columns(self, query: dict[str, Any], batch: Batch, step: int) -> dict[str, Any]:
        """Chosen by all processes alike: from texts of the whole batch."""
        if not self.by_columns or self.optim.full_head or self.queries_of is not None:
            weights = torch.ones(self.n_terms)
            return {"columns": None, "column_weights": weights, "n_query_columns": self.n_terms}
        own = self.model.preprocess(
            [self.documents[row] for row in batch.document_rows], task="document"
        )
        chosen = choose_columns(
            self._words(query["input_ids"]),
            self._words(own["input_ids"]),
            self.n_terms,
            self.optim.sampled_columns,
            np.random.default_rng((self.seed, step, 1)),
        )
        return {
            "columns": torch.from_numpy(chosen.numbers),
            "column_weights": torch.from_numpy(chosen.weights),
            "n_query_columns": chosen.n_query,
        }

    def _words(self, tokens: Any) -> NDArray[np.int64]:
        found: NDArray[np.int64] = np.unique(tokens.numpy())
        return found[~np.isin(found, list(self.special))]

    def _supervision(self, batch: Batch) -> dict[str, Any]:
        allowed = torch.from_numpy(~batch.masked)
        positives = torch.from_numpy(batch.positives.astype(np.int64))
        if not self.teachers:
            scores = torch.zeros(allowed.shape)
            known = allowed & (positives >= 0)[:, None]  # without a label nothing is known
        else:
            given = [
                torch.from_numpy(teacher.scores(batch.query_rows, batch.document_rows))
                for teacher in self.teachers
            ]
            given = [each.masked_fill(~allowed, torch.nan) for each in given]
            scores, known = combined(given, self.teacher_weights, self.ensemble.normalization)
        share = self.ensemble.label_share if self.teachers else 1.0
        target = targets(scores, known, self.ensemble.scale, share, positives)
        return {
            "positives": positives,
            "known": known,
            "teacher": scores * self.ensemble.scale,
            "target": target,
        }

    def _recall(self, rows: NDArray[np.int32]) -> dict[str, Any]:
        """Query term recall (Dai and Callan 2020)."""
        assert self.queries_of is not None
        recall = torch.zeros(len(rows), self.n_terms)
        present = torch.zeros(len(rows), self.n_terms, dtype=torch.bool)
        for place, row in enumerate(rows):
            queries = [self.queries[query] for query in self.queries_of[row]]
            if not queries:
                continue
            for text in queries:
                words = self._words(self._features([text], "query")["input_ids"])
                recall[place, words] += 1 / len(queries)
            own = self._features([self.documents[row]], "document")["input_ids"]
            present[place, self._words(own)] = True
        return {"recall": recall, "present": present}
