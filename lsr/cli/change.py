"""Output of the commands that change an index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lsr.cli.console import print_json

if TYPE_CHECKING:
    from lsr.index.collection.update import Change

__all__ = ["print_change"]


def print_change(index: Path, change: Change, as_json: bool) -> None:
    """Print what was done and the new state of the index, as text or JSON."""
    manifest = change.manifest
    counts = {
        "added": change.n_added,
        "replaced": change.n_replaced,
        "deleted": change.n_deleted,
        "segments merged": change.n_merged,
    }
    if as_json:
        state = {
            "generation": manifest.generation,
            "n_documents": manifest.n_documents,
            "n_deleted": manifest.n_deleted,
            "n_segments": len(manifest.segments),
        }
        done = {f"n_{name.split()[-1]}": count for name, count in counts.items()}
        print_json({"index": str(index), "done": done, **state})
        return
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    typer.echo(
        f"{index}: {told or 'nothing to do'}; now generation {manifest.generation}, "
        f"documents {manifest.n_documents:,}, segments {len(manifest.segments):,}"
    )
