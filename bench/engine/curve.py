"""How time grows with the collection, at one recall."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.engine.data import generated
from bench.engine.run import SLACK, Outcome, Progress, run
from bench.engine.timing import reaching

SIZES = (10_000, 100_000, 1_000_000)
LARGE = 4_000_000
BYTES_PER_DOCUMENT = 4_000
"""Of the largest process during the run, about: vectors, their transpose, and the index."""


def curve(options: argparse.Namespace, names: Sequence[str], say: Progress) -> None:
    """Measure by size, print, and save as the options say."""
    points: list[dict[str, Any]] = []
    for size in _sizes(options.sizes, say):
        say(f"{size:,} documents")
        work = generated(size, options.queries, options.seed, options.k)
        folder = options.work / f"{size}-{options.seed}"
        if not options.reuse:
            shutil.rmtree(folder, ignore_errors=True)
        outcome = run(
            work,
            names,
            folder,
            k=options.k,
            passes=options.passes,
            reuse=options.reuse,
            named=True,
            say=say,
        )
        points += _points(outcome, size, options.curve_recall)
        if not options.reuse:
            shutil.rmtree(folder, ignore_errors=True)
    _show(points, options.curve_recall)
    if options.json:
        options.json.write_text(json.dumps(points, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        _plot(points, options.curve_recall, options.plot)


def _sizes(given: str, say: Progress) -> list[int]:
    if given:
        return [int(size) for size in given.split(",")]
    needed = LARGE * BYTES_PER_DOCUMENT
    if _available_bytes() >= needed:
        return [*SIZES, LARGE]
    say(f"{LARGE:,} documents are left out: they need about {needed / 1e9:.0f} GB of memory")
    return list(SIZES)


def _available_bytes() -> int:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable")), 0)


def _points(outcome: Outcome, size: int, target: float) -> list[dict[str, Any]]:
    made = []
    timed = [setting for setting in outcome.settings if setting.timed]
    for name, kind in dict.fromkeys((s.method.name, s.kind) for s in timed):
        group = [s for s in timed if (s.method.name, s.kind) == (name, kind)]
        for setting in reaching(group, target, SLACK)[:1]:
            made.append(
                {
                    "documents": size,
                    "method": name,
                    "kind": kind,
                    "recall": setting.recall,
                    "mean_us": setting.mean_us,
                    "undisturbed_us": setting.undisturbed_us,
                    "p99_us": setting.percentile_us(99),
                    "index": setting.method.build_label,
                    "knobs": setting.knobs,
                }
            )
    return made


def _lines(points: Sequence[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    lines: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for point in points:
        lines.setdefault((point["method"], point["kind"]), []).append(point)
    return lines


def _show(points: Sequence[dict[str, Any]], target: float) -> None:
    """The exponent e says that time grows as documents ** e from the size before."""
    print(f"\nfastest with recall of {target - SLACK:.3f} or more")
    print(
        f"{'method':<13}{'queries':<9}{'documents':>11}{'recall':>8}"
        f"{'mean us':>10}{'undist.':>10}{'exponent':>10}"
    )
    for (method, kind), line in _lines(points).items():
        before = None
        for point in line:
            growth = ""
            if before:
                times = np.log(point["undisturbed_us"] / before["undisturbed_us"])
                growth = f"{times / np.log(point['documents'] / before['documents']):.2f}"
            figures = f"{point['documents']:>11,}{point['recall']:>8.4f}{point['mean_us']:>10,.1f}"
            print(f"{method:<13}{kind:<9}{figures}{point['undisturbed_us']:>10,.1f}{growth:>10}")
            before = point


def _plot(points: Sequence[dict[str, Any]], target: float, folder: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for (method, kind), line in _lines(points).items():
        sizes, times = [p["documents"] for p in line], [p["undisturbed_us"] for p in line]
        axes.plot(sizes, times, "o-", label=f"{method}, {kind} queries")
    axes.set(xscale="log", yscale="log", xlabel="documents", ylabel="mean time of a query, µs")
    axes.set_title(f"time at recall {target:g}, one core")
    axes.grid(which="both", alpha=0.3)
    axes.legend(fontsize="small")
    for suffix in ("png", "svg"):
        figure.savefig(folder / f"engine-curve.{suffix}", dpi=150)
    pyplot.close(figure)
