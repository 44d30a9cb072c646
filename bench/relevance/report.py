"""The project's figures beside their targets, as one Markdown table.

    python -m bench.relevance.report [--fresh] [--out reports]

Runs `lsr eval`, `bench.engine.exact` and, with --fresh, `bench.fresh`, and writes OUT/report.md and
OUT/report.json. The first run encodes two collections with the dense model, which takes minutes on
a CPU; later ones find the vectors in the user's cache folder. A missed target is a figure like any
other: the exit code is 1 only when something could not be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.engine.exact import (
    BM25S_BATCH,
    BM25S_SINGLE,
    OURS_BATCH,
    OURS_SINGLE,
    SCIPY_BATCH,
    SCIPY_DENSE,
    SCIPY_SPARSE,
    data_folder,
)

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED_LUCENE_NDCG = {"scifact": 0.679, "nfcorpus": 0.322}
DENSE_NDCG = {"scifact": (0.642, 0.648), "nfcorpus": (0.311, 0.320)}
"""Published figures of all-MiniLM-L6-v2, .645 and .314 to .317, give or take .003."""

NDCG_TOLERANCE, RECALL_TOLERANCE = 0.005, 0.010
SCIPY_FACTOR, BM25S_FACTOR = 20.0, 1.0
NOT_MEASURED = "not measured"
MAKE_TEST_SECONDS, TESTS_SECONDS, DEMO_SECONDS = 15 * 60.0, 5 * 60.0, 3 * 60.0


@dataclass(frozen=True)
class Row:
    """A line of the table; `met` is yes, no, not measured, or empty where there is no target."""

    figure: str
    value: str
    target: str
    met: str


def relevance_rows(evaluation: dict[str, Any]) -> list[Row]:
    """BM25 beside Lucene's, and the dense model beside its published figures."""
    rows = []
    for collection in evaluation["collections"]:
        name = collection["dataset"]
        metrics = {system["name"]: system["metrics"] for system in collection["systems"]}
        missing = dict.fromkeys(("nDCG@10", "R@100"))
        lucene, dense = (metrics.get(system, missing) for system in ("lucene-bm25", "dense"))
        for metric, tolerance in (("nDCG@10", NDCG_TOLERANCE), ("R@100", RECALL_TOLERANCE)):
            ours, theirs = metrics["bm25"][metric], lucene[metric]
            value = f"{_short(ours)}; Lucene {_short(theirs)}"
            if metric == "nDCG@10":
                value += f", published {_short(PUBLISHED_LUCENE_NDCG[name])}"
            met = _met(None if theirs is None else abs(ours - theirs) <= tolerance)
            target = f"Lucene's ± {_short(tolerance)}"
            rows.append(Row(f"{name}: BM25 {metric}", value, target, met))
        low, high = DENSE_NDCG[name]
        ndcg = dense["nDCG@10"]
        met = _met(None if ndcg is None else low <= round(ndcg, 3) <= high)
        target = f"{_short(low)} to {_short(high)}"
        rows.append(Row(f"{name}: dense nDCG@10", _short(ndcg), target, met))
    return rows


def speed_rows(results: list[dict[str, Any]]) -> list[Row]:
    """The exact searcher beside SciPy and bm25s, one thread each.

    The target for SciPy is for the product that the documents as rows give; with the documents
    transposed SciPy works on inverted lists too, and those figures stand beside it.
    """
    rows = []
    for result in results:
        us = result["us_per_query"]
        for ours, peer, factor in (
            (OURS_BATCH, SCIPY_DENSE, SCIPY_FACTOR),
            (OURS_SINGLE, SCIPY_DENSE, SCIPY_FACTOR),
            (OURS_BATCH, SCIPY_SPARSE, None),
            (OURS_SINGLE, SCIPY_SPARSE, None),
            (OURS_BATCH, SCIPY_BATCH, None),
            (OURS_BATCH, BM25S_BATCH, BM25S_FACTOR),
            (OURS_SINGLE, BM25S_SINGLE, BM25S_FACTOR),
        ):
            times = us[peer] / us[ours]
            figure = f"{result['dataset']}: {ours}, beside {peer}"
            value = f"{times:.1f} x faster ({us[ours]:.1f} and {us[peer]:.1f} us a query)"
            if factor is None:
                rows.append(Row(figure, value, "none", ""))
            else:
                rows.append(Row(figure, value, f"{factor:.0f} x or more", _met(times >= factor)))
    return rows


