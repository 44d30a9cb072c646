"""Batches of queries and documents that are trained on together, step by step.

A plan is a pure function of its seed and the number of the step, so a run is resumed by asking
for the next step: there is no sampler state to save. Queries of one source are drawn in
permutations of the source, so that each is drawn as often as the others, give or take one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError
from lsr.training.data.pairs import NO_ROW, Pairs
from lsr.training.data.ragged import RowLists, entry_places

__all__ = ["Batch", "BatchPlan", "micro_batches", "row_candidates"]

CandidatesOf = Callable[[int], NDArray[np.int32]]

_CYCLE, _EPOCH, _STEP = 1, 2, 3  # keep the random streams of one seed apart


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that one step trains on: every document is a candidate of every query.

    Attributes:
        query_rows: int32 [Q].
        document_rows: int32 [D], different from each other.
        positives: int64 [Q]: column of the query's labelled document, -1 without a label.
        candidates: int64 [Q, K]: columns of the documents that each query brought, the labelled one
            first; -1 where there were no more. A document that two queries brought is there twice.
        masked: bool [Q, D]: documents that must not count as negatives of the query, since they
            are, or are suspected to be, other answers to it. Never the labelled one.
    """

    query_rows: NDArray[np.int32]
    document_rows: NDArray[np.int32]
    positives: NDArray[np.int64]
    candidates: NDArray[np.int64]
    masked: NDArray[np.bool_]

    @property
    def own(self) -> NDArray[np.bool_]:
        """Documents that the query itself brought, its labelled one among them: bool [Q, D]."""
        own = np.zeros_like(self.masked)
        queries, places = np.nonzero(self.candidates != NO_ROW)
        own[queries, self.candidates[queries, places]] = True
        return own


def row_candidates(pairs: Pairs) -> CandidatesOf:
    """Candidates that the rows themselves bring: known negatives, then scored documents."""

    def candidates_of(query_row: int) -> NDArray[np.int32]:
        return np.concatenate([pairs.negatives[query_row], pairs.scored[query_row]])

    return candidates_of


