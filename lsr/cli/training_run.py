"""Progress and outcome of a training run on the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from lsr.cli.console import complain, print_json, shown_progress

__all__ = ["run_training"]

SECONDS_BETWEEN_LINES = 15.0
_SHOWN = ("loss", "terms", "flops", "lambda", "score", "steps_per_second")


def run_training(work: Any, as_json: bool) -> None:
    """Call `work(progress, report, notice)`, and print its result, as text or JSON.

    A note is printed once: when it is told, or with the result.
    """
    said: list[str] = []

    def notice(note: str) -> None:
        said.append(note)
        complain(f"note: {note}")

    with shown_progress() as progress, _shown_report() as report:
        result = work(progress, report, notice)
    if as_json:
        print_json(result.to_dict())
        return
    for figures in result.figures:
        measured = ", ".join(f"{name} {value:.4f}" for name, value in figures.metrics.items())
        typer.echo(
            f"{figures.name}: {measured}, {figures.terms:.0f} active terms, "
            f"retrieval FLOPS {figures.flops:.2f}"
        )
    for note in result.notes:
        if note not in said:
            notice(note)
    typer.echo(f"{result.model}: {result.steps:,} steps")


@contextmanager
def _shown_report() -> Iterator[Any]:
    """A `Report` on standard error: one changing line on a terminal, otherwise occasional lines."""
    console = Console(stderr=True)
    last = -SECONDS_BETWEEN_LINES
    live = Live(console=console, transient=True) if console.is_terminal else None

    def show(stage: str, done: int, total: int, figures: Mapping[str, float]) -> None:
        nonlocal last
        now = time.monotonic()
        if live is None and done < total and now - last < SECONDS_BETWEEN_LINES:
            return
        last = now
        rest = (total - done) / max(figures.get("steps_per_second", 0.0), 1e-9)
        parts = [f"{name} {figures[name]:.4g}" for name in _SHOWN if name in figures]
        line = f"{stage} {done:,} of {total:,}: {', '.join(parts)}, {rest / 60:.1f} min left"
        if live is None:
            complain(line)
            return
        if not live.is_started:
            live.start()
        live.update(Text(line))

    try:
        yield show
    finally:
        if live is not None and live.is_started:
            live.stop()
        sys.stderr.flush()
