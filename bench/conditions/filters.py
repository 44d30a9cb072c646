"""What a filter costs the automatic strategy: recall and time, with parameters made without one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.conditions.clock import asked, interleave
from bench.conditions.setup import K, Setup
from bench.conditions.targets import Target
from bench.engine.timing import Setting, trial
from bench.engine.truth import exact_top
from lsr.index.blocks.config import SearchParams
from lsr.sparse import CSR

__all__ = ["EXACT", "LOST", "Filters", "measure"]

LOST = Target(0.003, 0.01)
RECALLS = (0.97, 0.99)
EXACT = "exact"

SHARES = {"none": 1.0, "50 %": 0.5, "10 %": 0.1, "1 %": 0.01, "20 % deleted": 0.8}
"""Of the documents, drawn at random, that the filter of this name passes."""

SEED = 7


class Condition(NamedTuple):
    """A filter, and the exact best scores of what it passes, by kind of query."""

    name: str
    mask: NDArray[np.bool_] | None
    tops: dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Result:
    """One filter, with parameters calibrated for one recall without it.

    Attributes:
        calibrated: the recall, or EXACT for exact search.
        recall: against exact search with the same filter.
        lost: recall without a filter, less this one; below 0 where more is found.
    """

    kind: str
    calibrated: str
    condition: str
    n_passing: int
    recall: float
    lost: float
    mean_us: float


@dataclass(frozen=True)
class Filters:
    """All filters and recalls, for both kinds of queries."""

    rows: list[Result]

    def lines(self) -> Iterator[str]:
        """See `Chapter`."""
        yield f"filters: recall@{K} of the automatic strategy; recall lost, {LOST}"
        yield (
            f"{'queries':<8}{'calibrated':<12}{'filter':<14}{'passing':>11}{'recall':>8}"
            f"{'lost':>9}{'µs':>10}"
        )
        for row in self.rows:
            judged = "" if row.calibrated == EXACT else f"  {LOST.verdict(row.lost)}"
            yield (
                f"{row.kind:<8}{row.calibrated:<12}{row.condition:<14}{row.n_passing:>11,}"
                f"{row.recall:>8.4f}{row.lost:>9.4f}{row.mean_us:>10,.1f}{judged}"
            )


def measure(setup: Setup, recalls: Sequence[float] = RECALLS) -> Filters:
    """Ask every query under every condition."""
    conditions = _conditions(setup)
    rows = []
    for kind, queries in setup.singles.items():
        sources = [(EXACT, setup.index, SearchParams(k=K, strategy="exact"))]
        for recall in recalls:
            index = setup.calibrated(kind, recall)
            sources.append((f"{recall:g}", index, index.default_params))
        setup.say(f"timing {len(conditions)} filters of {kind} queries")
        groups = [
            [asked(index, kind, queries, replace(params, filter=c.mask)) for c in conditions]
            for _, index, params in sources
        ]
        for group in groups:
            for condition, setting in zip(conditions, group, strict=True):
                trial(setting, setup.work._replace(tops=condition.tops))
        interleave([setting for group in groups for setting in group], setup.passes, setup.say)
        for (calibrated, _, _), group in zip(sources, groups, strict=True):
            rows += _rows(setup, kind, calibrated, conditions, group)
    return Filters(rows)


def _rows(
    setup: Setup,
    kind: str,
    calibrated: str,
    conditions: Sequence[Condition],
    group: Sequence[Setting],
) -> list[Result]:
    n = setup.index.n_documents
    return [
        Result(
            kind=kind,
            calibrated=calibrated,
            condition=condition.name,
            n_passing=n if condition.mask is None else int(condition.mask.sum()),
            recall=setting.recall,
            lost=group[0].recall - setting.recall,
            mean_us=setting.undisturbed_us,
        )
        for condition, setting in zip(conditions, group, strict=True)
    ]


def _conditions(setup: Setup) -> list[Condition]:
    """The first one has no filter."""
    rng, n = np.random.default_rng(SEED), setup.index.n_documents
    made = []
    for name, share in SHARES.items():
        setup.say(f"finding exact answers, filter {name}")
        if share == 1.0:
            made.append(Condition(name, None, setup.work.tops))
            continue
        mask = np.zeros(n, np.bool_)
        mask[rng.choice(n, max(1, round(share * n)), replace=False)] = True
        mask.flags.writeable = False
        made.append(Condition(name, mask, _tops(setup, mask)))
    return made


def _tops(setup: Setup, mask: NDArray[np.bool_]) -> dict[str, NDArray[np.float32]]:
    passing = setup.work.documents.take(np.flatnonzero(mask).tolist())
    kinds = list(setup.work.queries)
    tops = exact_top(passing, CSR.concatenate([setup.work.queries[kind] for kind in kinds]), K)
    ends = np.cumsum([setup.work.queries[kind].n_rows for kind in kinds])
    return dict(zip(kinds, np.split(tops, ends[:-1]), strict=True))
