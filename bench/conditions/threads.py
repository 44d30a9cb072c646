"""What a second thread brings to a batch of queries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from bench.conditions.clock import fastest
from bench.conditions.setup import K, Setup
from bench.conditions.targets import Target
from lsr.index.blocks.config import SearchParams, Strategy

__all__ = ["RATIO", "Threads", "measure"]

RATIO = Target(1.9, 1.7, least=True)
THREADS = (1, 2)


@dataclass(frozen=True)
class Result:
    """Queries a second of one batch, by one thread and by two."""

    kind: str
    strategy: Strategy
    n_queries: int
    one: float
    two: float
    ratio: float


@dataclass(frozen=True)
class Threads:
    """Both kinds of queries in both strategies; empty where there is one core only."""

    n_cores: int
    rows: list[Result]

    def lines(self) -> Iterator[str]:
        """See `Chapter`."""
        yield f"threads: queries a second of search_batch; 2 threads ÷ 1, {RATIO}"
        if not self.rows:
            yield "left out: this process may use one core only, and two threads need two"
            return
        yield f"{'queries':<8}{'strategy':<13}{'1 thread':>10}{'2 threads':>11}{'÷':>7}"
        for row in self.rows:
            yield (
                f"{row.kind:<8}{row.strategy:<13}{row.one:>10,.0f}{row.two:>11,.0f}{row.ratio:>7.2f}"
                f"  {RATIO.verdict(row.ratio)}"
            )


def measure(setup: Setup) -> Threads:
    """Time batches; the process must not be bound to one core."""
    n_cores, rows = len(os.sched_getaffinity(0)), []
    if n_cores < max(THREADS):
        return Threads(n_cores, [])
    for kind, queries in setup.work.queries.items():
        for strategy in ("approximate", "exact"):
            setup.say(f"timing threads, {strategy} search of {kind} queries")
            search = partial(
                setup.index.search_batch, queries, SearchParams(k=K, strategy=strategy)
            )
            calls = [partial(search, n_threads=n) for n in THREADS]
            seconds = fastest(calls, setup.passes, setup.seconds)
            one, two = (queries.n_rows / taken for taken in seconds)
            rows.append(Result(kind, strategy, queries.n_rows, one, two, two / one))
    return Threads(n_cores, rows)
