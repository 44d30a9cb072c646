"""A hybrid search in plain Python: the oracle of fusion, feedback and whole plans.

Lists are dictionaries of row to score, best first; every formula is written out for one document
at a time, from the notes and not from the code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsr.retrieval.feedback import DenseFeedback, SparseFeedback
from lsr.retrieval.fusion import Fusion
from lsr.retrieval.plan import SearchPlan
from lsr.sparse import SparseVector
from tests.naive import exact as naive
from tests.support.search_sides import World

__all__ = ["Found", "Side", "dense_feedback", "fuse", "normalise", "search", "sparse_feedback"]

List = dict[int, float]


class Side(NamedTuple):
    """What a side listed, best first, and what it would say of every document it can score."""

    listed: List
    scores: List
    floor: float | None


def normalise(raw: float, listed: Sequence[float], norm: str, floor: float | None) -> float:
    """One score on the scale of a list."""
    if norm == "none":
        return raw
    if not listed:
        return 0.0
    best, worst = max(listed), min(listed)
    if norm == "tmm" and floor is None:
        norm = "minmax"
    if norm in ("tmm", "max"):
        least = 0.0 if norm == "max" or floor is None else floor
        return 0.0 if best <= least else (raw - least) / (best - least)
    if norm == "minmax":
        if best == worst:
            return 1.0 if raw >= best else 0.0
        return (raw - worst) / (best - worst)
    assert norm == "zscore"
    if best == worst:
        return 0.0
    mean = math.fsum(listed) / len(listed)
    variance = math.fsum((score - mean) ** 2 for score in listed) / len(listed)
    return (raw - mean) / math.sqrt(variance)


def fuse(sparse: Side, dense: Side, fusion: Fusion, weight: float) -> List:
    """Scores of all candidates, in no order."""
    shares = ((sparse, weight), (dense, 1 - weight))
    candidates = {row for side, share in shares if share > 0 for row in side.listed}
    totals = dict.fromkeys(candidates, 0.0)
    for side, share in shares:
        ranks = {row: rank for rank, row in enumerate(side.listed, start=1)}
        for row in candidates:
            if share == 0:
                continue
            if fusion.method == "rrf":
                if row in ranks:
                    totals[row] += 2 * share * (1 / (fusion.rrf_k + ranks[row]))
                continue
            known = side.listed
            if fusion.missing == "exact" and 0 < weight < 1:
                known = {**side.scores, **side.listed}
            if row in known:
                of_list = list(side.listed.values())
                totals[row] += share * normalise(known[row], of_list, fusion.norm, side.floor)
    return totals


def dense_feedback(
    query: Sequence[float], documents: Sequence[Sequence[float]], feedback: DenseFeedback
) -> list[float] | None:
    """The new query at unit length, or None when nothing is left of it."""
    k = len(documents)
    moved = []
    for i, own in enumerate(query):
        total = sum(float(document[i]) for document in documents)
        if feedback.method == "average":
            moved.append((float(own) + total) / (k + 1))
        else:
            moved.append(feedback.alpha * float(own) + feedback.beta * total / k)
    length = math.sqrt(math.fsum(x * x for x in moved))
    return None if length < 1e-9 else [x / length for x in moved]


def _unit(weights: Mapping[int, float]) -> dict[int, float]:
    length = math.sqrt(math.fsum(weight * weight for weight in weights.values()))
    return {term: weight / max(length, 1e-9) for term, weight in weights.items()}


def sparse_feedback(
    query: Mapping[int, float],
    documents: Sequence[Mapping[int, float]],
    feedback: SparseFeedback,
    may_feed: Callable[[int], bool],
) -> dict[int, float] | None:
    """Rocchio over impacts; terms of the new query to weights."""
    centre: dict[int, float] = {}
    for document in documents:
        words = {term: float(weight) for term, weight in document.items() if may_feed(term)}
        for term, share in _unit(words).items():
            centre[term] = centre.get(term, 0.0) + share / len(documents)
    heaviest = sorted(centre, key=lambda term: (-centre[term], term))[: feedback.terms]
    added = _unit({term: centre[term] for term in heaviest})
    moved = {t: feedback.alpha * w for t, w in _unit(query).items()}
    for term, weight in added.items():
        moved[term] = moved.get(term, 0.0) + feedback.beta * weight
    kept = {term: weight for term, weight in moved.items() if weight > 0}
    return kept or None


class Found(NamedTuple):
    """Rows best first, their scores, and the rows that were learned from (None: no feedback)."""

    rows: list[int]
    scores: List
    learned_from: list[int] | None


class _Searched:
    """A world as one query sees it."""

    def __init__(self, world: World, plan: SearchPlan, allowed: NDArray[np.bool_] | None) -> None:
        self.world = world
        self.plan = plan
        self.window = min(plan.window, world.n)
        self.passes = [allowed is None or bool(allowed[row]) for row in range(world.n)]
        self.rows = naive.rows_of(world.documents)

    def best(self, scores: List) -> List:
        passing = [row for row in scores if self.passes[row]]
        passing.sort(key=lambda row: (-scores[row], self.world.doc_ids[row]))
        return {row: scores[row] for row in passing[: self.window]}

    def sparse(self, query: Mapping[int, float]) -> Side:
        weights = {term: np.float32(weight) for term, weight in query.items()}
        has_terms = [row for row in range(self.world.n) if self.rows[row]]
        scores = {row: float(naive.score(weights, self.rows[row])) for row in has_terms}
        hits = {row: value for row, value in scores.items() if value > 0}
        return Side(self.best(hits), scores if query else {}, 0.0)

    def dense(self, query: NDArray[np.float32]) -> Side:
        values = (self.world.vectors * query).sum(axis=1)
        has_vector = [row for row in range(self.world.n) if self.world.vectors[row].any()]
        scores = {row: float(values[row]) for row in has_vector} if query.any() else {}
        return Side(self.best(scores), scores, -1.0)

    def order(self, scores: List, sparse: Side, dense: Side, weight: float) -> list[int]:
        """Best first; equal scores by dense raw score where it counts, then by doc_id."""
        raw = dense.listed
        if self.plan.fusion.missing == "exact" and 0 < weight < 1:
            raw = {**dense.scores, **dense.listed}
        if weight == 1:
            raw = {}
        ids = self.world.doc_ids
        return sorted(scores, key=lambda row: (-scores[row], -raw.get(row, 0.0), ids[row]))

    def may_feed(self, term: int) -> bool:
        df = sum(term in row for row in self.rows)
        return df <= self.plan.prf.sparse.max_df * self.world.n

    def pick(self, order: Iterable[int], to_dense: bool, to_sparse: bool) -> list[int]:
        """The first documents that have what is asked of them, none twice."""
        picked: list[int] = []
        for row in order:
            if len(picked) == self.plan.prf.depth:
                break
            if (to_sparse and not self.rows[row]) or (
                to_dense and not self.world.vectors[row].any()
            ):
                continue
            if not any(self._same(row, other, to_dense) for other in picked):
                picked.append(row)
        return picked

    def _same(self, row: int, other: int, dense: bool) -> bool:
        if dense:
            return float(self.world.vectors[row] @ self.world.vectors[other]) >= 1 - 1e-6
        return self.rows[row] == self.rows[other]


def search(
    world: World,
    sparse_query: SparseVector,
    dense_query: NDArray[np.float32],
    plan: SearchPlan,
    allowed: NDArray[np.bool_] | None = None,
) -> Found:
    """Carry out a resolved plan in mode hybrid, with no shortcut but that of no feedback."""
    searched = _Searched(world, plan, allowed)
    query = dict(zip(sparse_query.terms.tolist(), sparse_query.weights.tolist(), strict=True))
    sparse, dense = searched.sparse(query), searched.dense(dense_query)
    prf, weight = plan.prf, plan.fusion.weight_sparse
    assert weight is not None
    assert prf.weight_sparse_pre is not None

    def result(weight: float, learned_from: list[int] | None) -> Found:
        scores = fuse(sparse, dense, plan.fusion, weight)
        return Found(searched.order(scores, sparse, dense, weight), scores, learned_from)

    first_weight = 0.0 if prf.interpolate == "post" else prf.weight_sparse_pre
    final_weight = 0.0 if prf.interpolate == "pre" else weight
    asked = prf.interpolate != "none" and prf.depth > 0
    off = prf.dense.method == "rocchio" and prf.dense.beta == 0
    to_dense = asked and final_weight < 1 and not off
    to_sparse = asked and final_weight > 0 and prf.sparse.enabled and prf.sparse.beta > 0
    if not to_dense and not to_sparse:
        return result(weight, None)
    first = result(first_weight, None)
    least = -math.inf if prf.min_score is None else prf.min_score
    order = [row for row in first.rows if first.scores[row] >= least]
    picked = searched.pick(order, to_dense, to_sparse)
    if not picked:
        return result(weight, None)
    vectors = [world.vectors[row].tolist() for row in picked]
    new_dense = dense_feedback(dense_query.tolist(), vectors, prf.dense) if to_dense else None
    documents = [{t: float(w) for t, w in searched.rows[row].items()} for row in picked]
    new_sparse = None
    if to_sparse:
        new_sparse = sparse_feedback(query, documents, prf.sparse, searched.may_feed)
    if new_dense is None and new_sparse is None:
        return result(weight, None)
    if new_dense is not None:
        dense = searched.dense(np.array(new_dense, np.float32))
    if new_sparse is not None:
        sparse = searched.sparse(new_sparse)
    return result(final_weight, picked)
