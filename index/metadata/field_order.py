"""Rows in the order of fields: by values, then by score, then by doc_id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.index.metadata.collection_metadata import CollectionMetadata
from lsr.index.metadata.column import Column
from lsr.retrieval.refinement import SortKey
from lsr.retrieval.scalar import OrderKey

__all__ = ["sorted_rows"]

Rows = NDArray[np.int32]


def sorted_rows(
    metadata: CollectionMetadata,
    keys: Sequence[SortKey],
    rows: Rows,
    scores: NDArray[Any],
    tie_order: NDArray[np.int32],
    most: int,
) -> NDArray[np.intp]:
    """Places of the first rows in an order of fields.

    Each segment sorts its own by the ranks of its values; what it has to offer, `most` rows, is
    merged by the values themselves.

    Args:
        keys: what to sort by, the first first; at least one.
        rows: ascending.
        scores: of the rows, shape (n,); of equal rows the higher comes first.
        tie_order: of all rows; then the smaller.
        most: rows wanted, at least 1.

    Returns:
        Places in `rows`, at most `most`.

    Raises:
        QueryError: no document has a field.
    """
    for key in keys:
        metadata.check(key.field)
    chosen: list[NDArray[np.intp]] = []
    ranks: list[list[NDArray[np.int32]]] = []
    columns: list[list[Column]] = []
    edges = rows.searchsorted(metadata.edges)
    for i, segment in enumerate(metadata.segments):
        places = np.arange(edges[i], edges[i + 1])
        if len(places) == 0:
            continue
        own = [segment.column(key.field) for key in keys]
        local = rows[places] - metadata.edges[i]
        parts = [_ranks(column, key)[local] for column, key in zip(own, keys, strict=True)]
        best = _order(
            [_comparable(part, key) for part, key in zip(parts, keys, strict=True)],
            scores[places],
            tie_order[rows[places]],
            most,
        )
        chosen.append(places[best])
        ranks.append([part[best] for part in parts])
        columns.append(own)
    if len(chosen) < 2:
        return chosen[0] if chosen else np.zeros(0, np.intp)
    places = np.concatenate(chosen)
    merged = [
        _comparable(
            _joined([part[j] for part in ranks], [own[j] for own in columns]),
            key,
        )
        for j, key in enumerate(keys)
    ]
    return places[_order(merged, scores[places], tie_order[rows[places]], most)]


def _ranks(column: Column, key: SortKey) -> NDArray[np.int32]:
    return column.greatest_ranks if key.descending else column.least_ranks


def _comparable(ranks: NDArray[np.int32], key: SortKey) -> NDArray[np.int64]:
    """Numbers that ascend in the order asked for; -1 is a row without a value."""
    wide = ranks.astype(np.int64)
    end = -(2**40) if key.missing_first else 2**40
    return np.where(ranks < 0, end, -wide if key.descending else wide)


def _order(
    keys: Sequence[NDArray[np.int64]],
    scores: NDArray[Any],
    ties: NDArray[np.int32],
    most: int,
) -> NDArray[np.intp]:
    """Places in order, the first `most`."""
    places = np.arange(len(ties))
    if len(places) > 4 * most:
        cut = np.partition(keys[0], most - 1)[most - 1]
        places = np.flatnonzero(keys[0] <= cut)
    columns = (ties[places], -scores[places], *(key[places] for key in reversed(keys)))
    return places[np.lexsort(columns)][:most]


def _joined(ranks: Sequence[NDArray[np.int32]], columns: Sequence[Column]) -> NDArray[np.int32]:
    """Ranks of several columns as ranks among all values that occur in them."""
    own: list[tuple[NDArray[np.int32], list[OrderKey]]] = []
    for part, column in zip(ranks, columns, strict=True):
        present = np.unique(part[part >= 0])
        own.append((present, [column.order_keys[rank] for rank in present.tolist()]))
    places = {key: i for i, key in enumerate(sorted({key for _, keys in own for key in keys}))}
    joined = []
    for part, (present, keys) in zip(ranks, own, strict=True):
        names = np.array([places[key] for key in keys] + [-1], np.int32)
        joined.append(names[np.where(part < 0, len(present), present.searchsorted(part))])
    return np.concatenate(joined)
