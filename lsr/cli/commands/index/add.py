"""`lsr index add`: add documents to an index, or replace older versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsr.cli.build_options import MaxMemory, Threads, build_limits
from lsr.cli.change import goes_on, print_change, print_remote_change
from lsr.cli.console import complain, shown_progress
from lsr.cli.index_options import (
    AsJson,
    ColumnNames,
    Delimiter,
    Encoding,
    IndexPath,
    SkipBad,
    chosen_corpus,
)
from lsr.cli.remote import ServiceKey, ServiceUrl, refuse_options, remote_collection
from lsr.cli.vector_options import (
    VectorFormat,
    VectorsPath,
    check_vector_format,
    given_vectors,
    own_encoder,
    with_vectors,
)
from lsr.datasets.open import Corpus
from lsr.errors import InputError
from lsr.types import Document

if TYPE_CHECKING:
    from lsr.client.client import RemoteCollection
    from lsr.client.resources import Written

__all__ = ["add"]

_MOST_TOLD = 10


def add(
    index: IndexPath,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="Documents, as lsr index build reads them."),
    ] = None,
    vectors: VectorsPath = None,
    vector_format: VectorFormat = None,
    columns: ColumnNames = "",
    encoding: Encoding = None,
    skip_bad: SkipBad = 0,
    delimiter: Delimiter = None,
    threads: Threads = None,
    max_memory: MaxMemory = None,
    url: ServiceUrl = None,
    key: ServiceKey = None,
    as_json: AsJson = False,
) -> None:
    """Add documents to an index; a document with a known id replaces the older version.

    Documents are encoded by the models of the index; an index that was built with --vectors needs
    vectors here too. Small segments are merged along the way. Where a service has the index, it
    stores the documents, those that it refuses are named, and the exit code is then 2.

    Example: lsr index add my-index new-notes/
    """
    limits = build_limits(threads, max_memory)
    check_vector_format(vectors, vector_format)
    if source is None and vectors is None:
        raise InputError("the documents to add are missing: lsr index add INDEX SOURCE")
    corpus = None
    if source is not None:
        corpus = chosen_corpus(source, columns, encoding, skip_bad, delimiter)
    documents: Iterable[Document] | None = corpus.documents() if corpus else None
    with remote_collection(index, url, key, writes=True) as remote:
        if remote is not None:
            refuse_options(remote, {"--threads": threads, "--max-memory": max_memory})
            given = given_vectors(vectors, vector_format, documents) if vectors else None
            sent = with_vectors(given) if given else documents or ()
            _add_remotely(index, remote, sent, as_json, corpus)
            return
    from lsr.index.collection.update import add_documents
    from lsr.index.live.settling import settle

    own = own_encoder(index, vectors)
    given = None if vectors is None else given_vectors(vectors, vector_format, documents, own)
    with goes_on(index), shown_progress() as progress:
        settle(index, progress)
        change = add_documents(
            index,
            given.documents if given else documents or (),
            vectors=given.vectors if given else None,
            sparse=given.encoder if given else None,
            source=source or str(vectors),
            limits=limits,
            progress=progress,
        )
    print_change(index, change, as_json, corpus)


def _add_remotely(
    index: Path,
    remote: RemoteCollection,
    documents: Iterable[Document | Mapping[str, Any]],
    as_json: bool,
    corpus: Corpus | None,
) -> None:
    n_done = 0
    with shown_progress() as progress:

        def told(_: Written) -> None:
            nonlocal n_done
            n_done += 1
            progress("send", n_done, None)

        added = remote.add(documents, wait="searchable", told=told)
    print_remote_change(
        index,
        remote.info(),
        as_json,
        added=added.n_created,
        replaced=added.n_replaced,
        corpus=corpus,
    )
    if added.searchable is False:
        complain("the documents are stored; a search finds them a little later")
    for failure in added.failed[:_MOST_TOLD]:
        complain(f"document {failure.line} ({failure.doc_id}): {failure.error or failure.status}")
    if added.n_failed:
        complain(f"error: {added.n_failed:,} documents were not stored")
        raise typer.Exit(2)
