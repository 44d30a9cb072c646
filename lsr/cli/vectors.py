"""Vectors made elsewhere: read for `lsr index build --vectors`, written by `lsr index export`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from lsr.cli.console import print_json
from lsr.cli.index import AsJson, IndexPath
from lsr.errors import InputError
from lsr.given import GivenEncoder
from lsr.sparse import CSR
from lsr.types import Document
from lsr.vectorfiles import FORMATS, VectorFile, write_vectors

__all__ = ["GivenVectors", "export", "given_vectors"]


class GivenVectors(NamedTuple):
    """Documents and their vectors, in the same order, and the encoder of their vocabulary."""

    documents: Iterable[Document]
    vectors: CSR
    encoder: GivenEncoder


def given_vectors(
    path: Path, format_name: str | None, documents: Iterable[Document] | None
) -> GivenVectors:
    """Read a file of vectors, and put them in the order of the documents.

    Args:
        format_name: one of `FORMATS`, or None to find out.
        documents: matched by doc_id; without any, the file's own ids and texts are the documents.

    Raises:
        DataError: the file cannot be read.
        InputError: a document has no vector.
    """
    file = VectorFile.open(path, format_name)
    doc_ids: list[str] = []
    texts: list[str] = []
    parts: list[CSR] = []
    for chunk in file.chunks():
        doc_ids += chunk.doc_ids
        texts += chunk.texts or [""] * len(chunk.doc_ids)
        parts.append(chunk.vectors)
    vectors = CSR.concatenate(parts)
    n_terms = max(file.n_terms or 0, vectors.n_terms)
    vectors = vectors._replace(n_terms=n_terms)
    encoder = GivenEncoder(n_terms, file.vocabulary, name=path.name)
    if documents is None:
        pairs = zip(doc_ids, texts, strict=True)
        return GivenVectors((Document(doc_id, text) for doc_id, text in pairs), vectors, encoder)
    held = list(documents)
    row_of = {doc_id: row for row, doc_id in enumerate(doc_ids)}
    missing = next((each.doc_id for each in held if each.doc_id not in row_of), None)
    if missing is not None:
        raise InputError(
            f"{path} has no vector for the document {missing!r}; give vectors of all documents, or "
            "leave the documents out"
        )
    return GivenVectors(held, vectors.take([row_of[each.doc_id] for each in held]), encoder)


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
    from lsr.index.collection import Collection

    collection = Collection(index)
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
