"""`lsr index snapshot`: make, list, verify and restore snapshots of an index."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsr.cli.console import complain, print_json, shown_progress
from lsr.cli.help import HelpedCommand, HelpedGroup
from lsr.cli.index_options import AsJson, IndexPath
from lsr.cli.remote import ServiceKey, ServiceUrl, refuse_options, remote_collection
from lsr.errors import LsrError
from lsr.index.snapshots.listing import Listing

if TYPE_CHECKING:
    from lsr.client.client import RemoteCollection

__all__ = ["app"]

DAMAGED = 1

SnapshotName = Annotated[str, typer.Argument(metavar="NAME", help="The snapshot's name.")]

app = typer.Typer(
    cls=HelpedGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    help="Make, list, verify and restore snapshots of an index.",
)


@app.command("create", cls=HelpedCommand)
def create(
    index: IndexPath,
    name: Annotated[
        str | None, typer.Option(help="Its name; default: the time and the generation.")
    ] = None,
    url: ServiceUrl = None,
    key: ServiceKey = None,
    as_json: AsJson = False,
) -> None:
    """Make a snapshot of an index, beside it. It may be served and changed meanwhile.

    Every byte is compared with its checksum first. Files are linked where the file system has
    links, and copied elsewhere.

    Example: lsr index snapshot create my-index --name monday
    """
    with remote_collection(index, url, key, writes=True) as remote:
        if remote is not None:
            made = str(remote.create_snapshot(name).result["snapshot"])
            described = next(dict(each.raw) for each in remote.snapshots() if each.name == made)
        else:
            from lsr.index.snapshots.snapshots import Snapshots

            with shown_progress() as progress:
                described = _described(Snapshots(index).create(name, progress=progress))
    if as_json:
        print_json(described)
    else:
        typer.echo(
            f"{index}: snapshot {described['name']} of generation {described['generation']}, "
            f"{described['n_documents']:,} documents, {described['size_bytes'] / 1e6:.1f} MB"
        )


@app.command("list", cls=HelpedCommand)
def list_snapshots(
    index: IndexPath, url: ServiceUrl = None, key: ServiceKey = None, as_json: AsJson = False
) -> None:
    """List the snapshots of an index.

    Example: lsr index snapshot list my-index
    """
    with remote_collection(index, url, key, writes=False) as remote:
        found = _listed(index) if remote is None else _listed_remotely(remote)
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


@app.command("verify", cls=HelpedCommand)
def verify(
    index: IndexPath,
    name: SnapshotName,
    url: ServiceUrl = None,
    key: ServiceKey = None,
    as_json: AsJson = False,
) -> None:
    """Compare every byte of a snapshot with its checksums. Exit code 1 when any differs.

    Example: lsr index snapshot verify my-index monday
    """
    with remote_collection(index, url, key, writes=False) as remote:
        if remote is not None:
            damage = remote.verify_snapshot(name).damage
        else:
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


@app.command("restore", cls=HelpedCommand)
def restore(
    index: IndexPath,
    name: SnapshotName,
    to: Annotated[
        Path | None,
        typer.Option(help="Folder to write, new or of an index to replace; default: INDEX."),
    ] = None,
    url: ServiceUrl = None,
    key: ServiceKey = None,
    as_json: AsJson = False,
) -> None:
    """Put a snapshot in the place of an index. What does not verify changes nothing.

    Example: lsr index snapshot restore my-index monday
    """
    with remote_collection(index, url, key, writes=to is None) as remote:
        if remote is not None:
            refuse_options(remote, {"--to": to})
            remote.restore(name)
            _print_restored(index, name, remote.info().n_documents, {}, as_json)
            return
    from lsr.index.snapshots.restore import restore as put_back
    from lsr.index.snapshots.snapshots import Snapshots

    target = to or index
    with shown_progress() as progress:
        listing = put_back(Snapshots(index).path(name), target, progress=progress)
    _print_restored(target, listing.name, listing.n_documents, _described(listing), as_json)


def _print_restored(
    target: Path, name: str, n_documents: int, described: dict[str, Any], as_json: bool
) -> None:
    if as_json:
        found = {"name": name, "n_documents": n_documents, **described}
        print_json({"index": str(target), **found})
    else:
        typer.echo(f"{target}: {n_documents:,} documents of snapshot {name}")


def _listed(index: Path) -> list[dict[str, Any]]:
    from lsr.index.snapshots.snapshots import Snapshots

    snapshots = Snapshots(index)
    found: list[dict[str, Any]] = []
    for name in snapshots.names():
        try:
            found.append(_described(snapshots.listing(name)))
        except LsrError as error:
            found.append({"name": name, "damage": str(error)})
    return found


def _listed_remotely(remote: RemoteCollection) -> list[dict[str, Any]]:
    return [
        {"name": each.name, "damage": each.error} if each.error else dict(each.raw)
        for each in remote.snapshots()
    ]


def _described(listing: Listing) -> dict[str, Any]:
    values = asdict(listing)
    del values["files"]
    return {**values, "n_files": len(listing.files), "size_bytes": listing.size_bytes}
