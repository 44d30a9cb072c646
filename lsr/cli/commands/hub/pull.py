"""`lsr pull`: fetch an index or a model from a repository of the Hugging Face hub."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.console import complain, print_json, shown_progress
from lsr.cli.index_options import AsJson

__all__ = ["pull"]


def pull(
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The repository.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The folder to write.")],
    revision: Annotated[
        str | None,
        typer.Option(help="A branch, tag or commit; default: the newest of main."),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace an index or a model that is there."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Pull an index or a model from the Hugging Face hub into a folder.

    The folder is there when every byte is, compared with its checksum. A pull that stopped goes on
    with the files that it lacks. Code that a model brings along is not run.

    Example: lsr pull owner/my-index my-index
    """
    from lsr.hub.pull import pull as pull_from_hub

    try:
        with shown_progress() as progress:
            done = pull_from_hub(
                repository, target, revision=revision, overwrite=overwrite, progress=progress
            )
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("the same command goes on where it stopped") from error
    if done.left_out:
        complain(f"warning: left out, as nothing reads them: {', '.join(done.left_out)}")
    if as_json:
        print_json(asdict(done) | {"path": str(done.path)})
        return
    held = "a model" if done.n_documents is None else f"{done.n_documents:,} documents"
    typer.echo(
        f"{done.path}: {held} of {repository} at {done.commit[:12]}, {done.n_files:,} files, "
        f"{done.size_bytes / 1e6:,.1f} MB"
    )
