"""`lsr index snapshot`: make, list, verify and restore snapshots of an index."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.console import complain, print_json, shown_progress
from lsr.cli.index_options import AsJson, IndexPath
from lsr.errors import LsrError
from lsr.index.snapshots.listing import Listing

__all__ = ["app"]

DAMAGED = 1

SnapshotName = Annotated[str, typer.Argument(metavar="NAME", help="The snapshot's name.")]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make, list, verify and restore snapshots of an index.",
)


@app.command("create")
def create(
    index: IndexPath,
    name: Annotated[
        str | None, typer.Option(help="Its name; default: the time and the generation.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a snapshot of an index, beside it. It may be served and changed meanwhile.

    Every byte is compared with its checksum first. Files are linked where the file system has
    links, and copied elsewhere.
    """
    from lsr.index.snapshots.snapshots import Snapshots

    with shown_progress() as progress:
        listing = Snapshots(index).create(name, progress=progress)
    if as_json:
        print_json(_described(listing))
    else:
        typer.echo(
            f"{index}: snapshot {listing.name} of generation {listing.generation}, "
            f"{listing.n_documents:,} documents, {listing.size_bytes / 1e6:.1f} MB"
        )


@app.command("list")
def list_snapshots(index: IndexPath, as_json: AsJson = False) -> None:
    """List the snapshots of an index."""
    from lsr.index.snapshots.snapshots import Snapshots

    snapshots = Snapshots(index)
    found: list[dict[str, object]] = []
    for name in snapshots.names():
        try:
            found.append(_described(snapshots.listing(name)))
        except LsrError as error:
            found.append({"name": name, "damage": str(error)})
    if as_json:
        print_json({"snapshots": found})
        return
    for each in found:
        if "damage" in each:
            typer.echo(f"{each['name']}  {each['damage']}")
        else:
            typer.echo(
                f"{each['name']}  generation {each['generation']}, {each['n_documents']:,} "
                f"documents, {each['created']}"
            )


@app.command("verify")
def verify(index: IndexPath, name: SnapshotName, as_json: AsJson = False) -> None:
    """Compare every byte of a snapshot with its checksums. Exit code 1 when any differs."""
    from lsr.index.snapshots.snapshots import Snapshots

    with shown_progress() as progress:
        damage = Snapshots(index).verify(name, progress)
    if as_json:
        print_json({"snapshot": name, "damage": damage})
    else:
        for sentence in damage:
            typer.echo(sentence)
        if not damage:
            typer.echo(f"{name}: all files are as they were written")
    if damage:
        complain(f"error: {len(damage)} damaged; use another snapshot")
        raise typer.Exit(DAMAGED)


@app.command("restore")
def restore(
    index: IndexPath,
    name: SnapshotName,
    to: Annotated[
        Path | None,
        typer.Option(help="Folder to write, new or of an index to replace; default: INDEX."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put a snapshot in the place of an index. What does not verify changes nothing."""
    from lsr.index.snapshots.restore import restore as put_back
    from lsr.index.snapshots.snapshots import Snapshots

    target = to or index
    with shown_progress() as progress:
        listing = put_back(Snapshots(index).path(name), target, progress=progress)
    if as_json:
        print_json({"index": str(target), **_described(listing)})
    else:
        typer.echo(f"{target}: {listing.n_documents:,} documents of snapshot {listing.name}")


def _described(listing: Listing) -> dict[str, object]:
    values = asdict(listing)
    del values["files"]
    return {**values, "n_files": len(listing.files), "size_bytes": listing.size_bytes}
