"""Timing for `bench.conditions`: settings as the engine benchmark has them, and whole calls."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.engine.ours import Ours
from bench.engine.run import Progress
from bench.engine.timing import Setting, time_once
from lsr.index.blocks.config import SearchParams, Strategy
from lsr.index.sparse_index import SparseIndex
from lsr.sparse import SparseVector

__all__ = ["STRATEGIES", "asked", "compared_us", "fastest", "interleave"]

STRATEGIES: tuple[Strategy, ...] = ("approximate", "exact", "auto")


class Asked(Ours):
    """An index that is open, asked with whole parameters."""

    def __init__(self, index: SparseIndex, params: SearchParams) -> None:
        super().__init__({}, params.k)
        self.index, self.params = index, params

    def rows(self, answer: Any) -> Sequence[int]:
        """Rows of an answer; none that the filter leaves out, which are no hits."""
        found = super().rows(answer)
        allowed = self.params.filter
        return found if allowed is None else [row for row in found if allowed[row]]


def asked(
    index: SparseIndex, kind: str, queries: Sequence[SparseVector], params: SearchParams
) -> Setting:
    """Single queries of a kind, with these parameters; not timed yet."""
    knobs = {
        "query_cut": params.query_cut,
        "heap_factor": params.heap_factor,
        "n_knn": params.n_knn,
        "strategy": params.strategy,
    }
    search = index.search
    method = Asked(index, params)
    return Setting(method, kind, knobs, queries, lambda query: search(query, params))


def interleave(settings: Sequence[Setting], passes: int, say: Progress) -> None:
    """So many passes of each setting, one after the other, each time from another one on."""
    for turn in range(passes):
        say(f"pass {turn + 1} of {passes}, {len(settings)} settings")
        start = turn * len(settings) // passes
        time_once([*settings[start:], *settings[:start]])


def compared_us(settings: Sequence[Setting]) -> list[float]:
    """Mean over queries of each one's fastest time; over those that all the settings answered."""
    n = min(setting.n_queries for setting in settings)
    return [float(np.min(s.passes, axis=0)[:n].mean()) for s in settings]


def fastest(
    calls: Sequence[Callable[[], object]], least_rounds: int, seconds: float
) -> list[float]:
    """Seconds of the fastest run of each call.

    All are run in turn, once to warm up, then for at least so many rounds and about `seconds`.
    """
    clock, best = time.perf_counter, [float("inf")] * len(calls)
    for call in calls:
        call()
    end, rounds = clock() + seconds, 0
    gc.disable()
    try:
        while rounds < least_rounds or clock() < end:
            for place, call in enumerate(calls):
                begin = clock()
                call()
                best[place] = min(best[place], clock() - begin)
            rounds += 1
    finally:
        gc.enable()
    return best
