"""Query times of this checkout over those of another one, in one run: is a change slower?

    python -m bench.engine.checkouts OTHER [--documents 100000] [--passes 15]
    python -m bench.engine.checkouts OTHER --collection INDEX --queries queries.jsonl

Both checkouts open the same index, in a process each, on one pinned core, and answer the same
queries one at a time. Passes alternate; each is of at least a thousand queries. The first form
searches made vectors by each strategy (`SparseIndex.search`), the second texts in a collection
(from text to documents). The ratio is of the fastest passes, with its range over pairs of passes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from scipy.sparse import save_npz

from bench.engine.generator import make
from lsr.datasets.vectors.npz import to_scipy
from lsr.index.sparse_index import SparseIndex

ROOT = Path(__file__).resolve().parents[2]
STRATEGIES = ("exact", "approximate", "auto")

WORKER = """
import gc, json, sys, time
kind, place, queries, strategy = sys.argv[1:]
if kind == "vectors":
    from scipy.sparse import load_npz
    try:
        from lsr.index.blocks.config import SearchParams
        name = "strategy"
    except ImportError:  # version 0.1
        from lsr.index.config import SearchParams
        name = "mode"
    from lsr.index.sparse_index import SparseIndex
    from lsr.sparse import CSR
    index = SparseIndex.open(__import__("pathlib").Path(place))
    params = SearchParams(k=10, **{name: strategy})
    matrix = CSR.from_scipy(load_npz(queries))
    asked = [matrix.row(i) for i in range(matrix.n_rows)]
    search = lambda query: index.search(query, params)
else:
    from pathlib import Path
    try:
        from lsr.index.collection.reader import CollectionReader
        collection = CollectionReader.open(Path(place))
    except ImportError:
        from lsr.index.collection import Collection
        collection = Collection(Path(place))
    asked = [json.loads(line)["text"] for line in open(queries, encoding="utf-8")]
    search = lambda text: collection.search(text, k=10)
import lsr
for query in asked:
    search(query)
gc.disable()
print(json.dumps(lsr.__file__), flush=True)
for _ in sys.stdin:
    begin = time.perf_counter()
    for query in asked:
        search(query)
    print(json.dumps((time.perf_counter() - begin) / len(asked) * 1e6), flush=True)
"""


class Worker:
    """A process that searches by the code of one checkout."""

    def __init__(self, checkout: Path, *words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": str(checkout)},
        )
        found = self._read()
        if not str(found).startswith(str(checkout)):
            raise SystemExit(f"error: {checkout} was asked and {found} answered")

    def pass_us(self) -> float:
        """Microseconds a query, of one pass."""
        stdin: IO[str] = self._process.stdin  # type: ignore[assignment]
        print("go", file=stdin, flush=True)
        return float(str(self._read()))

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()

    def _read(self) -> object:
        stdout: IO[str] = self._process.stdout  # type: ignore[assignment]
        line = stdout.readline()
        if not line:
            raise SystemExit("error: a checkout stopped; its message is above")
        return json.loads(line)


def compare(other: Path, passes: int, words: list[str]) -> dict[str, float]:
    """Fastest pass of each, their ratio, and the least and greatest ratio of a pair of passes."""
    with ExitStack() as stack:
        workers = []
        for checkout in (ROOT, other):
            workers.append(Worker(checkout, *words))
            stack.callback(workers[-1].close)
        pairs = []
        for turn in range(passes):
            order = workers if turn % 2 else workers[::-1]
            found = {id(worker): worker.pass_us() for worker in order}
            pairs.append([found[id(worker)] for worker in workers])
    ours, theirs = (min(column) for column in zip(*pairs, strict=True))
    ratios = sorted(a / b for a, b in pairs)
    return {
        "here_us": ours,
        "other_us": theirs,
        "ratio": ours / theirs,
        "median": ratios[len(ratios) // 2],
        "least": ratios[0],
        "most": ratios[-1],
    }


def made(documents: int, work: Path) -> Callable[[str], list[str]]:
    """An index of made vectors, and the words that a worker needs for a kind of queries."""
    collection = make(documents, 1_000)
    SparseIndex.build(collection.documents).save(work / "index")
    for kind, queries in (("long", collection.queries_long), ("short", collection.queries_short)):
        save_npz(work / f"{kind}.npz", to_scipy(queries))
    return lambda kind: ["vectors", str(work / "index"), str(work / f"{kind}.npz")]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("other", type=Path, help="the checkout to compare with")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--passes", type=int, default=15)
    parser.add_argument("--collection", type=Path, help="an index that both versions can open")
    parser.add_argument("--queries", type=Path, help="JSON lines with a text each, for it")
    parser.add_argument("--work", type=Path, default=ROOT / ".lsr" / "checkouts")
    given = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    other = given.other.resolve()
    shutil.rmtree(given.work, ignore_errors=True)
    given.work.mkdir(parents=True)
    cases: dict[str, list[str]] = {}
    if given.collection is not None:
        place, queries = given.collection.resolve(), given.queries.resolve()
        cases["text to documents"] = ["texts", str(place), str(queries), ""]
    else:
        words = made(given.documents, given.work)
        cases = {f"{k}, {s}": [*words(k), s] for k in ("short", "long") for s in STRATEGIES}
    print(f"{'queries':<20}{'here µs':>10}{'other µs':>10}{'ratio':>8}{'median':>8}  of pairs")
    for name, words_of in cases.items():
        found = compare(other, given.passes, words_of)
        print(
            f"{name:<20}{found['here_us']:>10.1f}{found['other_us']:>10.1f}{found['ratio']:>8.3f}"
            f"{found['median']:>8.3f}  {found['least']:.3f} to {found['most']:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
