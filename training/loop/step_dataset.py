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
from sentence_transformers import SparseEncoder

from lsr.training.config.train import Ensemble, OptimConfig
from lsr.training.data.batches import Batch, BatchPlan, micro_batches
from lsr.training.data.column_sampling import choose_columns
from lsr.training.data.tokens import special_ids
from lsr.training.loop.evaluator import takes_columns
from lsr.training.losses.distributed import process_share
from lsr.training.losses.ensemble import combined, targets
from lsr.training.models.sparse_encoder import query_table
from lsr.training.teachers.protocol import Teacher
from lsr.training.teachers.sparse_matrix import SparseRows

__all__ = ["StepDataset", "Student", "Supervision"]


@dataclass(frozen=True)
class Student:
    """The model that is trained, as far as batches hang on it.

    Attributes:
        model: its `preprocess` makes features of texts.
        n_terms: the width V of its vectors.
        by_columns: whether the terms of queries suffice: the query side is a table.
        special: token numbers that are of no word.
    """

    model: SparseEncoder
    n_terms: int
    by_columns: bool
    special: frozenset[int]

    @classmethod
    def of(cls, model: SparseEncoder) -> Student:
        """Properties of this model that batches need to know."""
        n_terms = model.get_embedding_dimension()
        assert n_terms is not None  # the last module says it
        return cls(
            model,
            n_terms,
            query_table(model) is not None and takes_columns(model),
            frozenset(special_ids(model.tokenizer).tolist()),
        )

    def features(self, texts: Sequence[str], task: str) -> dict[str, Any]:
        """Texts as the model takes them; the task is query or document."""
        return dict(self.model.preprocess(list(texts), task=task)) | {"task": task}

    def words(self, features: dict[str, Any]) -> NDArray[np.int64]:
        """The different tokens of all these texts, ascending, special ones left out."""
        found: NDArray[np.int64] = np.unique(features["input_ids"].numpy())
        return found[~np.isin(found, list(self.special))]


@dataclass(frozen=True)
class Supervision:
    """Supervision of a batch by teachers and labels.

    Attributes:
        teachers: none for labels alone.
        weights: of the teachers.
        ensemble: how their scores become one.
    """

    teachers: Sequence[Teacher]
    weights: Sequence[float]
    ensemble: Ensemble

    def of(self, batch: Batch) -> dict[str, torch.Tensor]:
        """The items from `positives` to `target` of a `StepDataset`."""
        allowed = torch.from_numpy(~batch.masked)
        positives = torch.from_numpy(batch.positives.astype(np.int64))
        if not self.teachers:
            scores = torch.zeros(allowed.shape)
            known = allowed & (positives >= 0)[:, None]  # without a label nothing is known
        else:
            each = [
                torch.from_numpy(teacher.scores(batch.query_rows, batch.document_rows))
                for teacher in self.teachers
            ]
            each = [one.masked_fill(~allowed, torch.nan) for one in each]
            scores, known = combined(each, self.weights, self.ensemble.normalization)
        share = self.ensemble.label_share if self.teachers else 1.0
        return {
            "positives": positives,
            "allowed": allowed,
            "own": torch.from_numpy(batch.own),
            "known": known,
            "teacher": scores * self.ensemble.scale,
            "target": targets(scores, known, self.ensemble.scale, share, positives),
        }


