"""`SegmentMetadata`: the metadata of one segment's documents, as columns made when needed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import cached_property, reduce
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lsr.errors import IndexCorruptError
from lsr.index.metadata.column import Column
from lsr.index.metadata.mask_cache import MASK_BYTES, MaskCache
from lsr.index.storage.segment import frozen
from lsr.retrieval.filter import AnyOf, Clause, Condition, Exists, FieldClause, NoneOf, Range
from lsr.retrieval.scalar import canonical, flat_values

__all__ = ["MetadataStore", "SegmentMetadata"]

Mask = NDArray[np.bool_]


class MetadataStore(Protocol):
    """Source of columns: a segment's documents; `DocumentStore` says what each part is."""

    fields: tuple[str, ...]

    @property
    def n_documents(self) -> int: ...

    def field_values(self, field: str) -> list[tuple[str, str]]: ...

    def nested_metadata(self) -> Iterator[tuple[int, dict[str, Any]]]: ...


@runtime_checkable
class _Sampled(Protocol):
    """A store that gives some values sooner than all."""

    def field_samples(self, field: str) -> list[str]: ...


class SegmentMetadata:
    """Columns and masks of one segment, kept as long as it is open. May be used from many threads.

    Rows count within the segment; deleted ones are not told from others.

    Args:
        store: its documents.
        mask_bytes: how much is kept of the masks of filters.

    Raises:
        IndexCorruptError: the documents cannot be read (also from every method).
    """

    def __init__(self, store: MetadataStore, *, mask_bytes: int = MASK_BYTES) -> None:
        self._store = store
        self.n_rows = store.n_documents
        self._own = frozenset(store.fields)
        self._columns: dict[str, Column] = {}
        self._masks = MaskCache(mask_bytes)
        self._making = threading.RLock()

    @cached_property
    def _nested(self) -> dict[str, Column]:
        """Columns of nested fields that the store does not know; only in old databases."""
        pairs: dict[str, list[tuple[str, int]]] = {}
        for row, metadata in self._store.nested_metadata():
            for field, value in flat_values(metadata):
                pairs.setdefault(field, []).append((canonical(value), row))
        own = {
            field: [
                (value, int(row))
                for value, rows in (self._store.field_values(field) if field in self._own else [])
                for row in rows.split(",")
            ]
            for field in pairs
        }
        return {
            field: Column.of_pairs(self.n_rows, [*own[field], *found])
            for field, found in pairs.items()
        }

    @cached_property
    def fields(self) -> frozenset[str]:
        """The fields that documents have a value of; nested ones by dotted names."""
        return self._own | frozenset(self._nested)

    def knows(self, field: str) -> bool:
        """Whether some document has a value of a field, or of a field nested in it."""
        return field in self._own or field in self._nested or bool(self._below(field))

    def column(self, field: str) -> Column:
        """The column of a field; one without values where no document has any."""
        found = self._columns.get(field)
        if found is not None:
            return found
        with self._making:
            if field in self._columns:
                return self._columns[field]
            if field in self._nested:
                made = self._nested[field]
            elif field not in self._own:
                return Column(self.n_rows, [], [], np.zeros(0, np.int32))
            else:
                try:
                    made = Column.of_lines(self.n_rows, self._store.field_values(field))
                except ValueError as error:
                    raise _unreadable(field, error) from error
            self._columns[field] = made
            return made

    def is_small(self, field: str) -> bool:
        """Whether the column of a field is made already, and has few values."""
        column = self._columns.get(field)
        return column is not None and column.values.is_small

    def samples(self, field: str) -> list[str]:
        """Some values of a field, of every type that it has, in canonical JSON."""
        if isinstance(self._store, _Sampled) and field not in self._nested:
            return self._store.field_samples(field)
        return self.column(field).values.stored()

    def _below(self, field: str) -> list[str]:
        prefix = f"{field}."
        return [name for name in self.fields if name.startswith(prefix)]

    def has_value(self, field: str) -> Mask:
        """Mask of the rows with a value of a field, or of a field nested in it."""
        masks = [self.column(name).has_value for name in (field, *self._below(field))]
        return masks[0] if len(masks) == 1 else frozen(np.logical_or.reduce(masks))

    def mask(self, clause: Clause) -> Mask:
        """Mask of the rows that a filter passes: read-only, shape (n_rows,)."""
        return self._masks.get(clause, lambda: self._evaluated(clause))

    def _evaluated(self, clause: Clause) -> Mask:
        if isinstance(clause, FieldClause):
            try:
                masks = [self._condition(clause.field, each) for each in clause.conditions]
            except ValueError as error:
                raise _unreadable(clause.field, error) from error
            return reduce(np.logical_and, masks)
        passing = np.ones(self.n_rows, bool)
        for each in clause.must:
            passing &= self.mask(each)
        if clause.should:
            passing &= np.logical_or.reduce([self.mask(each) for each in clause.should])
        for each in clause.must_not:
            passing &= ~self.mask(each)
        return passing

    def _condition(self, field: str, condition: Condition) -> Mask:
        if isinstance(condition, Exists):
            mask = self.has_value(field)
            return mask if condition.wanted else ~mask
        if isinstance(condition, Range):
            return self.column(field).between(condition)
        if isinstance(condition, NoneOf):
            return ~self._one_of(field, condition.values)
        return self._one_of(field, condition)

    def _one_of(self, field: str, wanted: AnyOf) -> Mask:
        mask = self.column(field).one_of(wanted)
        if "null" in wanted.keys:
            mask |= ~self.has_value(field)
        return mask


def _unreadable(field: str, error: ValueError) -> IndexCorruptError:
    return IndexCorruptError(
        f"the metadata field {field!r} cannot be read ({error}); run lsr index verify, and build "
        "again"
    )
