"""The time of a query by the shipped sparse model over BM25's, on the same collections.

    python -m bench.relevance.encoder_queries [--model doc-mini] [--sets scifact,nfcorpus] [--depth
    10]

From text to ranked ids, one query at a time on one pinned core, both over our engine. Queries of a
collection are repeated to `--queries` a pass; passes of both systems alternate, and the median of
their ratios counts. Documents are encoded once, and kept as `lsr eval` keeps them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from bench.engine.exact import data_folder
from lsr.cli.console import shown_progress
from lsr.datasets.open import open_judged_corpus
from lsr.encoders.registry import learned_options
from lsr.evaluation.evaluate import System
from lsr.evaluation.judged import read_judged
from lsr.evaluation.models import Models
from lsr.evaluation.system_names import named_systems
from lsr.evaluation.systems import SystemOptions, Systems
from lsr.machine import user_cache
from lsr.progress import no_progress
from lsr.types import Query

__all__ = ["main", "medians_us"]

SETS = "scifact,nfcorpus,cranfield,medline,vaswani,cacm,time"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="query time of a learned model over BM25's")
    parser.add_argument("--model", default="doc-mini")
    parser.add_argument("--sets", default=SETS)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--depth", type=int, default=10)
    given = parser.parse_args()
    print("| | BM25, us | learned, us | learned ÷ BM25 |\n|---|---|---|---|")
    ratios = []
    for name in given.sets.split(","):
        source = str(data_folder() / "eval" / name)
        corpus = open_judged_corpus(source)
        collection, _ = read_judged(source, corpus)
        specs = named_systems(["bm25", "learned"], [given.model], [])
        options = SystemOptions(user_cache() / "vectors", given.depth)
        queries = collection.queries
        with tempfile.TemporaryDirectory() as work:
            with shown_progress() as progress:  # not while queries are timed
                models = Models(learned_options())
                systems = Systems(collection, specs, models, options, Path(work), progress)
                both = [systems.make(spec) for spec in specs]
            asked = list(islice(cycle(queries), max(given.queries, len(queries))))
            passes = [medians_us(both, asked, given.depth) for _ in range(given.passes)]
            systems.close()
        ratio = statistics.median(ours / bm25 for bm25, ours in passes)
        bm25_us, ours_us = (statistics.median(side) for side in zip(*passes, strict=True))
        ratios.append(ratio)
        print(f"| {name} | {bm25_us:.0f} | {ours_us:.0f} | {ratio:.2f} |", flush=True)
    print(f"| mean | | | {statistics.mean(ratios):.2f} |")


def medians_us(systems: Sequence[System], queries: Sequence[Query], depth: int) -> list[float]:
    """Microseconds of a query in the middle, by system, on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return [
            statistics.median(system.answer(queries, depth, no_progress).query_ms) * 1e3
            for system in systems
        ]
    finally:
        os.sched_setaffinity(0, cores)


if __name__ == "__main__":
    main()
