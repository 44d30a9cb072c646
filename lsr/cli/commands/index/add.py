"""`lsr index add`: add documents to an index, or replace older versions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from lsr.cli.build_options import MaxMemory, Threads, build_limits
from lsr.cli.change import print_change
from lsr.cli.console import shown_progress
from lsr.cli.index_options import AsJson, ColumnNames, IndexPath
from lsr.cli.vector_options import (
    VectorFormat,
    VectorsPath,
    check_vector_format,
    given_vectors,
    own_encoder,
)
from lsr.datasets.open import open_corpus
from lsr.datasets.records import Columns
from lsr.errors import InputError
from lsr.types import Document

__all__ = ["add"]


def add(
    index: IndexPath,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="Documents, as lsr index build reads them."),
    ] = None,
    vectors: VectorsPath = None,
    vector_format: VectorFormat = None,
    columns: ColumnNames = "",
    threads: Threads = None,
    max_memory: MaxMemory = None,
    as_json: AsJson = False,
) -> None:
    """Add documents to an index; a document with a known id replaces the older version.

    Documents are encoded by the models of the index; an index that was built with --vectors needs
    vectors here too. Running searches, and lsr serve, keep the generation they opened. Small
    segments are merged along the way.
    """
    from lsr.index.collection.update import add_documents
    from lsr.index.live.settling import settle

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
    print_change(index, change, as_json)
