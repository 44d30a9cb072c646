"""What a search is asked for: its query, checked, and the part of the ranking that is wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError, QueryError
from lsr.retrieval.hybrid import HybridQuery, HybridResult
from lsr.sparse import CSR, MAX_TERMS, SparseVector

__all__ = ["LastHit", "Part", "checked_query", "part_of"]

UNIT_TOLERANCE = 1e-3
"""A caller's dense vector whose length differs more than this from 1 is brought to it."""


class LastHit(NamedTuple):
    """The hit that a list was read up to."""

    score: float
    doc_id: str


@dataclass(frozen=True)
class Part:
    """Part of a ranking: places `first` to before `last`, and the length of the whole.

    Attributes:
        total: hits that there are, those below the least score not counted.
    """

    first: int
    last: int
    total: int


def part_of(
    outcome: HybridResult,
    offset: int,
    k: int,
    min_score: float | None,
    after: LastHit | None,
    doc_ids: Callable[[NDArray[np.int32]], list[str]],
) -> Part:
    """The part of a ranking that is wanted.

    Args:
        after: stands in place of `offset`: what follows this hit, wherever it would be now.
    """
    plan, scores = outcome.plan, outcome.scores
    total = len(scores)
    if plan.mode == "hybrid":
        total = min(total, plan.window)
    if min_score is not None:
        total = min(total, int(np.count_nonzero(scores >= min_score)))
    first = offset
    if after is not None:
        first = int(np.count_nonzero(scores > after.score))
        equal = int(np.count_nonzero(scores == after.score))
        ids = doc_ids(outcome.rows[first : first + equal])
        if after.doc_id in ids:
            first += ids.index(after.doc_id) + 1
        else:
            first += sum(doc_id < after.doc_id for doc_id in ids)
    return Part(first, min(first + k, max(first, total)), total)


def checked_query(
    text: str,
    sparse: SparseVector | None,
    dense: NDArray[np.float32] | None,
    dimension: int | None,
) -> HybridQuery:
    """A query that can be searched for.

    Args:
        dense: brought to unit length.
        dimension: of the collection's dense vectors; None when it has none.

    Raises:
        QueryError: it says nothing, or a vector does not fit the collection.
    """
    if not text.strip() and sparse is None and dense is None:
        raise QueryError("the query is empty; write at least one word")
    if dense is not None:
        dense = _checked_dense(dense, dimension)
    if sparse is not None:
        try:
            CSR.from_vectors([sparse], MAX_TERMS)
        except InputError as error:
            raise QueryError(f"the sparse vector cannot be searched for: {error}") from error
    return HybridQuery(text, sparse, dense)


def _checked_dense(dense: NDArray[np.float32], dimension: int | None) -> NDArray[np.float32]:
    if dimension is None:
        raise QueryError(
            "the query has a dense vector and this collection has none; build it again "
            "with --dense, or leave the vector out"
        )
    if dense.shape != (dimension,):
        raise QueryError(
            f"the dense vector has shape {dense.shape}; this collection needs {dimension} numbers"
        )
    if not np.isfinite(dense).all():
        raise QueryError("the dense vector holds a number that is not finite")
    length = float(np.linalg.norm(dense.astype(np.float64)))
    if length > 0 and abs(length - 1) > UNIT_TOLERANCE:
        dense = (dense / length).astype(np.float32)
    return dense
