"""Types of fields, told by some of their values."""

from __future__ import annotations

from collections.abc import Iterable

from lsr.errors import IndexCorruptError
from lsr.index.metadata.collection_metadata import CollectionMetadata
from lsr.retrieval.scalar import instants, number_of, scalar_of

__all__ = ["field_types"]


def field_types(metadata: CollectionMetadata) -> dict[str, str]:
    """The type of each field, in words, by name.

    `number`, `boolean`, `text`, `text of numbers` (as a CSV file has them), `text of dates`, or
    several with commas between. Texts are told by the first and last hundred of a segment.

    Raises:
        IndexCorruptError: a value cannot be read.
    """
    return {
        field: _type(
            sample
            for segment in metadata.segments
            if field in segment.fields
            for sample in segment.samples(field)
        )
        for field in metadata.fields
    }


def _type(samples: Iterable[str]) -> str:
    found, texts = set(), []
    for sample in samples:
        try:
            value = scalar_of(sample)
        except ValueError as error:
            raise IndexCorruptError(
                f"a value of a metadata field cannot be read ({error}); run lsr index verify"
            ) from error
        if isinstance(value, str):
            texts += [value] if value else []
        else:
            found.add("boolean" if isinstance(value, bool) else "number")
    if texts and all(number_of(text) is not None for text in texts):
        found.add("text of numbers")
    elif texts and all(instants(text) is not None for text in texts):
        found.add("text of dates")
    elif texts:
        found.add("text")
    return ", ".join(sorted(found)) or "text"
