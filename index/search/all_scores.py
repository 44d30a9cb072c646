"""Scores of all rows: what a query matches, beyond the best of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lsr.errors import IndexCorruptError
from lsr.index.kernels.exact import add_scores
from lsr.index.search.batch import plain
from lsr.index.search.passages import PassageSearcher
from lsr.index.storage.segment import Segment
from lsr.sparse import SparseVector

__all__ = ["all_scores"]


def all_scores(segments: Sequence[Segment], query: SparseVector) -> NDArray[np.float32]:
    """The score of every row by the segments' float lists, to the bit as exact search sums it.

    Args:
        segments: their rows are numbered consecutively; deleted ones get scores too.

    Returns:
        float32, shape (n_rows,); 0 where no term matches.

    Raises:
        IndexCorruptError: a list holds a row that its segment has not.
    """
    scores = np.zeros(sum(segment.n_rows for segment in segments), np.float32)
    terms, weights = plain(query.terms), plain(query.weights)
    first = 0
    for segment in segments:
        part = scores[first : first + segment.n_rows]
        if segment.passages is not None:
            rows = np.arange(segment.n_rows, dtype=np.int32)
            part[:] = PassageSearcher(segment).score(SparseVector(terms, weights), rows)
            first += segment.n_rows
            continue
        lists = (segment.list_indptr, segment.list_rows, segment.list_weights)
        if not add_scores(terms, weights, *lists, part):
            raise IndexCorruptError(
                "an inverted list holds a row beyond its segment; run lsr index verify, and build "
                "again"
            )
        first += segment.n_rows
    return scores
