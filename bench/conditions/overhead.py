"""What a search takes beside its kernel: single queries against one batch of the same.

Both are timed in groups of GROUP queries, and the fastest time of each group counts, so that a
disturbance costs a group and not a pass. The batch's own call is shared by its group, and so
counts for a fiftieth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from bench.conditions.clock import STRATEGIES, fastest
from bench.conditions.setup import K, Setup
from bench.conditions.targets import Target
from lsr.index.blocks.config import SearchParams, Strategy
from lsr.index.sparse_index import SparseIndex
from lsr.sparse import SparseVector

__all__ = ["OVERHEAD", "Overheads", "measure"]

OVERHEAD = Target(4.0, 8.0)
GROUP = 50
MOST_QUERIES = 500


@dataclass(frozen=True)
class Result:
    """Mean microseconds of a query, asked alone and in a batch, and the difference."""

    kind: str
    strategy: Strategy
    n_queries: int
    single_us: float
    batch_us: float
    overhead_us: float


@dataclass(frozen=True)
class Overheads:
    """Both kinds of queries in all strategies."""

    rows: list[Result]

    def lines(self) -> Iterator[str]:
        """See `Chapter`."""
        yield f"overhead: µs of a single query less those of one in a batch, {OVERHEAD}"
        yield f"{'queries':<8}{'strategy':<13}{'single':>9}{'batch':>9}{'overhead':>10}"
        for row in self.rows:
            yield (
                f"{row.kind:<8}{row.strategy:<13}{row.single_us:>9,.1f}{row.batch_us:>9,.1f}"
                f"{row.overhead_us:>10.1f}  {OVERHEAD.verdict(row.overhead_us)}"
            )


def measure(setup: Setup) -> Overheads:
    """Time loops of single queries and batches, in turn."""
    rows = []
    for kind, queries in setup.work.queries.items():
        n = min(queries.n_rows, MOST_QUERIES)
        groups = [range(first, min(first + GROUP, n)) for first in range(0, n, GROUP)]
        batches = [queries.take(group) for group in groups]
        singles = [[setup.singles[kind][i] for i in group] for group in groups]
        for strategy in STRATEGIES:
            setup.say(f"timing overhead, {strategy} search of {kind} queries")
            params = SearchParams(k=K, strategy=strategy)
            loops = [_loop(setup.index, group, params) for group in singles]
            calls = [partial(setup.index.search_batch, batch, params) for batch in batches]
            seconds = fastest([*loops, *calls], setup.passes, setup.seconds)
            single_us = sum(seconds[: len(loops)]) / n * 1e6
            batch_us = sum(seconds[len(loops) :]) / n * 1e6
            rows.append(Result(kind, strategy, n, single_us, batch_us, single_us - batch_us))
    return Overheads(rows)


def _loop(
    index: SparseIndex, queries: Sequence[SparseVector], params: SearchParams
) -> Callable[[], None]:
    search = index.search

    def loop() -> None:
        for query in queries:
            search(query, params)

    return loop
