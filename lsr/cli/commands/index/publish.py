"""`lsr index publish`: publish what a service that was killed left in the log."""

from __future__ import annotations

import typer

from lsr.cli.console import print_json, shown_progress
from lsr.cli.index_options import AsJson, IndexPath
from lsr.index.storage.manifest import Manifest

__all__ = ["publish"]


def publish(index: IndexPath, as_json: AsJson = False) -> None:
    """Publish acknowledged writes that are in the log alone, so that every search sees them.

    A service does so by itself, also after it was killed and started again; so do the commands
    that change an index. While a service is at work on the index this is refused.

    Example: lsr index publish my-index
    """
    from lsr.index.live.settling import settle

    Manifest.read(index)
    with shown_progress() as progress:
        count = settle(index, progress)
    manifest = Manifest.read(index)
    if as_json:
        state = {"generation": manifest.generation, "n_documents": manifest.n_documents}
        print_json({"index": str(index), "n_published": count, **state})
        return
    typer.echo(
        f"{index}: {count:,} writes published; now generation {manifest.generation}, "
        f"documents {manifest.n_documents:,}"
    )
