"""`KnownDocuments`: a source compared with the documents that a collection holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from lsr.index.storage.document_store import DocumentStore
from lsr.index.storage.document_store_writer import repeated_id, stored_fields
from lsr.types import Document

__all__ = ["KnownDocuments"]

_BATCH = 1_000


class KnownDocuments:
    """Tells which documents of a source are new, which have changed, and which are missing there.

    Documents are compared by their stored content: title, text and metadata, whose order of fields
    does not count.

    Args:
        stores: the database of each segment, and which of its rows are not deleted: bool, shape
            (n_rows,), or None for all.

    Attributes:
        added: ids of documents that are not held, in the order of the source.
        replaced: ids of documents that are held with other content.
        n_unchanged: documents that are held as they are.
    """

    def __init__(self, stores: Sequence[tuple[DocumentStore, NDArray[np.bool_] | None]]) -> None:
        self.added: dict[str, None] = {}
        self.replaced: dict[str, None] = {}
        self.n_unchanged = 0
        self._stores = [store for store, _ in stores]
        self._missing = [
            np.ones(store.n_documents, bool) if alive is None else alive.copy()
            for store, alive in stores
        ]
        self._alive = [missing.copy() for missing in self._missing]

    @property
    def n_read(self) -> int:
        """Documents of the source so far."""
        return len(self.added) + len(self.replaced) + self.n_unchanged

    def changed(self, documents: Iterable[Document]) -> Iterator[Document]:
        """Yield the documents that are new or differ from what is held.

        Raises:
            InputError: something is no document, or an id is empty or was seen before.
            IndexCorruptError: what is held cannot be read.
        """
        stream = iter(documents)
        while batch := list(islice(stream, _BATCH)):
            first = self.n_read + 1
            places = [f"document {first + n} of the source" for n in range(len(batch))]
            fields = [stored_fields(*each) for each in zip(batch, places, strict=True)]
            held = self._held([doc_id for doc_id, *_ in fields])
            for document, place, new in zip(batch, places, fields, strict=True):
                if self._is_changed(new, held, place):
                    yield document

    def missing(self) -> list[str]:
        """Ids of the documents that are held and did not come, by segment and row."""
        return [
            document.doc_id
            for store, missing in zip(self._stores, self._missing, strict=True)
            for document in _documents(store, np.flatnonzero(missing).tolist())
        ]

    def _is_changed(
        self,
        new: tuple[str, str, str, str],
        held: dict[str, tuple[int, int, Document]],
        place: str,
    ) -> bool:
        doc_id = new[0]
        if doc_id not in held:
            if doc_id in self.added:
                raise repeated_id(doc_id, place)
            self.added[doc_id] = None
            return True
        segment, row, document = held[doc_id]
        if not self._missing[segment][row]:
            raise repeated_id(doc_id, place)
        self._missing[segment][row] = False
        if _is_same(new, stored_fields(document, place)):
            self.n_unchanged += 1
            return False
        self.replaced[doc_id] = None
        return True

    def _held(self, doc_ids: Sequence[str]) -> dict[str, tuple[int, int, Document]]:
        """Segment, row and content of those ids that are held."""
        found: dict[str, tuple[int, int, Document]] = {}
        for segment, (store, alive) in enumerate(zip(self._stores, self._alive, strict=True)):
            rows = [row for row in store.rows(doc_ids).values() if alive[row]]
            for row, document in zip(rows, _documents(store, rows), strict=True):
                found[document.doc_id] = (segment, row, document)
        return found


def _documents(store: DocumentStore, rows: Sequence[int]) -> Iterator[Document]:
    for start in range(0, len(rows), _BATCH):
        yield from store.documents(rows[start : start + _BATCH])


def _is_same(new: tuple[str, str, str, str], held: tuple[str, str, str, str]) -> bool:
    return new[:3] == held[:3] and (new[3] == held[3] or _sorted(new[3]) == _sorted(held[3]))


def _sorted(metadata: str) -> str:
    return json.dumps(json.loads(metadata), sort_keys=True)
