"""`lsr push`: bring an index or a model to a repository of the Hugging Face hub."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from lsr.cli.console import complain, print_json, shown_progress
from lsr.cli.index_options import AsJson

if TYPE_CHECKING:
    from lsr.hub.push import Pushed

__all__ = ["push"]

_SHOWN = 20


def push(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INDEX_OR_MODEL",
            help="The folder of an index or of a model, or a name of lsr models.",
        ),
    ],
    repository: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="The repository; it is made if need be.")
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository private; default: public.")
    ] = False,
    revision: Annotated[
        str | None,
        typer.Option(help="The branch, made if it is not there; default: main."),
    ] = None,
    message: Annotated[
        str | None,
        typer.Option(help="Of the commit; default: the generation and its documents."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Push an index or a model to the Hugging Face hub, in one commit.

    What is there already is not sent again. Of an index the published generation goes, whoever
    writes meanwhile, with its sparse model where that is a folder. Documents are in an index: who
    may read the repository can read them.

    Example: lsr push my-index owner/my-index --private
    """
    from lsr.hub.push import push as push_to_hub

    try:
        with shown_progress() as progress:
            done = push_to_hub(
                source,
                repository,
                private=private,
                revision=revision,
                message=message,
                dry_run=dry_run,
                progress=progress,
            )
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("the same command sends what is missing") from error
    for sentence in _warnings(done):
        complain(f"warning: {sentence}")
    if as_json:
        print_json(asdict(done) | {"dry_run": dry_run})
        return
    if dry_run:
        _print_plan(done)
        return
    verb = "made, and" if done.created else "now"
    if not done.sent and not done.removed:
        typer.echo(f"{done.address}: all {done.n_files:,} files are there already")
        return
    typer.echo(
        f"{done.address}: {verb} at {str(done.commit)[:12]}, {len(done.sent):,} of "
        f"{done.n_files:,} files sent ({done.size_bytes / 1e6:,.1f} MB), {len(done.removed):,} "
        "removed"
    )


def _print_plan(done: Pushed) -> None:
    for sign, names in (("+", done.sent), ("-", done.removed)):
        for name in names[:_SHOWN]:
            typer.echo(f"{sign} {name}")
        if len(names) > _SHOWN:
            typer.echo(f"{sign} and {len(names) - _SHOWN:,} more")
    made = "would be made, and " if done.created else ""
    typer.echo(
        f"{done.address}: {made}{len(done.sent):,} of {done.n_files:,} files would be sent "
        f"({done.size_bytes / 1e6:,.1f} MB), {len(done.removed):,} removed"
    )


def _warnings(done: Pushed) -> list[str]:
    told = []
    if done.n_unpublished:
        told.append(
            f"{done.n_unpublished:,} acknowledged writes are not published yet, and not in it; "
            "push again when they are"
        )
    if done.absent:
        told.append(
            f"the model {', '.join(done.absent)} does not go along; push it by itself, as those "
            "who pull the index may need it"
        )
    if done.left_out:
        told.append(f"left out, as no part of it: {', '.join(done.left_out)}")
    return told
