"""Precomputed vectors, read for `lsr index build --vectors` and `lsr index add --vectors`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from lsr.datasets.vectors.open import FORMATS, VectorFile
from lsr.encoders.precomputed import PrecomputedEncoder
from lsr.encoders.protocols import Encoder
from lsr.errors import InputError
from lsr.index.storage.manifest import Manifest
from lsr.sparse import CSR
from lsr.types import Document

__all__ = [
    "GivenVectors",
    "VectorFormat",
    "VectorsPath",
    "check_vector_format",
    "given_vectors",
    "own_encoder",
    "with_vectors",
]

VectorsPath = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Sparse vectors made elsewhere, matched with SOURCE by id, or without SOURCE.",
    ),
]
VectorFormat = Annotated[
    str | None,
    typer.Option(help=f"Format of --vectors: {', '.join(FORMATS)}; default: recognised."),
]


class GivenVectors(NamedTuple):
    """Documents and their vectors, in the same order, and the encoder of their vocabulary."""

    documents: Iterable[Document]
    vectors: CSR
    encoder: Encoder


def check_vector_format(vectors: Path | None, format_name: str | None) -> None:
    """Raise InputError where the format of a file is named and there is no file."""
    if format_name is not None and vectors is None:
        raise InputError(
            f"--vector-format {format_name} says how a file of vectors is written, and none is "
            "given; name it with --vectors FILE, or leave the format out"
        )


def given_vectors(
    path: Path,
    format_name: str | None,
    documents: Iterable[Document] | None,
    own: PrecomputedEncoder | None = None,
    queries_by: Encoder | None = None,
) -> GivenVectors:
    """Read a file of vectors, and put them in the order of the documents.

    Args:
        format_name: one of `FORMATS`, or None to find out.
        documents: matched by doc_id; without any, the file's own ids and texts are the documents.
        own: of the index that they are added to; its terms keep their numbers, new ones follow.
        queries_by: the learned model that made the vectors, which shall encode queries; None when
            queries will be vectors too.

    Raises:
        DataError: the file cannot be read.
        InputError: a document has no vector, or the index has tokens where the file has numbers,
            or the other way round.
    """
    if queries_by is not None:
        tokens = [queries_by.term(term) for term in range(queries_by.n_terms)]
        own = PrecomputedEncoder(len(tokens), tokens)
    file = _opened(path, format_name, own)
    doc_ids: list[str] = []
    texts: list[str] = []
    parts: list[CSR] = []
    for chunk in file.chunks():
        doc_ids += chunk.doc_ids
        texts += chunk.texts or [""] * len(chunk.doc_ids)
        parts.append(chunk.vectors)
    vectors = CSR.concatenate(parts)
    n_terms = max(file.n_terms or 0, vectors.n_terms, own.n_terms if own else 0)
    vectors = vectors._replace(n_terms=n_terms)
    encoder: Encoder
    encoder = PrecomputedEncoder(
        n_terms, file.vocabulary, name=own.identity.name if own else path.name
    )
    if queries_by is not None:
        if n_terms > queries_by.n_terms:
            token = encoder.term(queries_by.n_terms)
            raise InputError(
                f"{path} has the token {token!r}, which {queries_by.identity.name} lacks; name the "
                "model that made the vectors, or leave --sparse out"
            )
        encoder = queries_by
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


def with_vectors(given: GivenVectors) -> Iterator[dict[str, Any]]:
    """The documents as a service takes them, each with its vector: weights by term."""
    for row, document in enumerate(given.documents):
        terms, weights = given.vectors.row(row)
        vector = {
            given.encoder.term(term): float(weight)
            for term, weight in zip(terms.tolist(), weights.tolist(), strict=True)
        }
        yield {
            "doc_id": document.doc_id,
            "text": document.text,
            "title": document.title,
            "metadata": dict(document.metadata),
            "vectors": {"sparse": vector},
        }


def own_encoder(index: Path, vectors: Path | None) -> PrecomputedEncoder | None:
    """The encoder of an index of vectors made elsewhere; None for one that encodes texts.

    Args:
        vectors: the file whose vectors shall be added, if there is one.

    Raises:
        IndexStateError: there is no index, or it cannot be read.
        InputError: the index needs vectors and there is no file, or the other way round.
    """
    manifest = Manifest.read(index)
    if manifest.sparse.kind == "precomputed":
        if vectors is None:
            raise InputError(
                f"{index} is of vectors made elsewhere, and text cannot be encoded for it; give "
                "the documents' vectors with --vectors FILE"
            )
        return PrecomputedEncoder.load(index / manifest.encoder)
    if vectors is not None:
        raise InputError(
            f"{index} encodes texts by {manifest.sparse.name!r} and takes no vectors made "
            "elsewhere; leave --vectors out, or build an index of vectors alone: "
            "lsr index build --vectors FILE INDEX"
        )
    return None


def _opened(path: Path, format_name: str | None, own: PrecomputedEncoder | None) -> VectorFile:
    file = VectorFile.open(path, format_name)
    if own is None:
        return file
    vocabulary = own.vocabulary
    if (file.vocabulary is None) != (vocabulary is None):
        kinds = "numbers", "tokens"
        theirs, ours = kinds if file.vocabulary is None else kinds[::-1]
        raise InputError(
            f"{path}: components of {file.format} files are {theirs}, and those of this index are "
            f"{ours}; give vectors of {ours}, or build an index of these"
        )
    return VectorFile.open(path, file.format, vocabulary) if vocabulary else file
