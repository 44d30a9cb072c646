"""The engine against its peers: one core, the same run, the same vectors, recall beside time.

    python -m bench.engine [--documents 100000] [--json FILE] [--plot FOLDER]
    python -m bench.engine --vectors FILE --queries-long FILE
    python -m bench.engine --curve

Collections are made by `bench.engine.generator`, or given as SciPy .npz files. Every engine is
tuned over
its own grid: each setting answers all queries once, and the good ones are then timed in
interleaved passes of a thousand queries, asked one at a time on one pinned core. For each recall
the fastest setting counts that reaches it, give or take .003. A found document counts when its
exact score reaches the true tenth's. Indexes are built in processes of their own.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from bench.engine.curve import LARGE, SIZES, curve
from bench.engine.data import Workload, generated, given
from bench.engine.methods import METHODS
from bench.engine.report import plot, show, write_json
from bench.engine.run import Progress, run


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add = parser.add_argument
    add("--documents", type=int, default=100_000, help="how many are made")
    add("--queries", type=int, default=1_000, help="of each kind, in a pass")
    add("--seed", type=int, default=0, help="of the made collection")
    add("--vectors", type=Path, metavar="FILE", help="documents as a SciPy CSR matrix in .npz")
    add("--queries-long", type=Path, metavar="FILE", help="long queries for --vectors")
    add("--queries-short", type=Path, metavar="FILE", help="short queries for --vectors")
    add("--methods", default="", help=f"of {','.join(METHODS)}; by default all")
    add("--k", type=int, default=10, help="documents a query")
    add("--passes", type=int, default=4, help="over the good settings, after the trial")
    add("--core", type=int, default=-1, help="the core to run on; by default the last one")
    add("--work", type=Path, default=Path(".lsr/engine"), metavar="FOLDER", help="for indexes")
    add("--reuse", action="store_true", help="keep indexes, and take those that are there")
    add("--json", type=Path, metavar="FILE", help="write the figures here too")
    add("--plot", type=Path, metavar="FOLDER", help="draw recall over time here")
    add("--curve", action="store_true", help="time at one recall by size of the collection")
    add("--curve-recall", type=float, default=0.95)
    sizes = ",".join(map(str, SIZES))
    add("--sizes", default="", help=f"of the curve; by default {sizes}, and {LARGE} if it fits")
    return parser.parse_args()


def main() -> None:
    """Measure, print, and save."""
    chosen = options()
    names = [name for name in chosen.methods.split(",") if name]
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise SystemExit(f"error: no method {unknown[0]!r}; there are {', '.join(METHODS)}")
    say = Progress()
    cores = sorted(os.sched_getaffinity(0))
    try:
        os.sched_setaffinity(0, {cores[chosen.core] if chosen.core < 0 else chosen.core})
    except (OSError, IndexError) as error:
        raise SystemExit(f"error: cannot run on core {chosen.core}; there are {cores}") from error
    if chosen.curve:
        curve(chosen, names or ["lsr", "lsr-auto"], say)
        return
    say("making or reading the collection, and its exact answers")
    work = _workload(chosen)
    folder = chosen.work / f"{work.documents.n_rows}-{chosen.seed}"
    if chosen.vectors:
        folder = chosen.work / chosen.vectors.stem
    if not chosen.reuse:
        shutil.rmtree(folder, ignore_errors=True)
    outcome = run(
        work,
        names or list(METHODS),
        folder,
        k=chosen.k,
        passes=chosen.passes,
        reuse=chosen.reuse,
        named=bool(names),
        say=say,
    )
    show(outcome)
    if chosen.json:
        write_json(outcome, chosen.json)
    if chosen.plot:
        for path in plot(outcome, chosen.plot):
            print(f"wrote {path}")
    if not chosen.reuse:
        shutil.rmtree(folder, ignore_errors=True)


def _workload(chosen: argparse.Namespace) -> Workload:
    if not chosen.vectors:
        return generated(chosen.documents, chosen.queries, chosen.seed, chosen.k)
    sets = {"long": chosen.queries_long, "short": chosen.queries_short}
    files = {kind: path for kind, path in sets.items() if path}
    try:
        return given(chosen.vectors, files, chosen.queries, chosen.k)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
