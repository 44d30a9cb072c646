"""Facets: how many matching documents have each value of a field, or a value in each range."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lsr.index.metadata.collection_metadata import CollectionMetadata
from lsr.index.metadata.column import Column
from lsr.retrieval.answer import FacetCounts, FacetRange, FacetValue
from lsr.retrieval.filter import FieldClause
from lsr.retrieval.refinement import Facet
from lsr.retrieval.scalar import order_key, scalar_of

__all__ = ["facet_counts"]

Mask = NDArray[np.bool_]


def facet_counts(metadata: CollectionMetadata, facet: Facet, matches: Mask) -> FacetCounts:
    """Count the documents of a facet.

    Args:
        matches: the documents to count, bool, shape (n_rows,).

    Raises:
        QueryError: no document has the field.
    """
    metadata.check(facet.field)
    n_missing = n_values = 0
    least: int | float | None = None
    greatest: int | float | None = None
    for segment, rows in metadata.parts():
        part = matches[rows]
        n_missing += int(np.count_nonzero(part & ~segment.has_value(facet.field)))
        if facet.stats:
            for number in _ends(segment.column(facet.field), part):
                least = number if least is None else min(least, number)
                greatest = number if greatest is None else max(greatest, number)
    values: tuple[FacetValue, ...] = ()
    if not facet.ranges:
        values, n_values = _values(metadata, facet, matches)
    return FacetCounts(
        facet.field,
        values,
        _ranges(metadata, facet, matches),
        n_values,
        n_missing,
        least,
        greatest,
    )


def _values(
    metadata: CollectionMetadata, facet: Facet, matches: Mask
) -> tuple[tuple[FacetValue, ...], int]:
    """The values with most documents, and how many different ones there are."""
    found = []
    for segment, rows in metadata.parts():
        column = segment.column(facet.field)
        counts = column.counts(matches[rows])
        codes = np.flatnonzero(counts)
        if len(codes):
            found.append((column, codes, counts[codes]))
    if len(found) == 1:
        column, codes, counts = found[0]
        chosen = _best(column, codes, counts, facet.limit)
        pairs = zip(codes[chosen].tolist(), counts[chosen].tolist(), strict=True)
        values = tuple(FacetValue(column.values.scalar(code), count) for code, count in pairs)
        return values, len(codes)
    together: dict[bytes, int] = {}
    for column, codes, counts in found:
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
            value = column.values[code]
            together[value] = together.get(value, 0) + count
    most = heapq.nlargest(facet.limit, together.values())
    enough = [(value, n) for value, n in together.items() if n >= most[-1]] if most else []
    scalars = [FacetValue(scalar_of(str(value, "utf-8")), n) for value, n in enough]
    scalars.sort(key=lambda each: (-each.count, order_key(each.value)))
    return tuple(scalars[: facet.limit]), len(together)


def _best(
    column: Column, codes: NDArray[np.intp], counts: NDArray[np.int64], limit: int
) -> NDArray[np.intp]:
    """Places of the largest counts, equal ones by value."""
    places = np.arange(len(codes))
    if len(codes) > limit:
        places = np.flatnonzero(counts >= np.partition(counts, -limit)[-limit])
    if len(places) > 4 * limit or column.values.is_small:
        ranks = column.ranks[codes[places]]
    else:
        keys = [order_key(column.values.scalar(code)) for code in codes[places].tolist()]
        by_value = sorted(range(len(keys)), key=keys.__getitem__)
        ranks = np.empty(len(keys), np.int32)
        ranks[by_value] = np.arange(len(keys))
    return places[np.lexsort((codes[places], ranks, -counts[places]))][:limit]


def _ranges(metadata: CollectionMetadata, facet: Facet, matches: Mask) -> tuple[FacetRange, ...]:
    counted = []
    for bounds in facet.ranges:
        clause = FieldClause(facet.field, (bounds,))
        count = sum(
            int(np.count_nonzero(matches[rows] & segment.mask(clause)))
            for segment, rows in metadata.parts()
        )
        given = dict(bounds.given)
        counted.append(FacetRange(given.get("gte"), given.get("lt"), count))
    return tuple(counted)


def _ends(column: Column, matches: Mask) -> Iterator[int | float]:
    """The least and the greatest number among the values of matching rows."""
    numbers = column.numbers
    there = np.flatnonzero(matches[numbers.rows])
    if len(there):
        places = numbers.starts.searchsorted(there[[0, -1]], "right") - 1
        yield from numbers.values[places].tolist()
