"""`Tuner`: the weight and the feedback that suit a collection, chosen by cross-validation.

Small sets of queries mislead, so a change is kept only when it pays on queries that it was not
chosen on: a gain of 0.005 or more, or one with p < 0.05 in a paired t-test. Ties go to the value
there is. Steps:

1. the sparse side's weight, 0 to 1 by 0.05, without feedback; ranx fuses and measures;
2. feedback by coordinate search over beta, depth, and both weights, three rounds at most;
3. if asked for, feedback to the sparse query too, with and without it at the start.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError, UnavailableError
from lsr.evaluation.cached_side import remembering
from lsr.evaluation.comparison import Comparison, compare
from lsr.evaluation.evaluate import measure, parse_metrics
from lsr.progress import Progress, no_progress
from lsr.retrieval.feedback import DenseFeedback
from lsr.retrieval.hybrid import HybridQuery, HybridResult, HybridSearcher
from lsr.retrieval.plan import Prf, SearchPlan
from lsr.types import Qrels, Query, ScoredDoc

__all__ = ["FEWEST_QUERIES", "Candidate", "Tuner", "TuningResult", "spread"]

WEIGHTS = tuple(round(0.05 * i, 2) for i in range(21))
COARSE_WEIGHTS = tuple(round(0.1 * i, 1) for i in range(11))
BETAS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
DEPTHS = (1, 2, 3, 5, 10)
SPARSE_BETAS = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8)
SPARSE_TERMS = (5, 10, 20, 50)
MOST_ROUNDS = 3
CLEAR_GAIN = 0.005
SIGNIFICANT = 0.05
WHOLE_LIST = 1_000
"""Hits that count for a measure without a cutoff."""
FEWEST_QUERIES = 10
"""With fewer there is nothing to hold out."""

_RANX_NAMES = {"nDCG": "ndcg", "R": "recall", "P": "precision", "MAP": "map", "AP": "map"}
_RANX_NAMES |= {"MRR": "mrr", "RR": "mrr"}

Places = NDArray[np.intp]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """A way to search that was tried.

    Attributes:
        plan: with the parameters chosen on all queries.
        dev: mean on the queries it was chosen on: flattering.
        held_out: mean on each query with parameters chosen without it.
        against: of the held-out values with those of the candidate before it.
    """

    plan: SearchPlan
    dev: float
    held_out: float
    against: Comparison | None = None


@dataclass(frozen=True)
class TuningResult:
    """Outcome of tuning.

    Attributes:
        chosen: default, weight or feedback.
        candidates: all three, by name.
    """

    chosen: Literal["default", "weight", "feedback"]
    candidates: dict[str, Candidate]

    @property
    def plan(self) -> SearchPlan:
        return self.candidates[self.chosen].plan

    @property
    def plan_to_keep(self) -> SearchPlan:
        """The plan without what each search decides for itself: mode and window."""
        return replace(SearchPlan(), fusion=self.plan.fusion, prf=self.plan.prf)


class Tuner:
    """Judged queries, encoded once, and what plans are worth on them.

    Args:
        searcher: a hybrid one.
        doc_ids: identifiers of rows.
        queries: judged ones, as `lsr.evaluation.evaluate.judged_queries` picks them.
        metric: as ir_measures writes it.
        base: what is not tuned: norm, method, window.
        sparse_feedback: whether that is tuned too.

    Raises:
        InputError: too few queries, no dense side, or a measure that ranx lacks.
        UnavailableError: ranx or ir_measures is not installed.
    """

    def __init__(
        self,
        searcher: HybridSearcher,
        doc_ids: Callable[[NDArray[np.int32]], list[str]],
        queries: Sequence[Query],
        qrels: Qrels,
        *,
        metric: str = "nDCG@10",
        base: SearchPlan | None = None,
        sparse_feedback: bool = False,
        progress: Progress = no_progress,
    ) -> None:
        if searcher.dense is None:
            raise InputError("tuning weighs two sides and this collection has no dense vectors")
        if len(queries) < FEWEST_QUERIES:
            raise InputError(
                f"{len(queries)} judged queries are too few to tune on; at least {FEWEST_QUERIES} "
                "are needed"
            )
        self._measures = parse_metrics([metric])
        cutoff = metric.partition("@")[2]
        self._n_hits = int(cutoff) + 1 if cutoff.isdigit() else WHOLE_LIST
        self._ranx = _Ranx(metric)
        self.metric = metric
        self._doc_ids = doc_ids
        self._names = [query.query_id for query in queries]
        self._qrels = {name: qrels[name] for name in self._names}
        self._progress = progress
        self._tunes_sparse = sparse_feedback
        base = base or SearchPlan()
        self._base = replace(base, mode="hybrid", explain="none", prf=Prf()).resolved(
            searcher.modes
        )
        self._searcher = searcher
        self._remembering = HybridSearcher(
            remembering(searcher.sparse), remembering(searcher.dense), searcher.tie_order
        )
        self._queries = [self._encoded(place, query.text) for place, query in enumerate(queries)]
        self._known: dict[SearchPlan, Values] = {}
        self._by_weight: Values | None = None

    def _encoded(self, place: int, text: str) -> HybridQuery:
        self._progress("queries", place, None)
        searcher = self._searcher
        assert searcher.dense is not None
        return HybridQuery(
            text, searcher.sparse.encode([text]).row(0), searcher.dense.encode([text])[0]
        )

    @property
    def n_queries(self) -> int:
        return len(self._queries)

    def values(self, plan: SearchPlan) -> Values:
        """Measure of a plan on each query, shape (n_queries,)."""
        if plan not in self._known:
            run = {
                name: [
                    ScoredDoc(name, doc_id, 0.0)
                    for doc_id in self._doc_ids(self._search(query, plan).rows[: self._n_hits])
                    if doc_id != name
                ]
                for name, query in zip(self._names, self._queries, strict=True)
            }
            by_query = measure(self._measures, self._qrels, run)[self.metric]
            self._known[plan] = np.array([by_query[name] for name in self._names])
            self._progress("plans", len(self._known), None)
        return self._known[plan]

    def cost_ms(self, plan: SearchPlan) -> NDArray[np.float64]:
        """Milliseconds of each query's search, without encoding, shape (n_queries,)."""
        outcomes = [self._searcher.search(query, plan) for query in self._queries]
        return np.array([sum(outcome.took_ms.values()) for outcome in outcomes])

    def tune(self, places: Places | None = None, *, folds: int = 5) -> TuningResult:
        """Choose on some of the queries (all by default).

        Args:
            folds: parts that are held out in turn, at least 2.
        """
        places = np.arange(self.n_queries) if places is None else places
        default = self._base
        weight = self._plan_by_weight(places)
        fed = self._plan_with_feedback(places, weight)
        held = {"default": self.values(default)[places]}
        held |= {"weight": np.empty(len(places)), "feedback": np.empty(len(places))}
        for train, test in self.folds(places, folds):
            at = np.searchsorted(places, test)
            by_weight = self._plan_by_weight(train)
            held["weight"][at] = self.values(by_weight)[test]
            held["feedback"][at] = self.values(self._plan_with_feedback(train, by_weight))[test]
        chosen: Literal["default", "weight", "feedback"] = "default"
        candidates = {"default": self._candidate(default, places, held["default"], None)}
        for name, plan in (("weight", weight), ("feedback", fed)):
            candidates[name] = self._candidate(plan, places, held[name], held[chosen])
            if _is_clear(held[name], held[chosen], candidates[name].against):
                chosen = "weight" if name == "weight" else "feedback"
        return TuningResult(chosen, candidates)

    def folds(self, places: Places, n: int) -> list[tuple[Places, Places]]:
        """Pairs of (chosen on, held out), the same whatever the order of queries."""
        n = max(2, min(n, len(places)))
        digests = [hashlib.sha256(self._names[i].encode()).digest() for i in places.tolist()]
        shuffled = places[np.array(sorted(range(len(places)), key=digests.__getitem__))]
        parts = [np.sort(shuffled[i::n]) for i in range(n)]
        return [(np.setdiff1d(places, part), part) for part in parts]

    def _candidate(
        self, plan: SearchPlan, places: Places, held_out: Values, before: Values | None
    ) -> Candidate:
        against = None if before is None else compare(held_out, before)
        dev = float(self.values(plan)[places].mean())
        return Candidate(plan, dev, float(held_out.mean()), against)

    def _plan_by_weight(self, places: Places) -> SearchPlan:
        if self._by_weight is None:
            self._by_weight = self._ranx.by_weight(
                self._qrels,
                self._names,
                [self._search(q, self._even) for q in self._queries],
                self._doc_ids,
            )
        means = self._by_weight[:, places].mean(axis=1)
        now = self._base.fusion.weight_sparse or 0.0
        best = max(range(len(WEIGHTS)), key=lambda i: (round(means[i], 6), -abs(WEIGHTS[i] - now)))
        return _with_weights(self._base, WEIGHTS[best], WEIGHTS[best])

    @property
    def _even(self) -> SearchPlan:
        """A plan under which both sides are scored and normalised."""
        return _with_weights(self._base, 0.5, 0.5)

    def _plan_with_feedback(self, places: Places, start: SearchPlan) -> SearchPlan:
        starts = [replace(start, prf=replace(start.prf, interpolate="both"))]
        if self._tunes_sparse:
            starts.append(_with_sparse_terms(_with_sparse_beta(starts[0], 0.4), 20))
        return max((self._climbed(plan, places) for plan in starts), key=self._worth(places))

    def _climbed(self, plan: SearchPlan, places: Places) -> SearchPlan:
        """The end of a coordinate search: no single change is worth more, or time is up."""
        steps = _STEPS if self._tunes_sparse else _STEPS[:_DENSE_STEPS]
        worth = self._worth(places)
        for _ in range(MOST_ROUNDS):
            before = plan
            for step in steps:
                now = step.value(plan)
                if now is None:
                    continue
                nearest = sorted(dict.fromkeys([now, *step.choices]), key=lambda c: abs(c - now))
                plan = max((step.change(plan, choice) for choice in nearest), key=worth)
            if plan == before:
                break
        return plan

    def _worth(self, places: Places) -> Callable[[SearchPlan], float]:
        return lambda plan: round(float(self.values(plan)[places].mean()), 6)

    def _search(self, query: HybridQuery, plan: SearchPlan) -> HybridResult:
        return self._remembering.search(query, plan)


