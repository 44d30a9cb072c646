"""`lsr train`: train a sparse encoder from a config file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.console import complain, shown_progress
from lsr.cli.index_options import AsJson
from lsr.cli.training_run import run_training

__all__ = ["train"]


def train(
    config: Annotated[Path, typer.Argument(help="A YAML file; there are examples in configs/.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="KEY=VALUE that overrides the config, such as optim.lr=3e-5; may be repeated.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            help="Print the whole config, check what it names, estimate the time, and do not train."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a sparse encoder.

    An interrupted run continues from its last checkpoint when the same command is given again, and
    ends with the same model.

    Example: lsr train configs/doc-mini.yaml --dry-run
    """
    from lsr.training.config.yaml_file import read_config, written_config

    wanted = read_config(config, settings or ())
    if dry_run:
        from lsr.training.planning.estimate import estimate_run  # seconds of imports

        typer.echo(written_config(wanted), nl=False)
        with shown_progress() as progress:
            found = estimate_run(wanted, progress, started_s=time.process_time())
        for line in found.lines():
            complain(line)
        return
    from lsr.training.loop.run import train_model

    run_training(
        lambda progress, report, notice: train_model(wanted, progress, report, notice=notice),
        as_json,
    )
