"""What a learned sparse model scores on seven collections it was not trained on, and what it costs.

    python -m bench.relevance.encoder_report --model doc-mini [--sets scifact,nfcorpus] [--out
    reports]

Every figure is of `lsr eval`: BM25, Lucene's BM25, the dense model, both fused, the learned model,
and the learned and the dense fused; then the model without own terms and with its own idf. A
document is encoded once for all. Writes OUT/encoder-MODEL.md and .json, and, for a model that
comes with the package and all sets, its figures.json, which `lsr models` shows.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.engine.exact import data_folder
from lsr.encoders.learned.bundled_models import FIGURES_FILE, bundled_folder

__all__ = ["main"]

SETS = ("scifact", "nfcorpus", "cranfield", "medline", "vaswani", "cacm", "time")
CHOSEN_ON = ("vaswani", "cacm", "time")
"""Sets that options of the model were chosen on: its figures there are no test."""

FIRST = "bm25,lucene-bm25,dense,hybrid,learned,learned:hybrid"
VARIANTS = {
    "learned, idf of the model": ["--idf", "model"],
    "learned without own terms": ["--lexical-weight", "0", "--idf", "corpus"],
    "learned without own terms, idf of the model": ["--lexical-weight", "0", "--idf", "model"],
}
METRIC = "nDCG@10"
RESAMPLES = 10_000
_COST = re.compile(r"([\d.]+) terms a document, retrieval FLOPS ([\d.]+)")


@dataclass(frozen=True)
class Measured:
    """One system on one collection.

    Attributes:
        values: nDCG@10 by query.
        terms, flops: of a learned model; None for others.
    """

    metrics: dict[str, float]
    values: dict[str, float]
    median_ms: float | None
    terms: float | None = None
    flops: float | None = None


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="a learned sparse model on seven collections")
    parser.add_argument("--model", default="doc-mini")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--out", type=Path, default=Path("reports"))
    given = parser.parse_args()
    sets = given.sets.split(",")
    measured = _evaluated(given.model, sets, FIRST, ["--idf", "corpus"], {})
    for name, options in VARIANTS.items():
        again = _evaluated(given.model, sets, "bm25,learned", options, {"learned": name})
        for dataset, systems in again.items():
            measured[dataset] |= systems
    text = report(measured)
    print(text)
    given.out.mkdir(parents=True, exist_ok=True)
    name = Path(given.model).name
    (given.out / f"encoder-{name}.md").write_text(text, "utf-8")
    content = {d: {s: vars(m) for s, m in systems.items()} for d, systems in measured.items()}
    (given.out / f"encoder-{name}.json").write_text(json.dumps(content, indent=1), "utf-8")
    folder = bundled_folder(given.model)
    if folder is not None and set(sets) == set(SETS):
        figures = json.dumps(summary(measured), indent=2)
        (folder / FIGURES_FILE).write_text(figures + "\n", "utf-8")


def summary(measured: dict[str, dict[str, Measured]]) -> dict[str, Any]:
    """Means over the collections of what the model costs, and what it scores on each."""
    learned = {dataset: systems["learned"] for dataset, systems in measured.items()}
    return {
        "terms": round(float(np.mean([each.terms or 0.0 for each in learned.values()])), 1),
        "flops": round(float(np.mean([each.flops or 0.0 for each in learned.values()])), 2),
        "ndcg@10": {name: round(each.metrics[METRIC], 4) for name, each in learned.items()},
    }


def report(measured: dict[str, dict[str, Measured]]) -> str:
    """The tables, in Markdown."""
    names = list(dict.fromkeys(name for systems in measured.values() for name in systems))
    sets = list(measured)
    lines = []
    for metric in (METRIC, "R@100"):
        lines += [f"| {metric} | {' | '.join(sets)} | mean |", f"|---{'|---' * len(sets)}|---|"]
        for name in names:
            cells = [measured[d][name].metrics.get(metric) for d in sets if name in measured[d]]
            known = [cell for cell in cells if cell is not None]
            if len(known) == len(sets):
                shown = " | ".join(f"{cell:.4f}" for cell in known)
                lines.append(f"| {name} | {shown} | {np.mean(known):.4f} |")
        lines.append("")
    lines += [
        "| set | learned less BM25, nDCG@10 (95%) | less dense (95%) | fused with dense, less BM25 "
        "fused (95%) | terms | FLOPS | ms ÷ BM25's |",
        "|---|---|---|---|---|---|---|",
    ]
    for dataset, systems in measured.items():
        ours, bm25 = systems["learned"], systems["bm25"]
        fused = interval(systems["learned:hybrid"], systems["hybrid"])
        ratio = (ours.median_ms or np.nan) / (bm25.median_ms or np.nan)
        mark = " *" if dataset in CHOSEN_ON else ""
        lines.append(
            f"| {dataset}{mark} | {interval(ours, bm25)} | {interval(ours, systems['dense'])} "
            f"| {fused} | {ours.terms:.0f} | {ours.flops:.2f} | {ratio:.2f} |"
        )
    lines += ["", "\\* options were chosen on this set.", ""]
    return "\n".join(lines)


def interval(one: Measured, other: Measured) -> str:
    """The mean difference of two systems over the same queries, by bootstrap of the queries."""
    queries = sorted(one.values)
    difference = np.array([one.values[query] - other.values[query] for query in queries])
    picks = np.random.default_rng(0).integers(0, len(queries), (RESAMPLES, len(queries)))
    low, high = np.percentile(difference[picks].mean(axis=1), (2.5, 97.5))
    return f"{difference.mean():+.4f} ({low:+.3f} to {high:+.3f})"


def _evaluated(
    model: str, sets: list[str], systems: str, options: list[str], names: dict[str, str]
) -> dict[str, dict[str, Measured]]:
    folders = [str(data_folder() / "eval" / name) for name in sets]
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "report.json"
        words = ["eval", *folders, "--systems", systems, "--sparse", model, *options]
        code = "import sys; from lsr.cli.app import main; sys.exit(main())"
        subprocess.run([sys.executable, "-c", code, *words, "--json", str(file)], check=True)
        collections = json.loads(file.read_text("utf-8"))["collections"]
    return {each["dataset"]: _of(each, names) for each in collections}


def _of(collection: dict[str, Any], names: dict[str, str]) -> dict[str, Measured]:
    costs = [match for note in collection["notes"] if (match := _COST.search(note))]
    terms, flops = (float(costs[0][1]), float(costs[0][2])) if costs else (None, None)
    found = {}
    for system in collection["systems"]:
        name = system["name"]
        learned = name == "learned"
        found[names.get(name, name)] = Measured(
            system["metrics"],
            system["by_query"][METRIC],
            system["median_ms"],
            terms if learned else None,
            flops if learned else None,
        )
    return found


if __name__ == "__main__":
    main()
