"""Checks of queries, made before kernels use their terms as places in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.errors import QueryError
from lsr.index.jit import kernel

__all__ = ["refuse_wrong", "terms_beyond", "wrong_query"]


@kernel
def wrong_query(
    indptr: NDArray[np.int64],
    terms: NDArray[np.int32],
    weights: NDArray[np.float32],
    first: int,
    last: int,
) -> int:
    """The first of queries `first` to `last - 1` that cannot be searched for, or −1."""
    if indptr[last] > len(terms) or len(terms) != len(weights):
        return first
    for q in range(first, last):
        before = -1
        for i in range(indptr[q], indptr[q + 1]):
            if terms[i] <= before or not (0.0 <= weights[i] < np.inf):
                return q
            before = terms[i]
    return -1


@kernel
def terms_beyond(
    indptr: NDArray[np.int64], terms: NDArray[np.int32], first: int, last: int, n_terms: int
) -> int:
    """Number of terms of queries `first` to `last - 1` that are `n_terms` or more."""
    n = 0
    for q in range(first, last):
        i = indptr[q + 1]
        while i > indptr[q] and terms[i - 1] >= n_terms:
            n += 1
            i -= 1
    return n


def refuse_wrong(query: int) -> None:
    """Raise for what `wrong_query` found.

    Raises:
        QueryError: unless it is −1.
    """
    if query >= 0:
        raise QueryError(
            f"query {query} cannot be searched for: its terms must be 0 or more and ascend, with a "
            "finite weight each that is not negative"
        )
