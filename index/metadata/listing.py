"""Documents in the order of their ids, page by page."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lsr.index.storage.segment import frozen

__all__ = ["Listing"]

_LEAST_STEP = 64


class Listing:
    """Rows in the order of their doc_ids.

    Args:
        tie_order: int32, shape (n_rows,): the place of each row when they are sorted by doc_id.
        doc_ids: identifiers of rows.
        alive: which rows are not deleted, shape (n_rows,); None when all are alive.
    """

    def __init__(
        self,
        tie_order: NDArray[np.int32],
        doc_ids: Callable[[NDArray[np.int32]], list[str]],
        alive: NDArray[np.bool_] | None,
    ) -> None:
        self._tie_order = tie_order
        self._doc_ids = doc_ids
        self._alive = alive

    @cached_property
    def _rows(self) -> NDArray[np.int32]:
        """All rows, ordered. Made with the first use, and kept."""
        rows = np.empty(len(self._tie_order), np.int32)
        rows[self._tie_order] = np.arange(len(rows), dtype=np.int32)
        return frozen(rows)

    def after(
        self, doc_id: str | None, limit: int, allowed: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int32]:
        """The first rows whose doc_ids follow one, which need not be there.

        Args:
            doc_id: None for the first rows of all.
            limit: rows wanted, at least 1.
            allowed: bool, shape (n_rows,), or None: rows that may come.

        Returns:
            int32, in the order of doc_ids, fewer than `limit` at the end.
        """
        place = 0 if doc_id is None else self._place_after(doc_id)
        found: list[NDArray[np.int32]] = []
        wanted, step = limit, max(limit, _LEAST_STEP)
        while wanted > 0 and place < len(self._rows):
            part = self._rows[place : place + step]
            place, step = place + step, 2 * step
            for mask in (self._alive, allowed):
                if mask is not None:
                    part = part[mask[part]]
            found.append(part[:wanted])
            wanted -= len(found[-1])
        return np.concatenate([np.zeros(0, np.int32), *found])

    def _place_after(self, doc_id: str) -> int:
        low, high = 0, len(self._rows)
        while low < high:
            middle = (low + high) // 2
            if self._doc_ids(self._rows[middle : middle + 1])[0] <= doc_id:
                low = middle + 1
            else:
                high = middle
        return low