class BatchPlan(Sequence[Batch]):
    """The batches of a run: `plan[i]` is that of step i.

    Args:
        pairs: the rows.
        queries: in a batch; fewer when there are fewer rows.
        candidates: documents that each query brings: its positive, then others of its candidates,
            drawn at random. Documents of the whole run stand in for candidates that lack.
        seed: of everything drawn.
        steps: the length of the plan. Any number, since rows come again.
        weights: how often rows of a source are drawn, by its name, beside rows of others; 1 where
            a name is missing. Equal weights: every row once an epoch.
        candidates_of: document rows for a query row; what the rows bring by default.
        groups: int [n_queries]: rows of equal number come one after another, as neighbours that
            are harder to tell apart.
        suspects: for each query, documents that may answer it: neither drawn nor negatives.

    Raises:
        InputError: there are no rows or documents, or an argument is out of range.
    """

    def __init__(
        self,
        pairs: Pairs,
        *,
        queries: int,
        candidates: int,
        seed: int,
        steps: int,
        weights: Mapping[str, float] | None = None,
        candidates_of: CandidatesOf | None = None,
        groups: NDArray[np.integer] | None = None,
        suspects: RowLists | None = None,
    ) -> None:
        if not len(pairs) or not pairs.documents:
            raise InputError("there are no rows to train on; check the sources")
        if min(queries, candidates) < 1 or min(steps, seed) < 0:
            raise InputError("a plan needs queries and candidates from 1, steps and a seed from 0")
        for name, weight in (weights or {}).items():
            if not 0 < weight < np.inf:
                raise InputError(f"source {name!r} has weight {weight}; give a number above 0")
        self.pairs = pairs
        self.queries = min(queries, len(pairs))
        self.candidates = candidates
        self.seed = seed
        self.steps = steps
        self._candidates_of = candidates_of or row_candidates(pairs)
        self._known = pairs.known_positives()
        self._suspects = suspects
        self._grouped = groups is not None
        self._streams = _streams(pairs, groups)
        numbers = [int(pairs.sources[stream.rows[0]]) for stream in self._streams]
        rates = [(weights or {}).get(pairs.source_names[number], 1.0) for number in numbers]
        self._quotas = _quotas([len(stream.rows) for stream in self._streams], rates)
        self.steps_per_epoch = sum(self._quotas) // self.queries
        self._last_epoch: tuple[int, NDArray[np.int32]] | None = None  # to be quick, not to know

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:  # type: ignore[override]
        """The batch of a step from 0; IndexError past the end."""
        if not 0 <= step < self.steps:
            raise IndexError(step)
        epoch, place = divmod(step, self.steps_per_epoch)
        if self._last_epoch is None or self._last_epoch[0] != epoch:
            self._last_epoch = (epoch, self._epoch(epoch))
        rows = self._last_epoch[1][place * self.queries : (place + 1) * self.queries]
        return self._batch(rows, np.random.default_rng([self.seed, _STEP, step]))

    def _epoch(self, epoch: int) -> NDArray[np.int32]:
        """All query rows of an epoch, in order; what is left over after whole batches is cut."""
        parts, units = [], []
        for number, (stream, quota) in enumerate(zip(self._streams, self._quotas, strict=True)):
            rows, unit = stream.part(epoch * quota, quota, [self.seed, _CYCLE, number])
            parts.append(rows)
            units.append(unit)
        rows = np.concatenate(parts)
        rng = np.random.default_rng([self.seed, _EPOCH, epoch])
        if not self._grouped:
            return rng.permutation(rows)
        unit = np.concatenate(units)
        lengths = [len(part) for part in parts]
        source = np.repeat(np.arange(len(parts)), lengths)
        changes = (np.diff(unit) != 0) | (np.diff(source) != 0)
        bounds = np.concatenate([[0], np.flatnonzero(changes) + 1, [len(rows)]]).astype(np.int64)
        _, places = entry_places(bounds, rng.permutation(len(bounds) - 1))
        return rows[places]

    def _batch(self, query_rows: NDArray[np.int32], rng: np.random.Generator) -> Batch:
        column: dict[int, int] = {}
        positives = np.full(len(query_rows), NO_ROW, np.int64)
        candidates = np.full((len(query_rows), self.candidates), NO_ROW, np.int64)
        answers = [self._answers(int(row)) for row in query_rows]
        for place, row in enumerate(query_rows):
            positive = int(self.pairs.positives[row])
            if positive != NO_ROW:
                positives[place] = column.setdefault(positive, len(column))
        for place, row in enumerate(query_rows):
            first = int(positives[place] != NO_ROW)
            candidates[place, :first] = positives[place]
            drawn = self._drawn(int(row), self.candidates - first, answers[place], rng)
            for position, document in enumerate(drawn, start=first):
                candidates[place, position] = column.setdefault(document, len(column))
        masked = np.zeros((len(query_rows), len(column)), np.bool_)
        for place, found in enumerate(answers):
            for document in found & column.keys():
                masked[place, column[document]] = True
        labelled = np.flatnonzero(positives != NO_ROW)
        masked[labelled, positives[labelled]] = False
        document_rows = np.fromiter(column, np.int32, len(column))
        return Batch(query_rows.astype(np.int32), document_rows, positives, candidates, masked)

    def _answers(self, query_row: int) -> set[int]:
        answers = set(self._known.of(query_row).tolist())
        if self._suspects is not None:
            answers.update(self._suspects[query_row].tolist())
        return answers

    def _drawn(
        self, query_row: int, wanted: int, answers: set[int], rng: np.random.Generator
    ) -> list[int]:
        offered = dict.fromkeys(self._candidates_of(query_row).tolist())
        usable = [row for row in offered if row not in answers]
        if len(usable) > wanted:
            return [usable[place] for place in rng.choice(len(usable), wanted, replace=False)]
        taken = answers.union(usable)
        n_documents = len(self.pairs.documents)
        lacking = min(wanted - len(usable), n_documents - len(taken))
        while lacking > 0:
            if 2 * len(taken) > n_documents:  # few are left: draw among those alone
                left = [row for row in range(n_documents) if row not in taken]
                return usable + [left[i] for i in rng.choice(len(left), lacking, replace=False)]
            row = int(rng.integers(n_documents))
            if row not in taken:
                taken.add(row)
                usable.append(row)
                lacking -= 1
        return usable


