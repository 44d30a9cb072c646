"""`lsr index delete`: delete documents by id."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.change import print_change
from lsr.cli.console import shown_progress
from lsr.cli.index_options import AsJson, IndexPath
from lsr.datasets.lines import numbered_lines
from lsr.errors import InputError

__all__ = ["delete"]


def delete(
    index: IndexPath,
    doc_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[DOC_ID]...", help="Ids of documents.")
    ] = None,
    ids_from: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with more ids, one a line."),
    ] = None,
    ignore_missing: Annotated[
        bool, typer.Option("--ignore-missing", help="Ignore ids of no document.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete documents by id: all that are named, or none when an id is unknown.

    Their bytes stay on disk until their segment is merged.
    """
    from lsr.index.collection.update import delete_documents
    from lsr.index.live.settling import settle

    wanted = list(doc_ids or [])
    if ids_from is not None:
        wanted += [line for _, line in numbered_lines(ids_from) if line]
    if not wanted:
        raise InputError("no document was named; give ids, or --ids-from a file that has some")
    with shown_progress() as progress:
        settle(index, progress)
        change = delete_documents(index, wanted, ignore_missing=ignore_missing, progress=progress)
    print_change(index, change, as_json)
