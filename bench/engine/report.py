"""Tables, JSON and plots of an engine benchmark."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.engine.methods import METHODS
from bench.engine.run import SLACK, TARGETS, Outcome
from bench.engine.timing import Setting, frontier, reaching

REFERENCE = "pyseismic"
PLAIN = "numba-taat"
MEGABYTE = 1e6
HEADS = (
    f"{'method':<13}{'recall':>7}{'mean us':>9}{'undist.':>9}{'p50':>9}{'p99':>9}{'÷ mean':>8}"
    f"{'÷ undist.':>10}{'÷ p99':>7}{'÷ best':>8}{'÷ CPU':>7}{'÷ MB':>7}  settings"
)
"""Undisturbed is the mean over queries of each one's fastest time."""


@dataclass(frozen=True)
class Row:
    """A method at a recall target: of its settings that reach it, less SLACK, the fastest.

    Attributes:
        interpolated_us: undisturbed time on the lines between the settings of its frontier, at
            the target itself; None where the frontier does not reach from below to above.
        undisturbed_us: mean over queries of each one's fastest time, for busy machines.
        ratio, undisturbed_ratio, p99_ratio, build_ratio, bytes_ratio: to the reference's at the
            same target.
        best_peer_ratio: of the undisturbed time to that of the fastest method that is not ours.
    """

    kind: str
    target: float
    method: str
    index: str
    knobs: dict[str, Any]
    n_queries: int
    recall: float
    mean_us: float
    undisturbed_us: float
    p50_us: float
    p99_us: float
    interpolated_us: float | None
    build_cpu_seconds: float
    bytes: int
    peak_rss_bytes: int
    ratio: float | None = None
    undisturbed_ratio: float | None = None
    p99_ratio: float | None = None
    build_ratio: float | None = None
    bytes_ratio: float | None = None
    best_peer_ratio: float | None = None


def rows(outcome: Outcome) -> list[Row]:
    """By kind of query, target and method."""
    timed = [setting for setting in outcome.settings if setting.timed]
    kinds = dict.fromkeys(setting.kind for setting in timed)
    return [
        row
        for kind in kinds
        for target in outcome.targets
        for row in _compared(outcome, [s for s in timed if s.kind == kind], target)
    ]


def _compared(outcome: Outcome, timed: Sequence[Setting], target: float) -> list[Row]:
    fastest: list[Setting] = []
    for name in dict.fromkeys(setting.method.name for setting in timed):
        group = [setting for setting in timed if setting.method.name == name]
        fastest += reaching(group, target, SLACK)[:1]
    made = [_row(outcome, setting, timed, target) for setting in fastest]
    reference = next((row for row in made if row.method == REFERENCE), None)
    peers = [setting.undisturbed_us for setting in fastest if not setting.method.ours]
    compared = []
    for row in made:
        figures = asdict(row)
        if reference:
            figures["ratio"] = row.mean_us / reference.mean_us
            figures["undisturbed_ratio"] = row.undisturbed_us / reference.undisturbed_us
            figures["p99_ratio"] = row.p99_us / reference.p99_us
            figures["build_ratio"] = row.build_cpu_seconds / reference.build_cpu_seconds
            figures["bytes_ratio"] = row.bytes / reference.bytes
        if peers:
            figures["best_peer_ratio"] = row.undisturbed_us / min(peers)
        compared.append(Row(**figures))
    return compared


def _row(outcome: Outcome, setting: Setting, timed: Sequence[Setting], target: float) -> Row:
    build = outcome.builds[setting.method.build_label]
    group = [other for other in timed if other.method.name == setting.method.name]
    return Row(
        kind=setting.kind,
        target=target,
        method=setting.method.name,
        index=setting.method.build_label,
        knobs=setting.knobs,
        n_queries=setting.n_queries,
        recall=setting.recall,
        mean_us=setting.mean_us,
        undisturbed_us=setting.undisturbed_us,
        p50_us=setting.percentile_us(50),
        p99_us=setting.percentile_us(99),
        interpolated_us=interpolated(group, target),
        build_cpu_seconds=build.cpu_seconds,
        bytes=build.bytes,
        peak_rss_bytes=build.peak_rss_bytes,
    )


def interpolated(group: Sequence[Setting], target: float) -> float | None:
    """Undisturbed time of a frontier at a recall between those of its settings."""
    front = frontier(group)
    for below, above in pairwise(front):
        if below.recall <= target <= above.recall:
            part = (target - below.recall) / (above.recall - below.recall)
            return below.undisturbed_us + part * (above.undisturbed_us - below.undisturbed_us)
    return None


