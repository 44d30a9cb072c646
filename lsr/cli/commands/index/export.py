"""`lsr index export`: sparse vectors for other engines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.console import print_json
from lsr.cli.index_options import AsJson, IndexPath
from lsr.datasets.vectors.open import FORMATS, write_vectors

__all__ = ["export"]


def export(
    index: IndexPath,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    format_name: Annotated[
        str | None,
        typer.Option("--format", help=f"{', '.join(FORMATS)}; by default told by the name."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the sparse vectors of all documents to a file that other engines read.

    Formats without ids (seismic-binary, bigann, scipy) have documents in the order of the index.
    """
    from lsr.index.collection.reader import CollectionReader

    collection = CollectionReader.open(index)
    rows = collection.live_rows()
    vectors = collection.sparse.vectors(rows)
    n_terms = collection.encoder.n_terms
    vocabulary = [collection.sparse.term(term) for term in range(n_terms)]
    documents = collection.store.documents(rows.tolist())
    write_vectors(
        file,
        format_name,
        [document.doc_id for document in documents],
        vectors._replace(n_terms=n_terms),
        vocabulary,
        [document.full_text for document in documents],
    )
    collection.close()
    if as_json:
        print_json({"file": str(file), "n_documents": len(documents), "n_entries": vectors.nnz})
    else:
        typer.echo(f"{file}: {len(documents):,} documents, {vectors.nnz:,} entries")
