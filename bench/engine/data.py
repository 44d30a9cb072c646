"""What an engine benchmark runs on: documents, sets of queries, and their exact answers."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.engine import generator
from bench.engine.truth import exact_top
from lsr.sparse import CSR


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


def given(vectors: Path, queries: dict[str, Path], n_queries: int, k: int) -> Workload:
    """Vectors made elsewhere, in SciPy's .npz of a CSR matrix; the first `n_queries` of a set.

    Raises:
        ValueError: queries have another width than the documents, or there are none.
    """
    documents = _read(vectors)
    sets = {}
    for kind, path in queries.items():
        matrix = _read(path)
        if matrix.n_terms != documents.n_terms:
            raise ValueError(
                f"{path} has {matrix.n_terms:,} columns and {vectors} {documents.n_terms:,}; "
                "both must have one for each term"
            )
        sets[kind] = matrix.take(range(min(n_queries, matrix.n_rows)))
    if not any(matrix.nnz for matrix in sets.values()):
        raise ValueError("no queries: give --queries-long or --queries-short beside --vectors")
    return _answered(documents, sets, k)


def _answered(documents: CSR, queries: dict[str, CSR], k: int) -> Workload:
    tops = {kind: exact_top(documents, matrix, k) for kind, matrix in queries.items()}
    return Workload(documents, queries, tops)


def _read(path: Path) -> CSR:
    from scipy.sparse import load_npz

    return CSR.from_scipy(load_npz(path))


def save_documents(documents: CSR, path: Path) -> None:
    """For the processes that build."""
    np.savez(path, **documents._asdict())


def load_documents(path: Path) -> CSR:
    """What `save_documents` wrote, or the documents of what the generator wrote."""
    with np.load(path) as arrays:
        parts = arrays["indptr"], arrays["terms"], arrays["weights"]
        return CSR(*parts, int(arrays["n_terms"]))
