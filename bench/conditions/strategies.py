"""Whether the automatic strategy is about as fast as the better of the two that it chooses from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.conditions.clock import STRATEGIES, asked, compared_us, interleave
from bench.conditions.setup import K, Setup
from bench.conditions.targets import Target
from bench.engine.timing import Setting, trial
from lsr.index.blocks.config import SearchParams
from lsr.index.sparse_index import SparseIndex

__all__ = ["RATIO", "Modes", "measure"]

RATIO = Target(1.05)
SETTINGS = ((3, 1.0), (5, 0.9), (8, 0.8), (12, 0.7))
"""Query cut and heap factor."""

RECALLS = (0.97, 0.99)
"""What is calibrated for."""


@dataclass(frozen=True)
class Result:
    """Mean times of single queries with one setting.

    Attributes:
        costs: "typical", or the recall they were measured for by `calibrate`.
        recall: of the approximate strategy.
        approximately: share of the queries for which it chose the approximate strategy.
        ratio: its time to that of the better strategy.
    """

    kind: str
    costs: str
    query_cut: int
    heap_factor: float
    n_knn: int
    recall: float
    approximately: float
    approximate_us: float
    exact_us: float
    auto_us: float
    ratio: float


@dataclass(frozen=True)
class Modes:
    """All settings, of both kinds of queries."""

    rows: list[Result]

    def lines(self) -> Iterator[str]:
        """See `Chapter`."""
        yield f"strategies: µs of a single query; auto ÷ the better of both, {RATIO}"
        yield (
            f"{'queries':<8}{'costs':<9}{'cut':>4}{'heap':>6}{'knn':>4}{'recall':>8}{'approx.':>9}"
            f"{'exact':>9}{'auto':>9}{'chosen':>8}{'÷':>7}"
        )
        for row in self.rows:
            yield (
                f"{row.kind:<8}{row.costs:<9}{row.query_cut:>4}{row.heap_factor:>6.2f}{row.n_knn:>4}"
                f"{row.recall:>8.4f}{row.approximate_us:>9,.1f}{row.exact_us:>9,.1f}"
                f"{row.auto_us:>9,.1f}{row.approximately:>8.0%}{row.ratio:>7.3f}"
                f"  {RATIO.verdict(row.ratio)}"
            )


def measure(
    setup: Setup,
    settings: Sequence[tuple[int, float]] = SETTINGS,
    recalls: Sequence[float] = RECALLS,
) -> Modes:
    """Time all strategies, with typical costs and after calibration."""
    rows = []
    for kind in setup.work.queries:
        chosen: list[tuple[str, SparseIndex, SearchParams]] = [
            ("typical", setup.index, SearchParams(k=K, query_cut=cut, heap_factor=heap_factor))
            for cut, heap_factor in settings
        ]
        for recall in recalls:
            index = setup.calibrated(kind, recall)
            chosen.append((f"{recall:g}", index, index.default_params))
        setup.say(
            f"timing {len(STRATEGIES)} strategies with {len(chosen)} settings of {kind} queries"
        )
        groups = [_by_mode(setup, index, kind, params) for _, index, params in chosen]
        for group in groups:
            for setting in group.values():
                trial(setting, setup.work)
        interleave([s for group in groups for s in group.values()], setup.passes, setup.say)
        rows += [
            _row(setup, kind, *choice, group) for choice, group in zip(chosen, groups, strict=True)
        ]
    return Modes(rows)


def _by_mode(
    setup: Setup, index: SparseIndex, kind: str, params: SearchParams
) -> dict[str, Setting]:
    queries = setup.singles[kind]
    return {
        strategy: asked(index, kind, queries, replace(params, strategy=strategy))
        for strategy in STRATEGIES
    }


def _row(
    setup: Setup,
    kind: str,
    costs: str,
    index: SparseIndex,
    params: SearchParams,
    group: Mapping[str, Setting],
) -> Result:
    approximate, exact, auto = compared_us(list(group.values()))
    choices = index.searcher.choose(setup.work.queries[kind], replace(params, strategy="auto"))
    return Result(
        kind=kind,
        costs=costs,
        query_cut=params.query_cut,
        heap_factor=params.heap_factor,
        n_knn=params.n_knn,
        recall=group["approximate"].recall,
        approximately=float(choices.mean()),
        approximate_us=approximate,
        exact_us=exact,
        auto_us=auto,
        ratio=auto / min(approximate, exact),
    )
