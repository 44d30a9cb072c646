"""The engine against its peers: one core, the same run, the same vectors, recall beside time.

    python -m bench.engine [--documents 100000] [--json FILE] [--plot FOLDER]
    python -m bench.engine --vectors FILE --queries-long FILE [--accuracy 90:97]
    python -m bench.engine --curve

Collections are made by `bench.engine.generator`, or given in files that `lsr index build
--vectors` reads. Every engine is tuned over its own grid: each setting answers all queries once,
and the good ones are then timed in interleaved passes of a thousand queries, asked one at a time
on one pinned core. For each recall the fastest setting counts that reaches it, give or take .003.
A found document counts when its exact score reaches the true tenth's. Indexes are built in
processes of their own.
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
from bench.engine.run import TARGETS, Progress, run
from lsr.datasets.vectors.open import FORMATS
from lsr.errors import LsrError


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add = parser.add_argument
    add("--documents", type=int, help="how many are made; by default 100,000")
    add("--queries", type=int, default=1_000, help="of each kind, in a pass")
    add("--seed", type=int, help="of the made collection; by default 0")
    add("--vectors", type=Path, metavar="FILE", help="documents in place of made ones")
    add("--vector-format", help=f"of all files: {', '.join(FORMATS)}; by default recognised")
    add("--queries-long", type=Path, metavar="FILE", help="long queries for --vectors")
    add("--queries-short", type=Path, metavar="FILE", help="short queries for --vectors")
    add(
        "--accuracy",
        metavar="PERCENT",
        help="recalls to compare at, as 90:97 (by 1) or 90,95,99; by default 90,95,97,99",
    )
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
    chosen = parser.parse_args()
    _refuse_unused(parser, chosen)
    return chosen


def _refuse_unused(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> None:
    """End with a sentence where an option would not be looked at; fill in what has defaults."""
    own, made = ("vector_format", "queries_long", "queries_short"), ("documents", "seed")
    for name in made if chosen.vectors else own:
        if getattr(chosen, name) is not None:
            where = "beside --vectors" if chosen.vectors else "without --vectors"
            parser.error(f"--{name.replace('_', '-')} is not looked at {where}; leave it out")
    for name in ("accuracy", "vectors"):
        if chosen.curve and getattr(chosen, name) is not None:
            parser.error(f"--{name} is not looked at by --curve; leave one of the two out")
    chosen.documents = 100_000 if chosen.documents is None else chosen.documents
    chosen.seed = chosen.seed or 0
    try:
        chosen.accuracy = TARGETS if chosen.accuracy is None else accuracies(chosen.accuracy)
    except ValueError as error:
        parser.error(str(error))


def accuracies(given: str) -> tuple[float, ...]:
    """Recalls, ascending, of `90:97` (by 1) or `90,95,99.5`, in percent.

    Raises:
        ValueError: it is neither, or a number is not above 0 and at most 100.
    """
    first, colon, last = given.partition(":")
    try:
        if colon:
            percents = [float(percent) for percent in range(int(first), int(last) + 1)]
        else:
            percents = sorted({float(percent) for percent in given.split(",")})
    except ValueError:
        percents = []
    if not percents or not all(0 < percent <= 100 for percent in percents):
        raise ValueError(f"--accuracy is {given!r}; give percents, as 90:97 or 90,95,99")
    return tuple(round(percent / 100, 6) for percent in percents)


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
    work = _workload(chosen, say)
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
        targets=chosen.accuracy,
    )
    show(outcome)
    if chosen.json:
        write_json(outcome, chosen.json)
    if chosen.plot:
        for path in plot(outcome, chosen.plot):
            print(f"wrote {path}")
    if not chosen.reuse:
        shutil.rmtree(folder, ignore_errors=True)


def _workload(chosen: argparse.Namespace, say: Progress) -> Workload:
    if not chosen.vectors:
        return generated(chosen.documents, chosen.queries, chosen.seed, chosen.k)
    sets = {"long": chosen.queries_long, "short": chosen.queries_short}
    files = {kind: path for kind, path in sets.items() if path}
    try:
        return given(chosen.vectors, files, chosen.queries, chosen.k, chosen.vector_format, say)
    except (OSError, LsrError) as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
