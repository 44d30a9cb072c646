"""`lsr index sync`: make an index hold exactly the documents of a folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lsr.cli.build_options import MaxMemory, Threads, build_limits
from lsr.cli.change import goes_on, print_change, print_reading
from lsr.cli.console import complain, print_json, shown_progress
from lsr.cli.index_options import AsJson, ColumnNames, IndexPath
from lsr.cli.unpublished import warn_of_unpublished
from lsr.datasets.open import Corpus, open_corpus
from lsr.datasets.records import Columns
from lsr.datasets.watching import changes_of
from lsr.errors import InputError, LsrError
from lsr.types import Document

if TYPE_CHECKING:
    from lsr.index.collection.update import Change
    from lsr.index.indexer.limits import BuildLimits

__all__ = ["sync"]


def sync(
    index: IndexPath,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Documents, as lsr index build reads them.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    allow_empty: Annotated[
        bool,
        typer.Option("--allow-empty", help="Let an empty source delete all documents."),
    ] = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Go on whenever files change, until Ctrl-C (extra watch)."),
    ] = False,
    columns: ColumnNames = "",
    threads: Threads = None,
    max_memory: MaxMemory = None,
    as_json: AsJson = False,
) -> None:
    """Make an index hold exactly the documents of a source: add, replace and delete.

    Documents whose content is in the index already are not encoded again. Where nothing changed,
    nothing is published. An interrupted sync changes nothing; run it again, and the vectors encoded
    so far are used.

    Example: lsr index sync my-index my-notes/ --dry-run
    """
    if watch and dry_run:
        raise InputError("--watch and --dry-run do not go together; leave one out")
    limits = build_limits(threads, max_memory)

    def once() -> None:
        corpus = _corpus(source, columns, allow_empty)
        documents: Iterable[Document] = () if corpus is None else corpus.documents()
        change = _synced(index, documents, source, limits, dry_run, allow_empty)
        _print(index, change, corpus, dry_run, as_json)

    if not watch:
        once()
        return
    try:
        for number, _ in enumerate(changes_of(source, index)):
            try:
                once()
            except LsrError as error:
                if number == 0 or not Path(source).exists():
                    raise
                complain(f"error: {error}")
            if number == 0:
                complain(f"watching {source}; end with Ctrl-C")
    except KeyboardInterrupt:
        complain("watching ended")


def _corpus(source: str, columns: str, allow_empty: bool) -> Corpus | None:
    """The source; None of a folder that may be empty, and is."""
    folder = Path(source)
    if allow_empty and folder.is_dir() and not any(folder.iterdir()):
        return None
    return open_corpus(source, Columns.parse(columns) if columns else None)


def _synced(
    index: Path,
    documents: Iterable[Document],
    source: str,
    limits: BuildLimits | None,
    dry_run: bool,
    allow_empty: bool,
) -> Change:
    from lsr.index.collection.update import sync_documents
    from lsr.index.live.settling import settle

    with goes_on(index), shown_progress() as progress:
        if dry_run:
            warn_of_unpublished(index)
        else:
            settle(index, progress)
        return sync_documents(
            index,
            documents,
            allow_empty=allow_empty,
            dry_run=dry_run,
            source=source,
            limits=limits,
            progress=progress,
        )


def _print(
    index: Path, change: Change, corpus: Corpus | None, dry_run: bool, as_json: bool
) -> None:
    difference = change.difference
    if not dry_run:
        print_change(index, change, as_json, corpus, asdict(difference))
        return
    if as_json:
        counts = {
            "n_added": change.n_added,
            "n_replaced": change.n_replaced,
            "n_deleted": change.n_deleted,
            "n_unchanged": change.n_unchanged,
        }
        print_json({"index": str(index), "would": counts, **asdict(difference)})
        return
    for sign, doc_ids in (
        ("+", difference.added),
        ("~", difference.replaced),
        ("-", difference.deleted),
    ):
        for doc_id in doc_ids:
            typer.echo(f"{sign} {doc_id}")
    typer.echo(
        f"{index}: {change.n_added:,} would be added, {change.n_replaced:,} replaced, "
        f"{change.n_deleted:,} deleted; {change.n_unchanged:,} unchanged"
    )
    print_reading(corpus)
