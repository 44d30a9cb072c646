"""`CollectionMetadata`: the metadata of all segments, rows numbered consecutively."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lsr.errors import QueryError
from lsr.index.metadata.segment_metadata import SegmentMetadata
from lsr.index.storage.segment import frozen
from lsr.retrieval.filter import Filter, parse_filter
from lsr.retrieval.scalar import Scalar

__all__ = ["CollectionMetadata"]

_SHOWN_FIELDS = 50


class CollectionMetadata:
    """Filters over the segments of one generation, each of which keeps what it has made.

    Args:
        segments: in the order of their rows; at least one.
    """

    def __init__(self, segments: Sequence[SegmentMetadata]) -> None:
        self.segments = tuple(segments)
        self.edges = np.cumsum([0, *(segment.n_rows for segment in segments)])

    @property
    def n_rows(self) -> int:
        """Deleted rows included."""
        return int(self.edges[-1])

    @property
    def fields(self) -> tuple[str, ...]:
        """Of all documents, those of deleted ones included; ascending."""
        return tuple(sorted(frozenset().union(*(segment.fields for segment in self.segments))))

    def parts(self) -> Iterator[tuple[SegmentMetadata, slice]]:
        """The segments, and which rows are theirs."""
        for segment, (first, last) in zip(
            self.segments, pairwise(self.edges.tolist()), strict=True
        ):
            yield segment, slice(first, last)

    def value(self, field: str, row: int) -> Scalar | None:
        """The value of a field in a row, the first in canonical JSON if it has several."""
        owner = int(self.edges.searchsorted(row, "right")) - 1
        column = self.segments[owner].column(field)
        code = int(column.first_codes[row - self.edges[owner]])
        return None if code < 0 else column.values.scalar(code)

    def check(self, field: str, *, is_listed: bool = True) -> None:
        """Raise QueryError where no document has this field.

        Args:
            is_listed: whether to say which fields there are.
        """
        if not any(segment.knows(field) for segment in self.segments):
            if not is_listed:
                raise QueryError(f"no document has a metadata field {field!r}")
            known = ", ".join(self.fields[:_SHOWN_FIELDS]) or "none"
            more = len(self.fields) - _SHOWN_FIELDS
            known += f" and {more:,} more" if more > 0 else ""
            raise QueryError(f"no document has a metadata field {field!r}; fields: {known}")

    def is_small(self, field: str) -> bool:
        """Whether the column of a field is made already, and has few values."""
        return all(segment.is_small(field) for segment in self.segments)

    def mask(self, where: Filter | Mapping[str, object]) -> NDArray[np.bool_]:
        """Mask of the rows that a filter passes.

        Returns:
            bool, read-only, shape (n_rows,). Deleted rows may pass.

        Raises:
            QueryError: the filter is wrong, or names a field that no document has.
        """
        where = where if isinstance(where, Filter) else parse_filter(where)
        for field in sorted(where.fields):
            self.check(field, is_listed=not where.is_narrowed)
        return self._mask(where)

    def mask_of_part(
        self, where: Filter | Mapping[str, object]
    ) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
        """As `mask`, of a part of a larger collection, whose other documents may have its fields.

        Returns:
            The mask, and the fields that no document here has.
        """
        where = where if isinstance(where, Filter) else parse_filter(where)
        unknown = [
            field
            for field in sorted(where.fields)
            if not any(segment.knows(field) for segment in self.segments)
        ]
        return self._mask(where), tuple(unknown)

    def _mask(self, where: Filter) -> NDArray[np.bool_]:
        masks = [segment.mask(where) for segment in self.segments]
        return masks[0] if len(masks) == 1 else frozen(np.concatenate(masks))
