"""Timing: whole passes over many queries, one engine after the other.

Asking one query again and again, or few queries, measures the cache. A pass therefore answers at
least a thousand different queries, one at a time, and the passes of all settings are interleaved,
so that all of them meet the same disturbances. Of a setting's passes the one with the smallest mean
gives the mean; percentiles are over each query's fastest time, and so is the undisturbed mean, by
which settings are chosen. On an idle machine both means are about the same.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.engine.data import Workload
from bench.engine.method import Method, Values
from bench.engine.truth import recall

TRIAL_SECONDS = 8.0
"""A pass of a slow engine ends after so long, but not before so many queries:"""
LEAST_QUERIES = 30


@dataclass
class Setting:
    """An engine with its search settings, and what was measured of it.

    Attributes:
        queries: in the engine's own form.
        recall: over the queries of the trial.
        passes: microseconds by query; first the trial's.
        timed: whether it was timed in more than the trial.
    """

    method: Method
    kind: str
    knobs: Values
    queries: Sequence[Any]
    search: Callable[[Any], Any]
    recall: float = 0.0
    passes: list[NDArray[np.float64]] = field(default_factory=list)

    @property
    def timed(self) -> bool:
        return len(self.passes) > 1

    @property
    def n_queries(self) -> int:
        return len(self.passes[0])

    @property
    def mean_us(self) -> float:
        """Mean of the fastest pass."""
        return min(float(times.mean()) for times in self.passes)

    @property
    def undisturbed_us(self) -> float:
        """Mean over queries of each one's fastest time; steadier on a busy machine."""
        return float(np.min(self.passes, axis=0).mean())

    def percentile_us(self, percent: float) -> float:
        """Over each query's fastest time."""
        return float(np.percentile(np.min(self.passes, axis=0), percent))


def settings(method: Method, work: Workload) -> list[Setting]:
    """All search settings of an opened index, for every kind of query."""
    made = []
    for kind, matrix in work.queries.items():
        queries = [method.prepare(matrix.row(row)) for row in range(matrix.n_rows)]
        for knobs in method.knobs(kind):
            made.append(Setting(method, kind, knobs, queries, method.searcher(**knobs)))
    return made


def trial(setting: Setting, work: Workload) -> None:
    """A first pass, which also gives the recall and warms up."""
    for query in setting.queries[:LEAST_QUERIES]:
        setting.search(query)
    times, answers = _pass(setting, len(setting.queries), TRIAL_SECONDS)
    setting.passes = [times]
    found = [setting.method.rows(answer) for answer in answers]
    kind = setting.kind
    setting.recall = recall(found, work.documents, work.queries[kind], work.tops[kind])


def time_once(chosen: Sequence[Setting]) -> None:
    """One more pass of each setting, over as many queries as in the trial."""
    for setting in chosen:
        setting.passes.append(_pass(setting, setting.n_queries)[0])


def _pass(
    setting: Setting, n: int, seconds: float = float("inf")
) -> tuple[NDArray[np.float64], list[Any]]:
    """Microseconds of each query, and the answers."""
    search, clock = setting.search, time.perf_counter_ns
    times, answers = [], []
    limit = clock() + seconds * 1e9
    gc.disable()
    try:
        for i in range(n):
            begin = clock()
            answer = search(setting.queries[i])
            end = clock()
            times.append(end - begin)
            answers.append(answer)
            if end > limit and i + 1 >= LEAST_QUERIES:
                break
    finally:
        gc.enable()
    return np.array(times) / 1e3, answers


def reaching(candidates: Sequence[Setting], target: float, slack: float) -> list[Setting]:
    """Settings of at least this recall, less the slack; the fastest first."""
    enough = [setting for setting in candidates if setting.recall >= target - slack]
    return sorted(enough, key=lambda setting: setting.undisturbed_us)


def frontier(candidates: Sequence[Setting]) -> list[Setting]:
    """Settings that no other beats in both recall and time, by ascending time."""
    front: list[Setting] = []
    for setting in sorted(
        candidates, key=lambda setting: (setting.undisturbed_us, -setting.recall)
    ):
        if not front or setting.recall > front[-1].recall:
            front.append(setting)
    return front


def finalists(
    candidates: Sequence[Setting], targets: Sequence[float], slack: float, least: float
) -> list[Setting]:
    """What is worth exact timing: of each method the frontier from recall `least` on, and the
    three that were fastest to reach each target."""
    chosen: dict[int, Setting] = {}
    for name, kind in dict.fromkeys((s.method.name, s.kind) for s in candidates):
        group = [s for s in candidates if (s.method.name, s.kind) == (name, kind)]
        front = [setting for setting in frontier(group) if setting.recall >= least]
        near = [s for target in targets for s in reaching(group, target, slack)[:3]]
        chosen.update({id(setting): setting for setting in [*front, *near]})
    return list(chosen.values())
