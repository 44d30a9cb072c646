"""A list of rows for each row: ragged arrays in two flat ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowLists", "entry_places"]


@dataclass(frozen=True, slots=True)
class RowLists:
    """Lists of row numbers, each entry with a score where there are scores.

    Attributes:
        indptr: int64 [n + 1]: list i is `rows[indptr[i]:indptr[i + 1]]`.
        rows: int32 [n_entries].
        scores: float32 [n_entries], or None.
    """

    indptr: NDArray[np.int64]
    rows: NDArray[np.int32]
    scores: NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls,
        lists: Iterable[Sequence[int] | NDArray[np.int32]],
        scores: Iterable[Sequence[float]] | None = None,
    ) -> RowLists:
        """From lists, and lists of scores of the same lengths."""
        arrays = [np.asarray(one, np.int32) for one in lists]
        indptr = np.zeros(len(arrays) + 1, np.int64)
        np.cumsum([len(one) for one in arrays], out=indptr[1:])
        rows = np.concatenate(arrays) if arrays else np.empty(0, np.int32)
        if scores is None:
            return cls(indptr, rows)
        flat = np.array([score for one in scores for score in one], np.float32)
        return cls(indptr, rows, flat)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(self, i: int) -> NDArray[np.int32]:
        return self.rows[self.indptr[i] : self.indptr[i + 1]]

    def scores_of(self, i: int) -> NDArray[np.float32]:
        """Scores of list i; empty without scores."""
        if self.scores is None:
            return np.empty(0, np.float32)
        return self.scores[self.indptr[i] : self.indptr[i + 1]]

    def varied(self) -> NDArray[np.bool_]:
        """Lists with scores that are not all equal, bool [n]; one of fewer than two has none."""
        found = np.zeros(len(self), np.bool_)
        filled = np.flatnonzero(np.diff(self.indptr))
        if self.scores is not None and len(filled):
            starts = self.indptr[filled]
            lowest = np.minimum.reduceat(self.scores, starts)
            found[filled] = np.maximum.reduceat(self.scores, starts) > lowest
        return found

    def taken(self, lists: NDArray[np.integer]) -> RowLists:
        """These lists, in this order."""
        indptr, places = entry_places(self.indptr, lists)
        scores = None if self.scores is None else self.scores[places]
        return RowLists(indptr, self.rows[places], scores)

    def emptied(self, which: NDArray[np.bool_]) -> RowLists:
        """All lists, these without entries."""
        stays = np.repeat(~which, np.diff(self.indptr))
        indptr = np.zeros_like(self.indptr)
        np.cumsum(np.where(which, 0, np.diff(self.indptr)), out=indptr[1:])
        scores = None if self.scores is None else self.scores[stays]
        return RowLists(indptr, self.rows[stays], scores)

    def mapped(self, number: NDArray[np.int32]) -> RowLists:
        """Every entry r as `number[r]`; entries whose number is negative leave."""
        rows = number[self.rows]
        stays = rows >= 0
        before = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(stays, out=before[1:])
        scores = None if self.scores is None else self.scores[stays]
        return RowLists(before[self.indptr], rows[stays], scores)


def entry_places(
    indptr: NDArray[np.int64], lists: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the entries of chosen lists in the flat arrays.

    Returns:
        The chosen lists' own `indptr`, int64 [n_chosen + 1], and the places of their entries.
    """
    starts = indptr[:-1][lists]
    lengths = indptr[1:][lists] - starts
    out = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=out[1:])
    places = np.arange(out[-1], dtype=np.int64) + np.repeat(starts - out[:-1], lengths)
    return out, places
