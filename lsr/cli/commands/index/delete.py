"""`lsr index delete`: delete documents by id."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lsr.cli.change import print_change, print_remote_change
from lsr.cli.console import shown_progress
from lsr.cli.index_options import AsJson, IndexPath
from lsr.cli.remote import ServiceKey, ServiceUrl, remote_collection
from lsr.datasets.lines import numbered_lines
from lsr.errors import InputError

if TYPE_CHECKING:
    from lsr.client.client import RemoteCollection

__all__ = ["delete"]

_AT_ONCE = 10_000
"""Ids in one request."""


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
    url: ServiceUrl = None,
    key: ServiceKey = None,
    as_json: AsJson = False,
) -> None:
    """Delete documents by id: all that are named, or none when an id is unknown.

    Their bytes stay on disk until their segment is merged.

    Example: lsr index delete my-index old/note.md
    """
    wanted = list(doc_ids or [])
    if ids_from is not None:
        wanted += [line for _, line in numbered_lines(ids_from) if line]
    if not wanted:
        raise InputError("no document was named; give ids, or --ids-from a file that has some")
    with remote_collection(index, url, key, writes=True) as remote:
        if remote is not None:
            _delete_remotely(index, remote, list(dict.fromkeys(wanted)), ignore_missing, as_json)
            return
    from lsr.index.collection.update import delete_documents
    from lsr.index.live.settling import settle

    with shown_progress() as progress:
        settle(index, progress)
        change = delete_documents(index, wanted, ignore_missing=ignore_missing, progress=progress)
    print_change(index, change, as_json)


def _delete_remotely(
    index: Path, remote: RemoteCollection, wanted: list[str], ignore_missing: bool, as_json: bool
) -> None:
    if not ignore_missing:
        for doc_id in wanted:
            remote.get(doc_id)
    n_deleted = 0
    for start in range(0, len(wanted), _AT_ONCE):
        done = remote.delete_many(wanted[start : start + _AT_ONCE], wait="searchable")
        n_deleted += done.n_deleted
    print_remote_change(index, remote.info(), as_json, deleted=n_deleted)
