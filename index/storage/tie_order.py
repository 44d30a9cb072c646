"""The place of every row when the rows of all segments are sorted by doc_id.

Among equal scores the smaller place comes first, so several segments rank as one would. A doc_id
that was updated is in two rows, of which one is deleted; which of them comes first does not matter.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.errors import IndexCorruptError
from lsr.index.storage.segment import Segment, frozen

__all__ = ["load_tie_order", "tie_order_of"]

FEW = 16
"""Rows fewer than one in this many are placed by bisection; more are merged."""


def tie_order_of(segments: Sequence[Segment]) -> NDArray[np.int32]:
    """Sort the rows of segments, numbered consecutively, by doc_id.

    Each segment's own order is known. Few rows are put in their places among many by bisection;
    else the sorted runs are merged.

    Returns:
        int32, shape (n_rows,): the place of each row.
    """
    first_rows = np.cumsum([0, *(segment.n_rows for segment in segments)])
    largest = int(np.argmax([segment.n_rows for segment in segments]))
    many = _InOrder(segments[largest])
    few: list[bytes] = []
    few_rows = [np.zeros(0, np.int64)]
    for i, segment in enumerate(segments):
        if i != largest:
            run = _InOrder(segment)
            few += run
            few_rows.append(run.rows + first_rows[i])
    order = sorted(range(len(few)), key=few.__getitem__)
    if len(few) * FEW < len(many):
        places = [bisect_left(many, few[i]) for i in order]
    else:
        places = _places_among(list(many), [few[i] for i in order])
    rows = np.insert(many.rows + first_rows[largest], places, np.concatenate(few_rows)[order])
    tie_order = np.empty(len(rows), np.int32)
    tie_order[rows] = np.arange(len(rows), dtype=np.int32)
    return tie_order


class _InOrder(Sequence[bytes]):
    """The doc_ids of a segment in UTF-8, which sorts as code points do, in ascending order."""

    def __init__(self, segment: Segment) -> None:
        self.rows = np.argsort(segment.tie_order)
        self._starts = segment.id_indptr[self.rows].tolist()
        self._ends = segment.id_indptr[self.rows + 1].tolist()
        self._text = segment.id_bytes.tobytes()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: Any) -> Any:
        return self._text[self._starts[place] : self._ends[place]]


def _places_among(many: list[bytes], few: list[bytes]) -> list[int]:
    """Places of each of `few` among `many`, both ascending."""
    places, place = [], 0
    for doc_id in few:
        while place < len(many) and many[place] < doc_id:
            place += 1
        places.append(place)
    return places


def load_tie_order(path: Path, n_rows: int) -> NDArray[np.int32]:
    """Open the array that was saved at a publication, memory-mapped.

    Raises:
        IndexCorruptError: the file is missing, or is not such an array.
    """
    try:
        tie_order = np.load(path, mmap_mode="r", allow_pickle=False)
        if tie_order.dtype != np.int32 or tie_order.shape != (n_rows,):
            raise ValueError(f"{tie_order.dtype} of shape {tie_order.shape}, for {n_rows} rows")
    except (OSError, EOFError, ValueError) as error:
        raise IndexCorruptError(
            f"{path} cannot be read ({error}); restore it from a copy, or build the index again"
        ) from error
    return frozen(tie_order)
