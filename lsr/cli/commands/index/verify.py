"""`lsr index verify`: compare every byte of an index with its checksum."""

from __future__ import annotations

import typer

from lsr.cli.console import complain, print_json
from lsr.cli.index_options import AsJson, IndexPath
from lsr.index.storage.manifest import Manifest

__all__ = ["verify"]

DAMAGED = 1


def verify(index: IndexPath, as_json: AsJson = False) -> None:
    """Compare every byte of an index with its checksums. Exit code 1 when any differs.

    Example: lsr index verify my-index
    """
    manifest = Manifest.read(index)
    damage = list(manifest.damage(index))
    if as_json:
        print_json({"files": len(manifest.files), "damage": damage})
    else:
        for sentence in damage:
            typer.echo(sentence)
        if not damage:
            typer.echo(f"{index}: {len(manifest.files)} files are as they were written")
    if damage:
        complain(f"error: {len(damage)} of {len(manifest.files)} files are damaged; build again")
        raise typer.Exit(DAMAGED)
