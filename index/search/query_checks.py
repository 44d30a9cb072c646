"""What a query and a page must be to be searched for, and a caller's dense vector made ready."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.dense_recipe import LONGEST, Similarity
from lsr.errors import InputError, QueryError
from lsr.retrieval.hybrid import HybridQuery
from lsr.sparse import CSR, MAX_TERMS, SparseVector

__all__ = ["check_page", "checked_query", "scaled_vector"]

UNIT_TOLERANCE = 1e-3
"""A caller's dense query whose length differs more than this from 1 is brought to it."""


class Vectors(Protocol):
    """A dense side, as far as a caller's vector has to fit it."""

    @property
    def dimension(self) -> int: ...

    @property
    def similarity(self) -> Similarity: ...


def checked_query(
    text: str,
    sparse: SparseVector | None,
    dense: NDArray[np.float32] | None,
    side: Vectors | None,
) -> HybridQuery:
    """A query as it is searched for; a dense vector is brought to unit length, but for dot.

    Args:
        side: the collection's dense side, if it has one.

    Raises:
        QueryError: it is empty, or a vector does not fit the collection.
    """
    if not text.strip() and sparse is None and dense is None:
        raise QueryError("the query is empty; write at least one word")
    if dense is not None:
        if side is None:
            raise QueryError(
                "the query has a dense vector and this collection has none; leave it out"
            )
        if dense.shape != (side.dimension,):
            raise QueryError(
                f"the dense vector has shape {dense.shape}; this collection needs "
                f"{side.dimension} numbers"
            )
        if not np.isfinite(dense).all():
            raise QueryError("the dense vector holds a number that is not finite")
        try:
            dense = scaled_vector(dense, side.similarity, UNIT_TOLERANCE)
        except InputError as error:
            raise QueryError(str(error)) from error
    if sparse is not None:
        try:
            CSR.from_vectors([sparse], MAX_TERMS)
        except InputError as error:
            raise QueryError(f"the sparse vector cannot be searched for: {error}") from error
    return HybridQuery(text, sparse, dense)


def scaled_vector(
    vector: NDArray[np.float32], similarity: Similarity, tolerance: float = 0.0
) -> NDArray[np.float32]:
    """A caller's dense vector as it is compared: at unit length for cosine, as it is for dot.

    Args:
        vector: finite, shape (dimension,); zeros stay zeros.
        tolerance: a vector whose length differs less than this from 1 stays as it is.

    Raises:
        InputError: dot, and the vector is so long that a score may not be a number.
    """
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if similarity == "dot":
        if length > LONGEST:
            raise InputError(
                f"the dense vector has the length {length:.3g}; give one of {LONGEST:g} at most"
            )
        return vector
    if length == 0 or abs(length - 1) <= tolerance:
        return vector
    return (vector / length).astype(np.float32)


def check_page(page: slice, window: int | None, n_documents: int) -> None:
    """Check the places of hits that are asked for.

    Args:
        window: candidates of a fusion, which no page can reach beyond; None for other searches.

    Raises:
        QueryError: the page is none, or is beyond the window.
    """
    if page.stop - page.start < 1:
        raise QueryError(f"{page.stop - page.start} hits were asked for; ask for at least 1")
    if page.start < 0:
        raise QueryError(f"the offset is {page.start}; it must be 0 or more")
    reach = min(page.stop, n_documents)
    if window is not None and reach > window:
        raise QueryError(
            f"offset and limit reach hit {page.stop:,} and fusion looks at the best "
            f"{window:,} of each side; set window to at least {reach:,}, the same on every page"
        )