class _Ranx:
    """ranx, which fuses normalised runs under each weight and measures them."""

    def __init__(self, metric: str) -> None:
        name, _, cutoff = metric.partition("@")
        if name not in _RANX_NAMES:
            raise InputError(
                f"the measure {metric} cannot be tuned for; choose one like nDCG@10, R@100, MAP, "
                "MRR@10"
            )
        self._metric = _RANX_NAMES[name] + (f"@{cutoff}" if cutoff else "")
        try:
            import ranx
        except ImportError as error:
            raise UnavailableError(
                "tuning needs ranx, which is not installed; run: pip install 'lsr-search[eval]'"
            ) from error
        self._module = ranx

    def by_weight(
        self,
        qrels: Qrels,
        names: Sequence[str],
        outcomes: Sequence[HybridResult],
        doc_ids: Callable[[NDArray[np.int32]], list[str]],
    ) -> Values:
        """Values of every weight on every query, shape (n_weights, n_queries).

        Runs hold the same documents on both sides, so ranx, for which a missing score is 0, never
        misses one. A query that finds nothing keeps its place with a document that is not.
        """
        sides: list[dict[str, dict[str, float]]] = [{}, {}]
        for name, outcome in zip(names, outcomes, strict=True):
            found = doc_ids(outcome.final.rows)
            for side, norm in zip(sides, outcome.final.fused.norm.tolist(), strict=True):
                side[name] = {d: v for d, v in zip(found, norm, strict=True) if d != name}
                side[name] = side[name] or {"\0": 0.0}
        positive = {
            name: {doc_id: grade for doc_id, grade in qrels[name].items() if grade > 0} or {"\1": 1}
            for name in names
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Numba's about casts inside ranx
            judged = self._module.Qrels(positive)
            runs = [self._module.Run(side) for side in sides]
            values = []
            for weight in WEIGHTS:
                params = {"weights": (weight, 1 - weight)}
                fused = self._module.fuse(runs, norm=None, method="wsum", params=params)
                worth = self._module.evaluate(judged, fused, self._metric, return_mean=False)
                by_name = dict(zip(judged.keys(), worth.tolist(), strict=True))
                values.append([by_name[name] for name in names])
        return np.array(values)


def _is_clear(new: Values, old: Values, against: Comparison | None) -> bool:
    gain = float(new.mean() - old.mean())
    p_value = 1.0 if against is None else against.p_value
    return gain >= CLEAR_GAIN or (gain > 0 and p_value < SIGNIFICANT)


def _with_weights(plan: SearchPlan, pre: float, post: float) -> SearchPlan:
    return _with_post(_with_pre(plan, pre), post)


def _with_pre(plan: SearchPlan, weight: float) -> SearchPlan:
    return replace(plan, prf=replace(plan.prf, weight_sparse_pre=weight))


def _with_post(plan: SearchPlan, weight: float) -> SearchPlan:
    return replace(plan, fusion=replace(plan.fusion, weight_sparse=weight))


def _with_depth(plan: SearchPlan, depth: int) -> SearchPlan:
    return replace(plan, prf=replace(plan.prf, depth=depth))


def _with_beta(plan: SearchPlan, beta: float) -> SearchPlan:
    dense = DenseFeedback(alpha=round(1 - beta, 4), beta=beta)
    return replace(plan, prf=replace(plan.prf, dense=dense))


def _with_sparse_beta(plan: SearchPlan, beta: float) -> SearchPlan:
    sparse = replace(plan.prf.sparse, enabled=beta > 0, beta=beta)
    return replace(plan, prf=replace(plan.prf, sparse=sparse))


def _with_sparse_terms(plan: SearchPlan, terms: int) -> SearchPlan:
    return replace(plan, prf=replace(plan.prf, sparse=replace(plan.prf.sparse, terms=terms)))


class _Step(NamedTuple):
    """A coordinate: its choices, how to make one, and the present one (None: it has no effect)."""

    choices: Sequence[float]
    change: Callable[[SearchPlan, Any], SearchPlan]
    value: Callable[[SearchPlan], float | None]


def _sparse_terms(plan: SearchPlan) -> int | None:
    return plan.prf.sparse.terms if plan.prf.sparse.enabled else None


_DENSE_STEPS = 4
_STEPS = (
    _Step(BETAS, _with_beta, lambda plan: plan.prf.dense.beta),
    _Step(DEPTHS, _with_depth, lambda plan: plan.prf.depth),
    _Step(COARSE_WEIGHTS, _with_pre, lambda plan: plan.prf.weight_sparse_pre),
    _Step(COARSE_WEIGHTS, _with_post, lambda plan: plan.fusion.weight_sparse),
    _Step(
        SPARSE_BETAS,
        _with_sparse_beta,
        lambda plan: plan.prf.sparse.beta if plan.prf.sparse.enabled else 0.0,
    ),
    _Step(SPARSE_TERMS, _with_sparse_terms, _sparse_terms),
)
"""Those of dense feedback come first."""


def spread(queries: list[Any], most: int) -> list[Any]:
    """At most `most` of the queries, evenly over all of them; 0 stands for all."""
    if not most or len(queries) <= most:
        return queries
    return [queries[i] for i in np.linspace(0, len(queries) - 1, most).round().astype(int)]
