"""`lsr adapt`: fit a model to a collection without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.encoder_options import TrustRemoteCode
from lsr.cli.index_options import AsJson
from lsr.cli.training_run import run_training

__all__ = ["adapt"]


def adapt(
    model: Annotated[str, typer.Argument(help="A model folder, or a hub id.")],
    corpus: Annotated[str, typer.Argument(help="The collection, as lsr index build reads it.")],
    out: Annotated[Path, typer.Argument(help="The run folder; the model is in its model/.")],
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps.")] = 300,
    dense: Annotated[
        str, typer.Option(help="The dense teacher beside BM25, or none.")
    ] = "all-MiniLM-L6-v2",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE that overrides the stage's config; may be repeated."),
    ] = None,
    trust_remote_code: TrustRemoteCode = False,
    as_json: AsJson = False,
) -> None:
    """Fit a model to a collection without labels.

    Queries are made of titles, sentences and keywords; BM25 and a dense model are the teachers.

    Example: lsr adapt doc-mini corpus.jsonl my-run --steps 300
    """
    from lsr.training.loop.adapt import adapt_model

    run_training(
        lambda progress, report, notice: adapt_model(
            model,
            corpus,
            out,
            steps=steps,
            dense=None if dense == "none" else dense,
            settings=settings or (),
            trust_remote_code=trust_remote_code,
            progress=progress,
            report=report,
            notice=notice,
        ),
        as_json,
    )
