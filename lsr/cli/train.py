"""`lsr train` and `lsr adapt`: a model from a config file, or fitted to a collection."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from lsr.cli.console import complain, print_json, shown_progress

__all__ = ["adapt", "train"]

SECONDS_BETWEEN_LINES = 15.0
_SHOWN = ("loss", "terms", "flops", "lambda", "score", "steps_per_second")


def train(
    config: Annotated[Path, typer.Argument(help="A YAML file; configs/ has examples.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE over the config, such as optim.lr=3e-5; repeatable."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(help="Print the whole config, counts and an estimate of the cost; no more."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Train a sparse encoder.

    Interrupted, the same command goes on from the last checkpoint, and ends with the same model.
    """
    from lsr.training.configfile import read_config, written_config
    from lsr.training.run import estimate, train_model

    wanted = read_config(config, settings or ())
    if dry_run:
        typer.echo(written_config(wanted), nl=False)
        with shown_progress() as progress:
            for line in estimate(wanted, progress):
                complain(line)
        return
    _run(lambda progress, report: train_model(wanted, progress, report), as_json)


def adapt(
    model: Annotated[str, typer.Argument(help="A model folder, or a hub id.")],
    corpus: Annotated[str, typer.Argument(help="The collection, as lsr index build takes it.")],
    out: Annotated[Path, typer.Argument(help="The folder of the run; the model is in its model/.")],
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps.")] = 300,
    dense: Annotated[
        str, typer.Option(help="The dense teacher beside BM25, or none.")
    ] = "all-MiniLM-L6-v2",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE over the stage's config.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Fit a model to a collection that has no labels.

    Queries are made of titles, sentences and keywords; BM25 and a dense model are the teachers.
    """
    from lsr.training.adaptation import adapt_model

    _run(
        lambda progress, report: adapt_model(
            model,
            corpus,
            out,
            steps=steps,
            dense=None if dense == "none" else dense,
            settings=settings or (),
            progress=progress,
            report=report,
        ),
        as_json,
    )


def _run(work: Any, as_json: bool) -> None:
    with shown_progress() as progress, _shown_report() as report:
        outcome = work(progress, report)
    if as_json:
        print_json(outcome.to_dict())
        return
    for figures in outcome.figures:
        measured = ", ".join(f"{name} {value:.4f}" for name, value in figures.metrics.items())
        typer.echo(
            f"{figures.name}: {measured}, {figures.terms:.0f} active terms, "
            f"retrieval FLOPS {figures.flops:.2f}"
        )
    for note in outcome.notes:
        complain(f"note: {note}")
    typer.echo(f"{outcome.model}: {outcome.steps:,} steps")


@contextmanager
def _shown_report() -> Iterator[Any]:
    """A `Report` on standard error: one changing line on a terminal, else a line now and then."""
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
