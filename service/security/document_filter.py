"""A filter asked of one document: the same columns as a search's, over a single row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lsr.index.metadata.segment_metadata import SegmentMetadata
from lsr.retrieval.filter import Filter
from lsr.retrieval.scalar import canonical, flat_values

__all__ = ["passes"]


class _OneDocument:
    """A `MetadataStore` of one row."""

    n_documents = 1

    def __init__(self, metadata: Mapping[str, object]) -> None:
        self._values: dict[str, set[str]] = {}
        for name, value in flat_values(metadata):
            self._values.setdefault(name, set()).add(canonical(value))
        self.fields = tuple(self._values)

    def field_values(self, field: str) -> list[tuple[str, str]]:
        return [(value, "0") for value in sorted(self._values.get(field, ()), key=str.encode)]

    def nested_metadata(self) -> Iterator[tuple[int, dict[str, Any]]]:
        return iter(())


def passes(where: Filter, metadata: Mapping[str, object]) -> bool:
    """Whether a document with this metadata passes a filter."""
    return bool(SegmentMetadata(_OneDocument(metadata), mask_bytes=0).mask(where)[0])
