"""`lsr migrate`: an index into Qdrant, or back."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lsr.backend.qdrant.address import QdrantAddress, is_address
from lsr.cli.console import print_json, shown_progress
from lsr.cli.index_options import AsJson
from lsr.cli.unpublished import warn_of_unpublished
from lsr.errors import InputError
from lsr.progress import Progress

if TYPE_CHECKING:
    from lsr.backend.qdrant.migrate import Migrated

__all__ = ["migrate"]


def migrate(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="An index folder, or qdrant:URL/NAME.")
    ],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="The other of the two; nothing of it is there.")
    ],
    as_json: AsJson = False,
) -> None:
    """Copy an index into a collection of Qdrant, or one of those back into an index.

    Documents, vectors and models go along, to the bit; deleted documents do not. An interrupted
    migration goes on by the same command. The key of the server is QDRANT_API_KEY of the
    environment.

    Example: lsr migrate my-index qdrant:http://localhost:6333/my-notes
    """
    if is_address(source) == is_address(target):
        raise InputError(
            "one of FROM and TO is an index folder and the other qdrant:URL/NAME, such as "
            "qdrant:http://localhost:6333/my-notes"
        )
    run = _into if is_address(target) else _back
    try:
        with shown_progress() as progress:
            done = run(source, target, progress)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("the same command goes on where it stopped") from error
    if as_json:
        print_json({"target": target, "n_documents": done.n_documents, "n_found": done.n_found})
        return
    found = f", {done.n_found:,} of them before" if done.n_found else ""
    typer.echo(f"{target}: {done.n_documents:,} documents are there{found}")


def _into(source: str, target: str, progress: Progress) -> Migrated:
    from lsr.backend.qdrant.client import ClientStore
    from lsr.backend.qdrant.migrate import migrate_to
    from lsr.index.collection.reader import CollectionReader

    address, index = QdrantAddress.parse(target), Path(source)
    warn_of_unpublished(index)
    with (
        closing(CollectionReader.open(index)) as reader,
        closing(ClientStore.open(address)) as store,
    ):
        return migrate_to(reader, store, address, progress=progress)


def _back(source: str, target: str, progress: Progress) -> Migrated:
    from lsr.backend.qdrant.client import ClientStore
    from lsr.backend.qdrant.migrate import migrate_from

    address = QdrantAddress.parse(source)
    with closing(ClientStore.open(address)) as store:
        return migrate_from(store, address, Path(target), progress=progress)
