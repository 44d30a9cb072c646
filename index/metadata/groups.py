"""Ranked rows collapsed by a field: the best of each value stands for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsr.index.metadata.collection_metadata import CollectionMetadata
from lsr.retrieval.scalar import Scalar

__all__ = ["Group", "Groups"]


@dataclass(frozen=True)
class Group:
    """Rows of one value, as places in the ranking.

    Attributes:
        value: None for a row without one.
        n_rows: of this value in the ranking.
        places: the best first, as many as were asked for.
    """

    value: Scalar | None
    n_rows: int
    places: tuple[int, ...]


class Groups:
    """The groups of a ranking, in the order of their best rows.

    A row of several values belongs to the first of them in canonical JSON; one without is a group
    of its own.

    Args:
        rows: ranked, int32.

    Raises:
        QueryError: no document has the field.
    """

    def __init__(self, metadata: CollectionMetadata, field: str, rows: NDArray[np.int32]) -> None:
        metadata.check(field)
        self._metadata, self._field, self._rows = metadata, field, rows
        ids = _group_ids(metadata, field, rows)
        self._by_group = np.argsort(ids, kind="stable")
        ordered = ids[self._by_group]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ids)])
        ends = np.concatenate([starts[1:], [len(ids)]]) if len(starts) else starts
        best = np.argsort(self._by_group[starts])
        self._starts, self._ends = starts[best], ends[best]

    def __len__(self) -> int:
        return len(self._starts)

    def page(self, first: int, last: int, inner: int) -> list[Group]:
        """Groups from `first` to before `last`, each with its best row and `inner` further ones."""
        groups = []
        for start, end in zip(
            self._starts[first:last].tolist(), self._ends[first:last].tolist(), strict=True
        ):
            places = self._by_group[start : min(end, start + 1 + inner)].tolist()
            value = self._metadata.value(self._field, int(self._rows[places[0]]))
            groups.append(Group(value, end - start, tuple(places)))
        return groups


def _group_ids(
    metadata: CollectionMetadata, field: str, rows: NDArray[np.int32]
) -> NDArray[np.int64]:
    """A number for each row, the same for equal values."""
    ids = -1 - rows.astype(np.int64)
    owners = metadata.edges.searchsorted(rows, "right") - 1
    known: dict[bytes, int] = {}
    for owner in np.unique(owners).tolist():
        column = metadata.segments[owner].column(field)
        places = np.flatnonzero(owners == owner)
        codes = column.first_codes[rows[places] - metadata.edges[owner]]
        places, codes = places[codes >= 0], codes[codes >= 0]
        if len(metadata.segments) == 1:
            ids[places] = codes
            continue
        present, inverse = np.unique(codes, return_inverse=True)
        numbers = [known.setdefault(column.values[code], len(known)) for code in present.tolist()]
        ids[places] = np.array(numbers, np.int64)[inverse]
    return ids
