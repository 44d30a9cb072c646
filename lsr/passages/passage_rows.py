"""`PassageRows`: which passages are whose, and which terms count for a passage or for a document.

In a segment with passages, vectors are numbered by passages, and a document is a run of them. Of
its first passage's sparse vector the last terms, from `whole_from` on, are those of the whole text:

    score(q, d) = max over passages p of d (terms below whole_from)  +  the terms from there on
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lsr.sparse import CSR

__all__ = ["PassageRows", "at_first_passages"]


class PassageRows:
    """Passages of rows.

    Args:
        starts: int64, shape (n_rows + 1,): row r has the passages `starts[r]` to before
            `starts[r + 1]`, at least one.
        whole_from: terms from here on are of whole documents.

    Raises:
        ValueError: the starts do not ascend from 0.
    """

    def __init__(self, starts: NDArray[np.int64], whole_from: int) -> None:
        if len(starts) == 0 or starts[0] != 0 or (len(starts) > 1 and np.diff(starts).min() < 1):
            raise ValueError("a document without passages")
        self.starts = starts
        self.whole_from = whole_from

    @property
    def n_rows(self) -> int:
        return len(self.starts) - 1

    @property
    def n_passages(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def row_of(self) -> NDArray[np.int32]:
        """The row of each passage, int32, shape (n_passages,). Found with the first use."""
        return np.repeat(np.arange(self.n_rows, dtype=np.int32), np.diff(self.starts))

    def of(self, rows: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The passages of rows, one row's after the other's, and where each row's begin.

        Returns:
            int32, shape (n,), and int64, shape (n_rows + 1,).
        """
        lengths = self.starts[rows.astype(np.int64) + 1] - self.starts[rows]
        edges = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(lengths, out=edges[1:])
        shifts = np.repeat(self.starts[rows] - edges[:-1], lengths)
        return (np.arange(edges[-1]) + shifts).astype(np.int32), edges

    def first(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """The first passage of each row, int32."""
        return self.starts[rows].astype(np.int32)

    def order(self, tie_order: NDArray[np.int32]) -> NDArray[np.int32]:
        """Places of all passages when they are sorted by their row's place, then by number."""
        lengths = np.diff(self.starts)
        by_place = np.empty(self.n_rows, np.int64)
        by_place[tie_order] = np.arange(self.n_rows)
        before = np.zeros(self.n_rows, np.int64)
        before[by_place[1:]] = np.cumsum(lengths[by_place[:-1]])
        shifts = np.repeat(before - self.starts[:-1], lengths)
        return (np.arange(self.n_passages) + shifts).astype(np.int32)


def at_first_passages(whole: CSR, counts: Sequence[int] | NDArray[np.int64]) -> CSR:
    """Vectors of documents put at the first passage of each; other passages have none.

    Args:
        whole: a row for each document.
        counts: passages of each.
    """
    lengths = np.zeros(int(np.sum(counts)), np.int64)
    starts = np.cumsum([0, *counts[:-1]]) if len(counts) else np.zeros(0, np.int64)
    lengths[starts] = np.diff(whole.indptr)
    indptr = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=indptr[1:])
    return whole._replace(indptr=indptr)
