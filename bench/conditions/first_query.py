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

from bench.conditions.clock import MODES
from bench.conditions.setup import Bed
from bench.conditions.targets import Bound

__all__ = ["COMPILED", "FIRST", "Firsts", "measure"]

FIRST = Bound(0.2, 0.5, strict=True)
COMPILED = Bound(0)
RUNS = 3
"""The fastest counts; one before them fills the cache."""


@dataclass(frozen=True)
class Row:
    """Seconds of the fastest run.

    Attributes:
        first_seconds: of opening and the first search together.
        compiled: kernels that were compiled, which a warm cache spares; the most of all runs.
    """

    kind: str
    mode: str
    import_seconds: float
    open_seconds: float
    search_seconds: float
    first_seconds: float
    compiled: int


@dataclass(frozen=True)
class Firsts:
    """All modes."""

    rows: list[Row]

    def lines(self) -> Iterator[str]:
        """See `Part`."""
        yield f"first: seconds in a fresh process; open and first query, {FIRST}"
        yield f"kernels compiled, {COMPILED}"
        yield (
            f"{'queries':<8}{'mode':<13}{'import':>8}{'open':>8}{'search':>8}{'open+search':>13}"
            f"{'compiled':>18}"
        )
        for row in self.rows:
            yield (
                f"{row.kind:<8}{row.mode:<13}{row.import_seconds:>8.3f}{row.open_seconds:>8.3f}"
                f"{row.search_seconds:>8.3f}{row.first_seconds:>13.3f}"
                f"  {FIRST.verdict(row.first_seconds):<8}{row.compiled:>8}"
                f"  {COMPILED.verdict(row.compiled)}"
            )


def measure(bed: Bed, modes: Sequence[str] = MODES, runs: int = RUNS) -> Firsts:
    """Open the saved index in processes of their own.

    Raises:
        RuntimeError: such a process failed; holds the end of what it printed.
    """
    rows = []
    for kind, queries in bed.singles.items():
        query = bed.folder / f"first-{kind}.npz"
        np.savez(query, **queries[0]._asdict())
        for mode in modes:
            bed.say(f"timing the first query, {mode} search of a {kind} one")
            taken = [_fresh(bed.built.folder, query, mode) for _ in range(runs + 1)][1:]
            best = min(taken, key=lambda run: run["open_seconds"] + run["search_seconds"])
            best["compiled"] = max(run["compiled"] for run in taken)
            together = best["open_seconds"] + best["search_seconds"]
            rows.append(Row(kind=kind, mode=mode, first_seconds=together, **best))
    return Firsts(rows)


def _fresh(index: Path, query: Path, mode: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.conditions.fresh_process", str(index), str(query), mode]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-300:] or f"exit code {done.returncode}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures
