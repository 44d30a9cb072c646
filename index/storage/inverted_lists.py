"""Documents by term made of terms by document: the lists that exact search adds up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.index.jit import kernel
from lsr.sparse import CSR

__all__ = ["invert", "inverted_lists"]


def inverted_lists(documents: CSR) -> CSR:
    """The matrix with rows and terms exchanged.

    Row numbers ascend within each list. Empty rows, also trailing ones, are kept as width.

    Args:
        documents: shape (n_rows, n_terms).

    Returns:
        Shape (n_terms, n_rows).
    """
    indptr = np.zeros(documents.n_terms + 1, np.int64)
    rows = np.empty(documents.nnz, np.int32)
    weights = np.empty(documents.nnz, np.float32)
    invert(documents.indptr, documents.terms, documents.weights, indptr, rows, weights)
    return CSR(indptr, rows, weights, documents.n_rows)


@kernel
def invert(
    indptr: NDArray[np.int64],
    terms: NDArray[np.int32],
    weights: NDArray[np.float32],
    out_indptr: NDArray[np.int64],
    out_rows: NDArray[np.int32],
    out_weights: NDArray[np.float32],
) -> None:
    """Counting sort of the entries by term.

    Args:
        indptr, terms, weights: of a valid `CSR`.
        out_indptr: zeros, int64, shape (n_terms + 1,).
        out_rows, out_weights: int32 and float32, shape (nnz,).
    """
    for term in terms:
        out_indptr[term + 1] += 1
    for term in range(len(out_indptr) - 1):
        out_indptr[term + 1] += out_indptr[term]
    places = out_indptr[:-1].copy()
    for row in range(len(indptr) - 1):
        for entry in range(indptr[row], indptr[row + 1]):
            place = places[terms[entry]]
            out_rows[place] = row
            out_weights[place] = weights[entry]
            places[terms[entry]] = place + 1
