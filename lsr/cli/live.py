"""`lsr index add`, `delete` and `merge`: changes of an index that is there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lsr.cli.console import print_json, shown_progress
from lsr.cli.given import (
    VectorFormat,
    VectorsPath,
    check_vector_format,
    given_vectors,
    own_encoder,
)
from lsr.cli.index import AsJson, IndexPath
from lsr.cli.limits import MaxMemory, Threads, build_limits
from lsr.datasets import open_corpus
from lsr.errors import InputError
from lsr.lines import numbered_lines
from lsr.records import Columns
from lsr.types import Document

if TYPE_CHECKING:
    from lsr.index.writer import Change

__all__ = ["add", "delete", "merge"]


def add(
    index: IndexPath,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="Documents, as lsr index build reads them."),
    ] = None,
    vectors: VectorsPath = None,
    vector_format: VectorFormat = None,
    columns: Annotated[
        str,
        typer.Option(help="Fields of a record file, as doc_id=A,text=B,title=C; usual names else."),
    ] = "",
    threads: Threads = None,
    max_memory: MaxMemory = None,
    as_json: AsJson = False,
) -> None:
    """Add documents to an index; one whose id is there replaces the older version.

    They are encoded by the models of the index; one that was built with --vectors needs vectors
    here too. Searches that are running, and lsr serve, keep what they have open. Small segments
    are merged now and then.
    """
    from lsr.index.writer import add_documents

    limits = build_limits(threads, max_memory)
    check_vector_format(vectors, vector_format)
    if source is None and vectors is None:
        raise InputError("the documents to add are missing: lsr index add INDEX SOURCE")
    own = own_encoder(index, vectors)
    documents: Iterable[Document] | None = None
    if source is not None:
        documents = open_corpus(source, Columns.parse(columns) if columns else None).documents()
    given = None if vectors is None else given_vectors(vectors, vector_format, documents, own)
    with shown_progress() as progress:
        change = add_documents(
            index,
            given.documents if given else documents or (),
            vectors=given.vectors if given else None,
            sparse=given.encoder if given else None,
            source=source or str(vectors),
            limits=limits,
            progress=progress,
        )
    _tell(index, change, as_json)


def delete(
    index: IndexPath,
    doc_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[DOC_ID]...", help="Ids of documents.")
    ] = None,
    ids_from: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file with an id on each line, besides those named."),
    ] = None,
    ignore_missing: Annotated[
        bool, typer.Option("--ignore-missing", help="Ids that are not there are no error.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete documents by id: all of those named, or none when one is not there.

    Their bytes stay on disk until their segment is merged.
    """
    from lsr.index.writer import delete_documents

    wanted = list(doc_ids or [])
    if ids_from is not None:
        wanted += [line for _, line in numbered_lines(ids_from) if line]
    if not wanted:
        raise InputError("no document was named; give ids, or --ids-from a file that has some")
    with shown_progress() as progress:
        change = delete_documents(index, wanted, ignore_missing=ignore_missing, progress=progress)
    _tell(index, change, as_json)


def merge(
    index: IndexPath,
    threads: Threads = None,
    max_memory: MaxMemory = None,
    as_json: AsJson = False,
) -> None:
    """Merge all segments of an index into one, and free what deleted documents take.

    BM25 takes its statistics anew from the documents that are left. An interrupted merge changes
    nothing.
    """
    from lsr.index.writer import merge_segments

    limits = build_limits(threads, max_memory)
    with shown_progress() as progress:
        change = merge_segments(index, limits=limits, progress=progress)
    _tell(index, change, as_json)


def _tell(index: Path, change: Change, as_json: bool) -> None:
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