@dataclass(frozen=True)
class StepDataset(torch.utils.data.Dataset[dict[str, Any]]):
    """All batches of a stage.

    Item i is a dict: `step` (int), `query` (features), `documents` (a list of features, one for
    each micro-batch of this process), `order` (int64, where each encoded document stands among
    this process's), `columns` (int64 [C], or None for the whole vocabulary), `column_weights`
    (float32 [C]), `n_query_columns` (int), `candidates` (int64 [Q, K], see `Batch`), `positives`
    (int64 [Q]), `allowed` (bool [Q, D]: no other answers to the query), `own` (bool [Q, D]:
    candidates that the query brought), `known` (bool [Q, D]: of the allowed what the teachers know
    or, without teachers, those of queries with a label), `teacher` (float32 [Q, D]) and `target`
    (float32 [Q, D], each row a distribution); and, for DeepCT's loss, `recall` (float32 [D, V]: the
    share of a document's queries that have a term) and `present` (bool [D, V]: its own tokens; none
    where it has no query); and, where lexical terms are scored, `lexical` (float32 [Q, D]).

    Attributes:
        student: makes features of texts.
        plan: which rows a step has, and the seed of what is drawn.
        lengths: int32 [n_documents]: tokens of each document, special ones included.
        supervision: what scores are learned from.
        optim: how many steps, and the sizes of their parts.
        labelled_queries: the queries of each document, where `recall` is wanted; default: None.
        lexical: stems of the rows, whose products are part of the student's score; None for no
            part.
        first: the step that item 0 is, for a run that resumes.
    """

    student: Student
    plan: BatchPlan
    lengths: NDArray[np.int32]
    supervision: Supervision
    optim: OptimConfig
    labelled_queries: Sequence[NDArray[np.int32]] | None = None
    lexical: SparseRows | None = None
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
        query = self._queries(batch.query_rows)
        order = np.empty(len(mine), np.int64)
        order[np.concatenate(parts) if parts else []] = np.arange(len(mine))
        made = {
            "step": step,
            "query": query,
            "documents": [self._documents(mine[part]) for part in parts],
            "order": torch.from_numpy(order),
            "candidates": torch.from_numpy(batch.candidates),
            **self._columns(query, batch, step),
            **self.supervision.of(batch),
        }
        if self.lexical is not None:
            scores = self.lexical.scores(batch.query_rows, batch.document_rows)
            made["lexical"] = torch.from_numpy(scores)
        if self.labelled_queries is not None:
            made |= self._recall(batch.document_rows, self.labelled_queries)
        return made

    def _queries(self, rows: NDArray[np.int32]) -> dict[str, Any]:
        return self.student.features([self.plan.pairs.queries[row] for row in rows], "query")

    def _documents(self, rows: NDArray[np.int32]) -> dict[str, Any]:
        return self.student.features([self.plan.pairs.documents[row] for row in rows], "document")

    def _columns(self, query: dict[str, Any], batch: Batch, step: int) -> dict[str, Any]:
        """Chosen by all processes alike: from texts of the whole batch."""
        n_terms = self.student.n_terms
        wants_all = self.optim.full_head or self.labelled_queries is not None
        if wants_all or not self.student.by_columns:
            weights = torch.ones(n_terms)
            return {"columns": None, "column_weights": weights, "n_query_columns": n_terms}
        chosen = choose_columns(
            self.student.words(query),
            self.student.words(self._documents(batch.document_rows)),
            n_terms,
            self.optim.sampled_columns,
            np.random.default_rng((self.plan.seed, step, 1)),
        )
        return {
            "columns": torch.from_numpy(chosen.numbers),
            "column_weights": torch.from_numpy(chosen.weights),
            "n_query_columns": chosen.n_query,
        }

    def _recall(
        self, rows: NDArray[np.int32], labelled_queries: Sequence[NDArray[np.int32]]
    ) -> dict[str, Any]:
        """Query term recall (Dai and Callan 2020)."""
        recall = torch.zeros(len(rows), self.student.n_terms)
        present = torch.zeros(len(rows), self.student.n_terms, dtype=torch.bool)
        for place, row in enumerate(rows):
            queries = labelled_queries[row]
            for query in queries:
                words = self.student.words(self._queries(np.array([query])))
                recall[place, words] += 1 / len(queries)
            if len(queries):
                own = self._documents(np.array([row]))
                present[place, self.student.words(own)] = True
        return {"recall": recall, "present": present}