@dataclass(frozen=True, slots=True)
class _Stream:
    """The rows of one source, permutation after permutation, in units that stay together."""

    rows: NDArray[np.int32]
    indptr: NDArray[np.int64]  # of units

    def part(
        self, start: int, length: int, seed: list[int]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Rows from a place on, and the unit of each, different in each permutation."""
        n, n_units = len(self.rows), len(self.indptr) - 1
        first, last = start // n, (start + length - 1) // n
        rows, units = [], []
        for cycle in range(first, last + 1):
            order = np.random.default_rng([*seed, cycle]).permutation(n_units)
            bounds, places = entry_places(self.indptr, order)
            rows.append(self.rows[places])
            units.append(np.repeat(cycle * n_units + order, np.diff(bounds)))
        cut = slice(start - first * n, start - first * n + length)
        return np.concatenate(rows)[cut], np.concatenate(units)[cut]


def _streams(pairs: Pairs, groups: NDArray[np.integer] | None) -> list[_Stream]:
    if groups is not None and len(groups) != len(pairs):
        raise InputError(f"groups has {len(groups):,} entries where there are {len(pairs):,} rows")
    streams = []
    for source in np.unique(pairs.sources):
        rows = np.flatnonzero(pairs.sources == source).astype(np.int32)
        if groups is None:
            indptr = np.arange(len(rows) + 1, dtype=np.int64)
        else:
            rows = rows[np.argsort(groups[rows], kind="stable")]
            changes = np.flatnonzero(np.diff(groups[rows])) + 1
            indptr = np.concatenate([[0], changes, [len(rows)]]).astype(np.int64)
        streams.append(_Stream(rows, indptr))
    return streams


def _quotas(sizes: list[int], rates: list[float]) -> list[int]:
    """Rows of each source in an epoch of as many rows as there are; each source has one or more."""
    shares = np.array(sizes, np.float64) * np.array(rates)
    exact = shares / shares.sum() * sum(sizes)
    quotas = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(quotas - exact, kind="stable")
    quotas[order[: sum(sizes) - int(quotas.sum())]] += 1
    return [max(1, int(quota)) for quota in quotas]


def micro_batches(
    lengths: NDArray[np.integer], micro_batch: int, max_tokens: int
) -> list[NDArray[np.int64]]:
    """Parts of a batch that are encoded at once: similar lengths together, longest first.

    Args:
        lengths: int [n]: tokens of each text, special ones included.
        micro_batch: rows of a part at most.
        max_tokens: of a part at most, padding to its longest text included.

    Returns:
        Places in `lengths`; every place is in one part.

    Raises:
        InputError: a text alone has more than `max_tokens`, or an argument is below 1.
    """
    if min(micro_batch, max_tokens) < 1:
        raise InputError("micro_batch and max_tokens must be 1 or more")
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    parts: list[NDArray[np.int64]] = []
    start = 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        if longest > max_tokens:
            raise InputError(
                f"a text of {longest:,} tokens does not fit optim.max_tokens {max_tokens:,}; "
                "raise it, or lower encoder.max_document_tokens"
            )
        end = start + min(micro_batch, max_tokens // longest)
        parts.append(order[start:end])
        start = end
    return parts
