"""Checks of a query and a page, and the place where a list goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.dense_recipe import Similarity, scaled_vector
from lsr.errors import InputError, QueryError
from lsr.retrieval.hybrid import HybridQuery, HybridResult
from lsr.sparse import CSR, MAX_TERMS, SparseVector

__all__ = ["SLACK", "LastHit", "check_page", "checked_query", "page_after"]

SLACK = 1_000
"""Hits that are listed beyond a page whose beginning has to be found."""
UNIT_TOLERANCE = 1e-3
"""A caller's dense query whose length differs more than this from 1 is brought to it."""


class LastHit(NamedTuple):
    """The hit that a list was read up to."""

    score: float
    doc_id: str


def page_after(
    page: slice,
    outcome: HybridResult,
    after: LastHit,
    doc_ids: Callable[[NDArray[np.int32]], list[str]],
) -> slice:
    """A page moved to begin with the first hit that comes after another one, which may be gone."""
    first = _place_after(outcome, after, doc_ids)
    return slice(first, first + page.stop - page.start)


def _place_after(
    outcome: HybridResult, after: LastHit, doc_ids: Callable[[NDArray[np.int32]], list[str]]
) -> int:
    scores = outcome.scores
    first = int(np.count_nonzero(scores > after.score))
    equal = int(np.count_nonzero(scores == after.score))
    ids = doc_ids(outcome.rows[first : first + equal])
    if after.doc_id in ids:
        return first + ids.index(after.doc_id) + 1
    return first + sum(doc_id < after.doc_id for doc_id in ids)


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
