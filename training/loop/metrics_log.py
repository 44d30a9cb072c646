"""Learning curves of a run, drawn from its metrics."""

from __future__ import annotations

import json
from pathlib import Path

from lsr.errors import UnavailableError

__all__ = ["plot_curves", "read_metrics"]

SHOWN = {
    "loss": "loss",
    "terms": "active terms",
    "flops": "retrieval FLOPS",
    "eval_score": "nDCG@10, mean",
}


def read_metrics(path: Path) -> list[dict[str, float | str]]:
    """Lines of a metrics.jsonl; a last line that was cut off is left out."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines


def plot_curves(metrics: Path, folder: Path) -> list[Path]:
    """Draw what the run logged, as PNG and SVG; returns the files.

    Raises:
        UnavailableError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UnavailableError(
            "plots need matplotlib, which is not installed; run: pip install 'lsr-search[eval]'"
        ) from error
    lines = read_metrics(metrics)
    figure = Figure(figsize=(9, 6), layout="constrained")
    for axes, (key, title) in zip(figure.subplots(2, 2).flat, SHOWN.items(), strict=True):
        stages = dict.fromkeys(str(line["stage"]) for line in lines)
        for stage in stages:
            points = [
                (float(line["step"]), float(line[key]))
                for line in lines
                if line["stage"] == stage and key in line
            ]
            if points:
                axes.plot(*zip(*points, strict=True), label=stage)
        axes.set_title(title)
        axes.set_xlabel("step")
        if axes.lines:
            axes.legend()
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"curves.{kind}" for kind in ("png", "svg")]
    for file in files:
        figure.savefig(file)
    return files
