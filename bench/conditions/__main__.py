"""What the engine does in other conditions than those of `bench.engine`.

    python -m bench.conditions [--documents 100000] [--only strategies,threads] [--json FILE]
    python -m bench.conditions --vectors FILE --queries-long FILE

Six parts, each with its targets: the automatic strategy beside the two it chooses from, threads,
    what a single query costs beside its kernel, the first query of a process, filters, and a graph
    of neighbours. All but threads and first queries run on one pinned core. The index is of the
    typical config, the collection that of `bench.engine`, with as many queries again to calibrate
    with. Times are means over queries of each one's fastest pass, unless a part says otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from bench.conditions import filters, first_query, neighbours, overhead, strategies, threads
from bench.conditions.setup import K, Setup, prepared
from bench.conditions.targets import Chapter
from bench.engine.data import given
from bench.engine.generator import make
from bench.engine.run import Progress, describe
from lsr.errors import LsrError
from lsr.sparse import CSR


class Plan(NamedTuple):
    """How a part is measured, and whether on one core."""

    measure: Callable[[Setup], Any]
    pinned: bool


PLANS = {
    "strategies": Plan(strategies.measure, True),
    "threads": Plan(threads.measure, False),
    "overhead": Plan(overhead.measure, True),
    "first": Plan(first_query.measure, False),
    "filters": Plan(filters.measure, True),
    "neighbours": Plan(neighbours.measure, True),
}


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
    add("--only", default="", help=f"of {','.join(PLANS)}; by default all")
    add("--passes", type=int, default=4, help="over all settings, after the trial")
    add("--seconds", type=float, default=5.0, help="for what is timed in batches, at least")
    add("--core", type=int, default=-1, help="the core to run on; by default the last one")
    add("--work", type=Path, default=Path(".lsr/conditions"), metavar="FOLDER", help="for indexes")
    add("--reuse", action="store_true", help="keep indexes, and take those that are there")
    add("--json", type=Path, metavar="FILE", help="write the figures here too")
    return parser.parse_args()


def main() -> None:
    """Measure, print, and save."""
    chosen = options()
    names = [name for name in chosen.only.split(",") if name] or list(PLANS)
    unknown = [name for name in names if name not in PLANS]
    if unknown:
        raise SystemExit(f"error: no part {unknown[0]!r}; there are {', '.join(PLANS)}")
    cores = sorted(os.sched_getaffinity(0))
    if not (chosen.core in cores or -len(cores) <= chosen.core < 0):
        raise SystemExit(f"error: cannot run on core {chosen.core}; there are {cores}")
    core = cores[chosen.core] if chosen.core < 0 else chosen.core
    say = Progress()
    made = f"{chosen.documents}-{chosen.seed}"
    folder = chosen.work / (chosen.vectors.stem if chosen.vectors else made)
    try:
        with _pinned({core}):
            setup = _bed(chosen, folder, say)
        about = describe(setup.work, K, chosen.passes)
        _introduce(about)
        parts: dict[str, Chapter] = {}
        for name in names:
            with _pinned({core} if PLANS[name].pinned else set(cores)):
                parts[name] = PLANS[name].measure(setup)
            print("", *parts[name].lines(), sep="\n", flush=True)
    except (OSError, RuntimeError, ValueError, LsrError) as error:
        raise SystemExit(f"error: {error}") from error
    finally:
        if not chosen.reuse:
            shutil.rmtree(folder, ignore_errors=True)
    if chosen.json:
        about["load_average_after"] = os.getloadavg()
        figures: dict[str, Any] = {name: asdict(part) for name, part in parts.items()}
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps({"about": about, **figures}, indent=1)
        chosen.json.write_text(content + "\n", encoding="utf-8")


def _bed(chosen: argparse.Namespace, folder: Path, say: Progress) -> Setup:
    say("making or reading the collection")
    documents, queries = _collection(chosen)
    return prepared(
        documents,
        queries,
        folder,
        passes=chosen.passes,
        seconds=chosen.seconds,
        reuse=chosen.reuse,
        say=say,
    )


def _collection(chosen: argparse.Namespace) -> tuple[CSR, dict[str, CSR]]:
    """Documents, and twice as many queries as are measured."""
    if not chosen.vectors:
        made = make(chosen.documents, 2 * chosen.queries, chosen.seed)
        return made.documents, {"long": made.queries_long, "short": made.queries_short}
    files = {"long": chosen.queries_long, "short": chosen.queries_short}
    named = {kind: path for kind, path in files.items() if path}
    work = given(chosen.vectors, named, 2 * chosen.queries, K)
    return work.documents, work.queries


@contextmanager
def _pinned(cores: set[int]) -> Iterator[None]:
    """On these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _introduce(about: dict[str, Any]) -> None:
    print(
        f"{about['documents']:,} documents of {about['terms_per_document']:.1f} terms; "
        f"{about['passes']} passes; {about['cpu']}; load average "
        f"{about['load_average_before'][0]:.1f}"
    )
    for kind, of in about["queries"].items():
        print(
            f"{of['n']:,} {kind} queries of {of['terms']:.1f} terms, {of['postings']:,.0f} postings"
        )


if __name__ == "__main__":
    main()
