"""The first query after opening an index, in a process of its own, with a warm cache of Numba's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.conditions.clock import STRATEGIES
from bench.conditions.setup import Setup
from bench.conditions.targets import Target
from lsr.index.blocks.config import Strategy

__all__ = ["COMPILED", "FIRST", "Firsts", "measure"]

FIRST = Target(0.2, 0.5, strict=True)
COMPILED = Target(0)
RUNS = 3
"""The fastest counts; one before them fills the cache."""


@dataclass(frozen=True)
class Result:
    """Seconds of the fastest run.

    Attributes:
        first_seconds: of opening and the first search together.
        compiled: kernels that were compiled, which a warm cache spares; the most of all runs.
    """

    kind: str
    strategy: Strategy
    import_seconds: float
    open_seconds: float
    search_seconds: float
    first_seconds: float
    compiled: int


@dataclass(frozen=True)
class Firsts:
    """All strategies."""

    rows: list[Result]

    def lines(self) -> Iterator[str]:
        """See `Chapter`."""
        yield f"first: seconds in a fresh process; open and first query, {FIRST}"
        yield f"kernels compiled, {COMPILED}"
        yield (
            f"{'queries':<8}{'strategy':<13}{'import':>8}{'open':>8}{'search':>8}{'open+search':>13}"
            f"{'compiled':>18}"
        )
        for row in self.rows:
            yield (
                f"{row.kind:<8}{row.strategy:<13}{row.import_seconds:>8.3f}{row.open_seconds:>8.3f}"
                f"{row.search_seconds:>8.3f}{row.first_seconds:>13.3f}"
                f"  {FIRST.verdict(row.first_seconds):<8}{row.compiled:>8}"
                f"  {COMPILED.verdict(row.compiled)}"
            )


def measure(setup: Setup, strategies: Sequence[Strategy] = STRATEGIES, runs: int = RUNS) -> Firsts:
    """Open the saved index in processes of their own.

    Raises:
        RuntimeError: such a process failed; holds the end of what it printed.
    """
    rows = []
    for kind, queries in setup.singles.items():
        query = setup.folder / f"first-{kind}.npz"
        np.savez(query, **queries[0]._asdict())
        for strategy in strategies:
            setup.say(f"timing the first query, {strategy} search of a {kind} one")
            taken = [_fresh(setup.built.folder, query, strategy) for _ in range(runs + 1)][1:]
            best = min(taken, key=lambda run: run["open_seconds"] + run["search_seconds"])
            best["compiled"] = max(run["compiled"] for run in taken)
            together = best["open_seconds"] + best["search_seconds"]
            rows.append(Result(kind=kind, strategy=strategy, first_seconds=together, **best))
    return Firsts(rows)


def _fresh(index: Path, query: Path, strategy: Strategy) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "bench.conditions.fresh_process",
        str(index),
        str(query),
        strategy,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-300:] or f"exit code {done.returncode}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures
