"""What an engine benchmark runs on: documents, sets of queries, and their exact answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.engine import generator
from bench.engine.truth import exact_top
from lsr.datasets.vectors.open import VectorFile
from lsr.errors import InputError
from lsr.sparse import CSR

_TELL_WIDTH = ("bigann", "scipy")
"""Formats whose files say how many terms there are."""


class Workload(NamedTuple):
    """Documents, and by kind of query ("long", "short") queries and exact best scores.

    `tops` are float32, shape (n_queries, k), as `exact_top` returns them.
    """

    documents: CSR
    queries: dict[str, CSR]
    tops: dict[str, NDArray[np.float32]]


def generated(n_documents: int, n_queries: int, seed: int, k: int) -> Workload:
    """A made collection."""
    made = generator.make(n_documents, n_queries, seed)
    return _answered(made.documents, {"long": made.queries_long, "short": made.queries_short}, k)


def given(
    vectors: Path,
    queries: dict[str, Path],
    n_queries: int,
    k: int,
    format_name: str | None = None,
    say: Callable[[str], None] = print,
) -> Workload:
    """Vectors made elsewhere, in files that `lsr index build --vectors` reads.

    Terms that have names are numbered alike in documents and queries.

    Args:
        queries: by kind; the first `n_queries` of each file.
        format_name: of all the files; None to recognise each.
        say: told how many terms of queries are in no document; they are left out.

    Raises:
        DataError: a file cannot be read.
        InputError: there is no such format, queries have numbers where documents have names or
            the other way round, or another width, or none has a term of a document.
    """
    file = VectorFile.open(vectors, format_name)
    documents = CSR.concatenate([chunk.vectors for chunk in file.chunks()])
    documents = documents._replace(n_terms=max(file.n_terms or 0, documents.n_terms))
    held = np.bincount(documents.terms, minlength=documents.n_terms) > 0
    sets = {}
    for kind, path in queries.items():
        matrix = _queries(path, format_name, file, documents.n_terms, n_queries)
        sets[kind], n_left = _without_unheld(matrix, held)
        if n_left:
            say(
                f"{path}: {n_left:,} of {matrix.nnz:,} terms of the queries are in no document, "
                "and left out"
            )
    if not any(matrix.nnz for matrix in sets.values()):
        raise InputError(
            "no queries that share a term with a document: give --queries-long or --queries-short "
            "beside --vectors"
        )
    return _answered(documents, sets, k)


def _queries(
    path: Path, format_name: str | None, documents: VectorFile, n_terms: int, n_queries: int
) -> CSR:
    """The first queries of a file; a term that no document has may have a number from `n_terms`."""
    file = VectorFile.open(path, format_name)
    names = documents.vocabulary
    if (file.vocabulary is None) != (names is None):
        kinds = ("numbers", "names") if names is not None else ("names", "numbers")
        raise InputError(
            f"{path} has {kinds[0]} for terms and {documents.path} has {kinds[1]}; give queries "
            "in the documents' vocabulary"
        )
    if names:
        file = VectorFile.open(path, file.format, names)
    told = file.n_terms
    if told is not None and told != n_terms and file.format in _TELL_WIDTH:
        raise InputError(
            f"{path} has {told:,} columns and {documents.path} {n_terms:,}; both must have one "
            "for each term"
        )
    return next(file.chunks(n_queries)).vectors


def _without_unheld(queries: CSR, held: NDArray[np.bool_]) -> tuple[CSR, int]:
    """Queries with the terms of documents alone, and how many entries were left out."""
    n_terms = len(held)
    kept = np.zeros(queries.nnz, bool)
    inside = queries.terms < n_terms
    kept[inside] = held[queries.terms[inside]]
    before = np.concatenate(([0], np.cumsum(kept)))
    indptr = before[queries.indptr].astype(queries.indptr.dtype)
    left = CSR(indptr, queries.terms[kept], queries.weights[kept], n_terms)
    return left, queries.nnz - left.nnz


def _answered(documents: CSR, queries: dict[str, CSR], k: int) -> Workload:
    tops = {kind: exact_top(documents, matrix, k) for kind, matrix in queries.items()}
    return Workload(documents, queries, tops)


def save_documents(documents: CSR, path: Path) -> None:
    """For the processes that build."""
    np.savez(path, **documents._asdict())


def load_documents(path: Path) -> CSR:
    """What `save_documents` wrote, or the documents of what the generator wrote."""
    with np.load(path) as arrays:
        parts = arrays["indptr"], arrays["terms"], arrays["weights"]
        return CSR(*parts, int(arrays["n_terms"]))
