"""What each part of the shipped recipe is worth: short runs that differ in one thing.

    python -m bench.training.ablations --work runs/ablations [--steps 150] [--only "base,60 terms"]

Every run is `lsr train configs/doc-mini.yaml` with so many steps and the settings of `VARIANTS`,
from the same started head where the encoder is the same, with one cache of the teachers' vectors.
It is measured by `lsr eval` with the model's own idf, with own words as the config's `use` has
them and without. Runs that are done are not done again. Writes the table of all runs in WORK to
WORK/ablations.md and prints it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.engine.exact import data_folder
from lsr.training.config.yaml_file import read_config
from lsr.training.loop.run_folder import RunFolder

__all__ = ["main"]

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "doc-mini.yaml"
SETS = ("cacm", "time", "cranfield", "medline")
BARELY = "1.0e-6"
"""Weight of a teacher that mines and groups as before, and teaches nothing."""

VARIANTS: dict[str, list[str]] = {
    "base": [],
    "seed 1": ["seed=1"],
    "seed 2": ["seed=2"],
    "embeddings and decoder trained": ["optim.freeze_embeddings=false"],
    "dense teacher alone": [f"teachers.0.weight={BARELY}"],
    "not anchored in training": ["scores.lexical_terms=null"],
    "dense teacher alone and not anchored in training": [
        "scores.lexical_terms=null",
        f"teachers.0.weight={BARELY}",
    ],
    "plain FLOPS (a query table of ones)": ["encoder.query.weights=ones"],
    "BM25 teacher alone": [f"teachers.1.weight={BARELY}"],
    "learned query table": ["encoder.query.learned=true", "optim.table_lr=5.0e-3"],
    "scale S of 24": ["ensemble.scale=24"],
    "200 terms": ["regularizer.target_terms=200"],
    "60 terms": ["regularizer.target_terms=60"],
}
_COST = re.compile(r"([\d.]+) terms a document, retrieval FLOPS ([\d.]+)")


@dataclass(frozen=True)
class Figures:
    """nDCG@10 by collection, and means of terms a document and retrieval FLOPS."""

    scores: dict[str, float]
    terms: float
    flops: float


def main() -> None:
    """Train what is not trained yet, measure, print."""
    parser = argparse.ArgumentParser(description="the recipe, less one thing at a time")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--only", help="names of variants, comma-separated; all else")
    given = parser.parse_args()
    os.environ.setdefault("LSR_DATA", str(data_folder()))  # the config names it
    names = given.only.split(",") if given.only else list(VARIANTS)
    if unknown := [each for each in names if each not in VARIANTS]:
        parser.error(f"no variant {unknown[0]!r}; there are: {', '.join(VARIANTS)}")
    for name in names:
        folder = _folder(given.work, name)
        model = _trained(given.work, folder, VARIANTS[name], given.steps)
        if model is None:
            print(f"{name}: training did not end; see above", file=sys.stderr)
            continue
        file = folder / "figures.json"
        if not file.exists():
            both = [_figures(model, options) for options in (["--lexical-weight", "0"], [])]
            file.write_text(json.dumps([vars(each) for each in both], indent=1), "utf-8")
        (given.work / "ablations.md").write_text(table(_measured(given.work)), "utf-8")
    print(table(_measured(given.work)))


def _folder(work: Path, name: str) -> Path:
    return work / re.sub(r"\W+", "-", name.lower()).strip("-")


def _measured(work: Path) -> dict[str, tuple[Figures, Figures]]:
    """Figures of every run in `work` that has some: the network alone, beside own words."""
    found = {}
    for name in VARIANTS:
        file = _folder(work, name) / "figures.json"
        if file.exists():
            alone, beside = (Figures(**each) for each in json.loads(file.read_text("utf-8")))
            found[name] = (alone, beside)
    return found


def table(measured: dict[str, tuple[Figures, Figures]]) -> str:
    """A line for each run: with own words, then the network alone."""
    lines = [
        f"| | {' | '.join(SETS)} | mean | network alone | its terms | its FLOPS |",
        f"|---|{'---|' * (len(SETS) + 4)}",
    ]
    for name, (alone, beside) in measured.items():
        scores = [beside.scores[each] for each in SETS]
        mean, single = np.mean(scores), np.mean(list(alone.scores.values()))
        shown = " | ".join(f"{each:.4f}" for each in scores)
        lines.append(
            f"| {name} | {shown} | {mean:.4f} | {single:.4f} | {alone.terms:.0f} "
            f"| {alone.flops:.2f} |"
        )
    return "\n".join([*lines, ""])


def _trained(work: Path, folder: Path, settings: list[str], steps: int) -> Path | None:
    """The finished model, or None where training stopped with a reason."""
    given = [
        *settings,
        f"optim.steps={steps}",
        f"checkpoint_every={steps}",
        f"cache={work / 'cache'}",
        f"output={folder}",
    ]
    run = RunFolder(folder, read_config(CONFIG, given))
    if not run.model.exists():
        started = work / "base" / "0-start"
        wanted = folder / "0-start"
        same_start = not any(each.startswith(("encoder", "seed")) for each in settings)
        if same_start and started.is_dir() and not wanted.exists():
            shutil.copytree(started, wanted)
        words = ["train", str(CONFIG)]
        for setting in given:
            words += ["--set", setting]
        if not _lsr(words):
            return None
    return run.model


def _figures(model: Path, options: list[str]) -> Figures:
    folders = [str(data_folder() / "eval" / name) for name in SETS]
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "report.json"
        words = ["eval", *folders, "--systems", "learned", "--sparse", str(model), *options]
        if not _lsr([*words, "--idf", "model", "--json", str(file)]):
            raise SystemExit(f"{model} cannot be measured; see above")
        found: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))["collections"]
    costs = [_COST.search(each["notes"][0]) for each in found]
    return Figures(
        {each["dataset"]: each["systems"][0]["metrics"]["nDCG@10"] for each in found},
        float(np.mean([float(cost[1]) for cost in costs if cost])),
        float(np.mean([float(cost[2]) for cost in costs if cost])),
    )


def _lsr(words: list[str]) -> bool:
    """Whether a command ended well."""
    code = "import sys; from lsr.cli.app import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", code, *words], check=False).returncode == 0


if __name__ == "__main__":
    main()
