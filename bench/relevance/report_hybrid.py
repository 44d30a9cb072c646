"""The figures of hybrid search beside their targets, as one Markdown table.

    python -m bench.relevance.report_hybrid [--out reports] [--resume]

Runs `bench.relevance.hybrid`, `bench.relevance.hybrid_cost` and `bench.engine.entries`, and writes
OUT/hybrid.md and OUT/hybrid.json. The first run encodes seven collections with the dense model,
which takes half an hour on a CPU; later ones find the vectors in the user's cache folder. The
figures of each part are kept in OUT; with --resume, parts that are there are not measured again. A
missed target is a figure
like any other: the exit code is 1 only when something could not be measured.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.engine.entries import TOLERANCE
from bench.relevance.hybrid import REFERENCE, REFERENCED
from bench.relevance.report import NOT_MEASURED, ROOT, Row, as_markdown, circumstances, measured
from lsr.encoders.dense_onnx_export import LEAST_COSINE

NEAR, NEAREST = 0.006, 0.003


def reference_rows(figures: dict[str, Any]) -> list[Row]:
    """Plans beside the reference script, on the queries that it used."""
    rows = []
    for plan, expected in REFERENCE.items():
        for name in REFERENCED:
            found = figures[name]["relevance"][plan]
            value = found["half"]["nDCG@10"] if name == "vaswani" else found["nDCG@10"]
            text = f"{value:.4f}, R@100 {found['R@100']:.4f}"
            if name == "vaswani":
                text = f"{value:.4f} (half); all {found['nDCG@10']:.4f}"
            gap = value - expected[name]
            figure = f"{name}: {plan}, nDCG@10"
            target = f"{expected[name]:.4f} ± {NEAR} / {NEAREST}"
            rows.append(Row(figure, f"{text} ({gap:+.4f})", target, _two(abs(gap), NEAR, NEAREST)))
    return rows


def gain_rows(figures: dict[str, Any]) -> list[Row]:
    """Fusion over the better side on every collection."""
    rows, gains = [], []
    for name, of in figures.items():
        values = {plan: each["nDCG@10"] for plan, each in of["relevance"].items()}
        better = max(values["sparse"], values["dense"])
        gains.append(values["No-PRF tmm .3"] - better)
        text = (
            f"{values['No-PRF tmm .3']:.4f} ({100 * gains[-1]:+.1f} points; sparse "
            f"{values['sparse']:.4f}, dense {values['dense']:.4f}, "
            f"with feedback {values['Both, default']:.4f})"
        )
        rows.append(Row(f"{name}: hybrid, nDCG@10, {of['n_queries']} queries", text, "none", ""))
    mean = 100 * float(np.mean(gains))
    figure = f"hybrid over the better side, mean of {len(gains)} collections"
    rows.append(Row(figure, f"{mean:+.2f} points", "+3 / +5 points", _two(-mean, -3, -5)))
    return rows


def tuned_rows(figures: dict[str, Any]) -> list[Row]:
    """Tuned on another split, measured on the test queries; and SciFact at the defaults."""
    found = figures["nfcorpus"]["tuned"]
    rows = []
    for candidate in ("default", "weight", "feedback"):
        each = found[candidate]
        kept = ", kept" if found["chosen"] == candidate else ""
        text = (
            f"{each['test']:.4f} (dev {each['dev']:.4f}, held out {each['held_out']:.4f}{kept}; "
            f"p {each['p_value']:.3f} against the default)"
        )
        target, met = "none", ""
        if candidate == "feedback":
            target, met = "0.375 / 0.385", _two(-each["test"], -0.375, -0.385)
        figure = f"nfcorpus: tuned on {found['n_queries']} of {found['split']}: {candidate}"
        rows.append(Row(figure, text, target, met))
    hybrid = figures["scifact"]["relevance"]["No-PRF tmm .3"]["nDCG@10"]
    met = _two(-hybrid, -0.733, -0.745)
    rows.append(Row("scifact: hybrid at the defaults", f"{hybrid:.4f}", "0.733 / 0.745", met))
    return rows


def stability_rows(figures: dict[str, Any]) -> list[Row]:
    """The first ten hits at windows of 50, 100 and 1,000."""
    rows = []
    for plan in ("No-PRF tmm .3", "Both, default", "RRF"):
        counts = [of["n_queries"] for of in figures.values()]
        shares = [of["stability"][plan] for of in figures.values()]
        share = float(np.average(shares, weights=counts))
        text = (
            f"{100 * share:.2f} % of {sum(counts):,} queries (least, of one collection: "
            f"{100 * min(shares):.1f} %)"
        )
        if plan == "RRF":
            rows.append(Row(f"first ten the same at every window: {plan}", text, "none", ""))
            continue
        met = _two(-share, -0.99, -1.0)
        rows.append(Row(f"first ten the same at every window: {plan}", text, "99 % / 100 %", met))
    return rows


def cost_rows(figures: dict[str, Any]) -> list[Row]:
    """Milliseconds, medians of at least 1,000 queries."""
    rows = []
    for name, of in figures.items():
        stages = of["stages_ms"]
        none, both = stages["none"], stages["both"]
        extra = both["total"] - none["total"] - both["search_dense_again"]
        text = (
            f"one dense search ({both['search_dense_again']:.3f} ms) + {extra:.3f} ms "
            f"({none['total']:.3f} -> {both['total']:.3f} ms)"
        )
        rows.append(Row(f"{name}: feedback", text, "+ 1 ms / + 0.3 ms", _two(extra, 1, 0.3)))
        for plan, each in stages.items():
            parts = ", ".join(
                f"{stage} {each[stage]:.3f}"
                for stage in ("fuse", "feedback", "fuse_again", "explain")
                if stage in each
            )
            figure = f"{name}: fusion, feedback and explanation, plan {plan}"
            met = _two(each["overhead"], 1, 0.3)
            rows.append(Row(figure, f"{each['overhead']:.3f} ms ({parts})", "1 ms / 0.3 ms", met))
        ratio = of["ranx_fuse_ms"] / none["fuse"]
        text = f"{ratio:.1f} x faster ({none['fuse']:.3f} and {of['ranx_fuse_ms']:.3f} ms a query)"
        rows.append(
            Row(f"{name}: our fusion, one by one, beside ranx, all at once", text, "none", "")
        )
        if "encoding" in of:
            rows.append(_encoding_row(of["encoding"]))
    return rows


def _encoding_row(found: dict[str, float]) -> Row:
    ratio = found["torch_ms"] / found["onnx_ms"]
    text = (
        f"cosine {found['least_cosine']:.7f} or more; a query in {found['torch_ms']:.1f} ms in "
        f"torch, {found['onnx_ms']:.1f} in ONNX Runtime ({ratio:.1f} x faster)"
    )
    met = "yes" if found["least_cosine"] >= LEAST_COSINE else "**no**"
    return Row("dense model exported to ONNX", text, f"{LEAST_COSINE}", met)


def entry_rows(figures: dict[str, Any]) -> list[Row]:
    """Four entries, one ranking."""
    rows = []
    for plan, entries in figures.items():
        for entry, found in entries.items():
            text = (
                f"{found['same']} of {found['of']} the same, scores to {found['greatest_gap']:.1e}"
            )
            met = found["same"] == found["of"] and found["greatest_gap"] <= TOLERANCE
            figure = f"{plan}: Python and {entry}, ten hits"
            rows.append(Row(figure, text, "all, 1e-06", "yes" if met else "**no**"))
    return rows


def _two(value: float, floor: float, target: float) -> str:
    """Whether a value is small enough for the floor and for the target."""
    if value <= target + 1e-12:
        return "yes"
    return "floor only" if value <= floor + 1e-12 else "**no**"


def main() -> None:
    """Measure everything, print the table, and save it with all details."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=ROOT / "reports", help="folder of the report")
    parser.add_argument("--resume", action="store_true", help="keep parts already measured")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    about = circumstances()
    tables: dict[str, list[Callable[[Any], list[Row]]]] = {
        "bench.relevance.hybrid_cost": [cost_rows],
        "bench.relevance.hybrid": [reference_rows, gain_rows, tuned_rows, stability_rows],
        "bench.engine.entries": [entry_rows],
    }
    rows: list[Row] = []
    details: dict[str, Any] = {}
    for module, makers in tables.items():
        try:
            part = options.out / f"{module}.json"
            if not (options.resume and part.exists()):
                figures = measured(module, [sys.executable, "-m", module])
                part.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
            details[module] = json.loads(part.read_text(encoding="utf-8"))
            for rows_of in makers:
                rows += rows_of(details[module])
        except subprocess.CalledProcessError as error:
            rows.append(Row(module, f"exited {error.returncode}", "", NOT_MEASURED))
    text = as_markdown(about, rows)
    print(text, end="")
    (options.out / "hybrid.md").write_text(text, encoding="utf-8")
    record = {**about, "rows": [asdict(row) for row in rows], "details": details}
    report = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    (options.out / "hybrid.json").write_text(report, encoding="utf-8")
    if any(row.met == NOT_MEASURED for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