def fresh_rows(seconds: dict[str, float]) -> list[Row]:
    """What a newcomer waits for."""
    setup, tests, demo = (seconds[f"{n}_seconds"] for n in ("setup", "test", "demo"))
    whole = setup + tests
    return [
        _duration("make test from a fresh clone, packages included", whole, MAKE_TEST_SECONDS),
        _duration("make test once packages are installed", tests, TESTS_SECONDS),
        _duration("lsr demo to the first hit, packages installed", demo, DEMO_SECONDS),
    ]


def _duration(figure: str, seconds: float, limit: float) -> Row:
    return Row(figure, f"{seconds:.0f} s", f"{limit:.0f} s or less", _met(seconds <= limit))


def _met(met: bool | None) -> str:
    return NOT_MEASURED if met is None else "yes" if met else "**no**"


def _short(value: float | None) -> str:
    if value is None:
        return "not available"
    return f"{value:.4f}".rstrip("0").ljust(4, "0").removeprefix("0")


def measured(what: str, command: list[str]) -> Any:
    """The JSON that a command writes when `--json FILE` is added; what it prints is progress.

    Raises:
        CalledProcessError: it failed.
    """
    print(f"measuring {what}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="lsr-report-") as folder:
        file = Path(folder) / "figures.json"
        subprocess.run([*command, "--json", str(file)], cwd=ROOT, stdout=sys.stderr, check=True)
        return json.loads(file.read_text(encoding="utf-8"))


def _evaluation_command() -> list[str]:
    lsr = str(Path(sys.executable).with_name("lsr"))
    folders = [str(data_folder().resolve() / "eval" / name) for name in DENSE_NDCG]
    return [lsr, "eval", *folders, "--systems", "bm25,lucene-bm25,dense"]


def circumstances() -> dict[str, Any]:
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit or "unknown",
        "machine": f"{os.cpu_count()} cores, {_processor()}, Python {platform.python_version()}",
        "load": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def as_markdown(about: dict[str, Any], rows: list[Row]) -> str:
    """A line on the circumstances, and the table."""
    lines = [
        f"Measured {about['date']} at {about['commit']} on {about['machine']}; "
        f"load average at the start {about['load']}.\n",
        "| figure | measured | target | met |",
        "|---|---|---|---|",
        *(f"| {row.figure} | {row.value} | {row.target} | {row.met} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure everything, print the table, and save it with all details."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--fresh", action="store_true", help="also time fresh clones")
    parser.add_argument("--out", type=Path, default=ROOT / "reports", help="folder of the report")
    options = parser.parse_args()
    about = circumstances()
    parts: list[tuple[str, list[str], Callable[[Any], list[Row]]]] = [
        ("relevance", _evaluation_command(), relevance_rows),
        ("speed", [sys.executable, "-m", "bench.engine.exact"], speed_rows),
    ]
    if options.fresh:
        parts.append(("fresh clones", [sys.executable, "-m", "bench.fresh"], fresh_rows))
    rows: list[Row] = []
    details: dict[str, Any] = {}
    for what, command, rows_of in parts:
        try:
            details[what] = measured(what, command)
            rows += rows_of(details[what])
        except subprocess.CalledProcessError as error:
            rows.append(
                Row(what, f"{Path(command[0]).name} exited {error.returncode}", "", NOT_MEASURED)
            )
        except KeyError as error:
            rows.append(Row(what, f"no figure for {error}", "", NOT_MEASURED))
    text = as_markdown(about, rows)
    print(text, end="")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.md").write_text(text, encoding="utf-8")
    record = {**about, "rows": [asdict(row) for row in rows], "details": details}
    report = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    (options.out / "report.json").write_text(report, encoding="utf-8")
    if any(row.met == NOT_MEASURED for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
