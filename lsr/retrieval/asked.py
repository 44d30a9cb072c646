"""The place where a list goes on: after the last hit that was read, wherever that is now."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsr.retrieval.hybrid import HybridResult

__all__ = ["SLACK", "LastHit", "page_after"]

SLACK = 1_000
"""Hits that are listed beyond a page whose beginning has to be found."""


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