def show(outcome: Outcome) -> None:
    """Print the tables."""
    about, made = outcome.description, rows(outcome)
    print(
        f"\n{about['documents']:,} documents of {about['terms_per_document']:.1f} terms; recall@"
        f"{about['k']}; {about['passes']} passes; one core of {about['cpu']}; load average "
        f"{about['load_average_before'][0]:.1f} to {about['load_average_after'][0]:.1f}"
    )
    for name, why in outcome.absent.items():
        print(f"absent: {name}: {why}")
    print(f"\n{'index':<32}{'CPU s':>9}{'wall s':>9}{'MB':>9}{'peak MB':>9}{'before MB':>11}")
    for label, build in outcome.builds.items():
        sizes = (build.bytes, build.peak_rss_bytes, build.rss_before_bytes)
        megabytes, peak, before = (f"{size / MEGABYTE:,.0f}" for size in sizes)
        print(
            f"{label:<32}{build.cpu_seconds:>9.1f}{build.wall_seconds:>9.1f}{megabytes:>9}"
            f"{peak:>9}{before:>11}"
        )
        if build.parts:
            parts = (f"{name} {size / MEGABYTE:,.1f}" for name, size in build.parts.items())
            print(f"    of these MB: {', '.join(parts)}")
    for kind, target in dict.fromkeys((row.kind, row.target) for row in made):
        queries = about["queries"][kind]
        print(
            f"\n{kind} queries, {queries['terms']:.1f} terms, {queries['postings']:,.0f} postings; "
            f"fastest with recall of {target - SLACK:.3f} or more; "
            f"÷ is to {REFERENCE}'s, ÷ best to the fastest peer's"
        )
        print(HEADS)
        chosen = [row for row in made if (row.kind, row.target) == (kind, target)]
        for row in sorted(chosen, key=lambda row: row.undisturbed_us):
            print(_line(row))
    if outcome.targets != TARGETS:
        _show_grid(outcome, made)
    _show_exact(made)


def _show_grid(outcome: Outcome, made: Sequence[Row]) -> None:
    """Undisturbed time of each method by recall, as in the tables of Bruch et al. (2024)."""
    targets = outcome.targets
    for kind in dict.fromkeys(setting.kind for setting in outcome.settings):
        print(f"\n{kind} queries, undisturbed µs by recall in percent, less {100 * SLACK:g}")
        print(f"{'method':<13}" + "".join(f"{100 * target:>9g}" for target in targets))
        for method in dict.fromkeys(setting.method.name for setting in outcome.settings):
            us = {r.target: r.undisturbed_us for r in made if (r.kind, r.method) == (kind, method)}
            cells = (format(us[target], ",.1f") if target in us else "–" for target in targets)
            print(f"{method:<13}" + "".join(f"{cell:>9}" for cell in cells))


def _line(row: Row) -> str:
    measured = (row.mean_us, row.undisturbed_us, row.p50_us, row.p99_us)
    times = "".join(f"{us:>9,.1f}" for us in measured)
    ratios = _ratio(row.ratio, 8) + _ratio(row.undisturbed_ratio, 10)
    ratios += _ratio(row.p99_ratio, 7) + _ratio(row.best_peer_ratio, 8)
    costs = "".join(_ratio(r, 7) for r in (row.build_ratio, row.bytes_ratio))
    knobs = " ".join(f"{name}={value:g}" for name, value in row.knobs.items())
    few = f" ({row.n_queries} queries)" if row.n_queries < 1_000 else ""
    settings = f"{row.index.partition(' ')[2]} {knobs}{few}"
    return f"{row.method:<13}{row.recall:>7.4f}{times}{ratios}{costs}  {settings}"


def _ratio(value: float | None, width: int) -> str:
    return f"{'–' if value is None else format(value, '.2f'):>{width}}"


def _show_exact(made: Sequence[Row]) -> None:
    for kind in dict.fromkeys(row.kind for row in made):
        exact = {r.method: r for r in made if r.kind == kind and METHODS[r.method].exact}
        plain = exact.get(PLAIN)
        if plain:
            parts = [
                f"{name} {row.undisturbed_us / plain.undisturbed_us:.2f}"
                for name, row in exact.items()
                if row != plain
            ]
            print(f"\n{kind} queries, exact methods ÷ {PLAIN}: {', '.join(parts)}")


def write_json(outcome: Outcome, path: Path) -> None:
    """All figures, those of settings that were tried once included."""
    points = [
        {
            "method": s.method.name,
            "index": s.method.build_label,
            "kind": s.kind,
            "knobs": s.knobs,
            "recall": s.recall,
            "mean_us": s.mean_us,
            "undisturbed_us": s.undisturbed_us,
            "p50_us": s.percentile_us(50),
            "p99_us": s.percentile_us(99),
            "n_queries": s.n_queries,
            "passes": len(s.passes),
        }
        for s in outcome.settings
    ]
    content = {
        "about": outcome.description,
        "absent": outcome.absent,
        "builds": {label: asdict(build) for label, build in outcome.builds.items()},
        "rows": [asdict(row) for row in rows(outcome)],
        "points": points,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def plot(outcome: Outcome, folder: Path) -> list[Path]:
    """Recall over time of every method, a plot for each kind of query, as PNG and SVG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in outcome.description["queries"]:
        figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
        for name in dict.fromkeys(setting.method.name for setting in outcome.settings):
            group = [s for s in outcome.settings if (s.method.name, s.kind) == (name, kind)]
            front = frontier([setting for setting in group if setting.timed])
            if front:
                times, found = [s.undisturbed_us for s in front], [s.recall for s in front]
                style = "o-" if group[0].method.ours else "s--"
                axes.plot(times, found, style, markersize=4, label=name)
        axes.set(
            xscale="log",
            xlabel="mean time of a query, µs",
            ylabel=f"recall@{outcome.description['k']}",
            title=f"{outcome.description['documents']:,} documents, {kind} queries, one core",
        )
        if outcome.targets != TARGETS:
            axes.set_yticks(outcome.targets)
        axes.grid(which="both", alpha=0.3)
        axes.legend(fontsize="small")
        for suffix in ("png", "svg"):
            path = folder / f"engine-{outcome.description['documents']}-{kind}.{suffix}"
            figure.savefig(path, dpi=150)
            written.append(path)
        pyplot.close(figure)
    return written
