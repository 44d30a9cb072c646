"""Rows by doc_id: the place of every row when all are sorted, and the rows of ids.

Among equal scores the smaller place comes first, so several segments rank as one would. A doc_id
that was updated is in two rows, of which one is deleted; which of them comes first does not matter.

The order is derived when segments are opened: each knows its own, and what a segment brings is put
into the order of those before it. Nothing of this is stored; index format 2 stored it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.errors import IndexCorruptError
from lsr.files import is_text
from lsr.index.jit import kernel
from lsr.index.storage.doc_ids import DocIds
from lsr.index.storage.segment import Segment, frozen

__all__ = ["count_before", "load_tie_order", "rows_of", "tie_order_of"]

Places = NDArray[np.int64]


def tie_order_of(
    segments: Sequence[Segment], known: tuple[int, NDArray[np.int32]] | None = None
) -> NDArray[np.int32]:
    """Sort the rows of segments, numbered consecutively, by doc_id.

    A segment of m rows behind n others costs O(m log(n / m)) comparisons, and a few additions of
    arrays of n numbers.

    Args:
        segments: in the order of their rows.
        known: how many of the first segments are in order already, and the places of their rows.

    Returns:
        int32, shape (n_rows,), read-only: the place of each row. Among equal ids the earlier
        segment's comes first.
    """
    n_known, order = (0, np.zeros(0, np.int32)) if known is None else known
    for i in range(n_known, len(segments)):
        new = segments[i]
        places = np.zeros(new.n_rows, np.int64)
        for before in segments[:i]:
            places += _places_behind(before, new)
        own = new.row_at_tie
        brought = np.bincount(places, minlength=len(order) + 1)[: len(order)]
        moved = np.cumsum(brought, dtype=np.int32)
        grown = np.empty(len(order) + new.n_rows, np.int32)
        np.add(order, moved[order], out=grown[: len(order)])
        grown[len(order) + own] = places + np.arange(len(places))
        order = grown
    return frozen(order)


def _places_behind(before: Segment, new: Segment) -> Places:
    """Number of ids of `before` up to each id of `new`, these in ascending order."""
    if before.n_rows >= new.n_rows:
        return _counted(new, before, or_equal=True)
    counts = np.bincount(_counted(before, new, or_equal=False), minlength=new.n_rows + 1)
    return np.cumsum(counts)[: new.n_rows]


def _counted(few: Segment, many: Segment, *, or_equal: bool) -> Places:
    counts = np.zeros(few.n_rows, np.int64)
    count_before(
        *(few.id_bytes, few.id_indptr, few.row_at_tie),
        *(many.id_bytes, many.id_indptr, many.row_at_tie),
        or_equal,
        counts,
    )
    return counts


@kernel
def count_before(
    few_bytes: NDArray[np.uint8],
    few_indptr: NDArray[np.int64],
    few_rows: NDArray[np.int32],
    many_bytes: NDArray[np.uint8],
    many_indptr: NDArray[np.int64],
    many_rows: NDArray[np.int32],
    or_equal: bool,
    counts: NDArray[np.int64],
) -> None:
    """Number of ids of one segment before each id of another, by a search that goes on from the
    last place found, in steps that double.

    Args:
        few_bytes, few_indptr: ids in UTF-8, which sorts as code points do.
        few_rows: int32, shape (n_few,): rows in the order of their ids.
        many_bytes, many_indptr, many_rows: of the other segment.
        or_equal: an equal id counts as one before.
        counts: int64, shape (n_few,), in the order of `few_rows`; written.
    """
    n_many = len(many_rows)
    low = 0
    for i in range(len(few_rows)):
        begin = few_indptr[few_rows[i]]
        length = few_indptr[few_rows[i] + 1] - begin
        step = 1
        high = low  # `low` ids are before for certain; the one at `high` is to be looked at
        doubling = True
        end = n_many
        while low < end:
            if doubling:
                high = min(low + step - 1, n_many - 1)
                step *= 2
            else:
                high = (low + end) // 2
            other = many_indptr[many_rows[high]]
            other_length = many_indptr[many_rows[high] + 1] - other
            is_before = other_length < length or (or_equal and other_length == length)
            for j in range(min(length, other_length)):
                if many_bytes[other + j] != few_bytes[begin + j]:
                    is_before = many_bytes[other + j] < few_bytes[begin + j]
                    break
            if is_before:
                low = high + 1
            else:
                end = high
                doubling = False
        counts[i] = low


def rows_of(segment: Segment, doc_ids: Sequence[str]) -> dict[str, int]:
    """The rows of those ids that a segment has, by id."""
    wanted = sorted(set(filter(is_text, doc_ids)))
    ids = DocIds.build(wanted)
    counts = np.zeros(len(wanted), np.int64)
    count_before(
        *(frozen(ids.text), frozen(ids.indptr), frozen(ids.tie_order)),
        *(segment.id_bytes, segment.id_indptr, segment.row_at_tie),
        False,
        counts,
    )
    is_within = counts < segment.n_rows
    rows = segment.row_at_tie[counts[is_within]]
    asked = [doc_id for doc_id, within in zip(wanted, is_within.tolist(), strict=True) if within]
    found = zip(asked, segment.doc_ids(rows), rows.tolist(), strict=True)
    return {doc_id: row for doc_id, there, row in found if doc_id == there}


def load_tie_order(path: Path, n_rows: int) -> NDArray[np.int32]:
    """Open the array that a publication of index format 2 saved, memory-mapped.

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
