"""What a graph of nearest documents is worth: time at a recall with it and without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.conditions.clock import asked, interleave
from bench.conditions.setup import Built, K, Setup, built
from bench.engine.method import Values
from bench.engine.ours import KNOBS
from bench.engine.run import LEAST_RECALL
from bench.engine.timing import Setting, finalists, reaching, trial
from lsr.index.blocks.config import SearchParams
from lsr.index.indexer.block_builder import typical_config

__all__ = ["Neighbours", "measure"]

N_NEIGHBOURS = 10
N_KNN = (3, 5, 10)
RECALLS = (0.95, 0.97, 0.99)
MEGABYTE = 1e6


@dataclass(frozen=True)
class Graph:
    """What the graph adds to the index, built on one thread."""

    plain_cpu_seconds: float
    graph_cpu_seconds: float
    plain_bytes: int
    graph_bytes: int
    neighbour_bytes: int


@dataclass(frozen=True)
class Result:
    """The fastest setting that reaches a recall, without and with neighbours.

    Attributes:
        plain_us, knn_us: None where no setting of the grid reaches it.
        ratio: `plain_us` to `knn_us`; above 1 where neighbours help.
    """

    kind: str
    target: float
    plain_us: float | None
    plain: Values
    knn_us: float | None
    knn: Values
    ratio: float | None


@dataclass(frozen=True)
class Neighbours:
    """Both kinds of queries at all recalls."""

    graph: Graph
    rows: list[Result]

    def lines(self) -> Iterator[str]:
        """See `Chapter`."""
        g = self.graph
        yield "neighbours: µs of the fastest setting at a recall; ÷ above 1 where the graph helps"
        yield (
            f"build: {g.plain_cpu_seconds:.1f} s of CPU without, {g.graph_cpu_seconds:.1f} s with "
            f"{N_NEIGHBOURS} neighbours; {g.plain_bytes / MEGABYTE:,.1f} and "
            f"{g.graph_bytes / MEGABYTE:,.1f} MB, {g.neighbour_bytes / MEGABYTE:,.1f} of neighbours"
        )
        yield f"{'queries':<8}{'recall ≥':>9}{'without':>10}{'with':>10}{'÷':>7}  settings"
        for row in self.rows:
            ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
            settings = "; ".join(_named(knobs) for knobs in (row.plain, row.knn) if knobs)
            yield (
                f"{row.kind:<8}{row.target:>9.2f}{_us(row.plain_us):>10}{_us(row.knn_us):>10}"
                f"{ratio:>7}  {settings}"
            )


def measure(
    setup: Setup, knobs: Mapping[str, Sequence[Values]] = KNOBS, n_knn: Sequence[int] = N_KNN
) -> Neighbours:
    """Build the other index, try all settings of both, and time the good ones."""
    setup.say(f"building an index with {N_NEIGHBOURS} neighbours")
    config = replace(typical_config(setup.documents), n_neighbours=N_NEIGHBOURS)
    other = built(setup.documents, config, setup.folder / f"neighbours-{N_NEIGHBOURS}", setup.reuse)
    rows = []
    for kind in setup.work.queries:
        plain = _tried(setup, setup.built, kind, knobs[kind], (0,))
        with_graph = _tried(setup, other, kind, knobs[kind], n_knn)
        good = [finalists(group, RECALLS, 0.0, LEAST_RECALL) for group in (plain, with_graph)]
        interleave([setting for group in good for setting in group], setup.passes, setup.say)
        rows += [_row(kind, target, *good) for target in RECALLS]
    sizes = [index.stats()["bytes"] for index in (setup.index, other.index)]
    graph = Graph(
        setup.built.cpu_seconds,
        other.cpu_seconds,
        sum(sizes[0].values()),
        sum(sizes[1].values()),
        sizes[1]["neighbours"],
    )
    return Neighbours(graph, rows)


def _tried(
    setup: Setup, made: Built, kind: str, knobs: Sequence[Values], n_knn: Sequence[int]
) -> list[Setting]:
    tried = [
        asked(
            made.index,
            kind,
            setup.singles[kind],
            SearchParams(k=K, strategy="approximate", n_knn=n, **values),
        )
        for n in n_knn
        for values in knobs
    ]
    setup.say(f"trying {len(tried)} settings of {kind} queries on {made.folder.name}")
    for setting in tried:
        trial(setting, setup.work)
    return tried


def _row(
    kind: str, target: float, plain: Sequence[Setting], with_graph: Sequence[Setting]
) -> Result:
    best = [next(iter(reaching(group, target, 0.0)), None) for group in (plain, with_graph)]
    plain_us, knn_us = (None if setting is None else setting.undisturbed_us for setting in best)
    return Result(
        kind,
        target,
        plain_us,
        {} if best[0] is None else best[0].knobs,
        knn_us,
        {} if best[1] is None else best[1].knobs,
        None if plain_us is None or knn_us is None else plain_us / knn_us,
    )


def _us(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"


def _named(knobs: Values) -> str:
    return f"cut {knobs['query_cut']}, heap {knobs['heap_factor']:g}, knn {knobs['n_knn']}"
