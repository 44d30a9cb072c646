"""The databases of all segments behind the interface of one, rows numbered consecutively."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lsr.index.collection.multi_segment import MultiSegment
from lsr.index.storage.document_store import DocumentStore
from lsr.passages.passage import Passage
from lsr.sparse import CSR
from lsr.types import Document

__all__ = ["AnyStore", "MultiStore"]


class MultiStore:
    """Documents of all readers; those in deleted rows cannot be asked for by id."""

    def __init__(self, segment: MultiSegment) -> None:
        self._segment = segment
        self._stores = [reader.store for reader in segment.readers]

    @property
    def n_documents(self) -> int:
        """Documents that can be found."""
        return self._segment.n_documents

    def stored(self, rows: Sequence[int]) -> list[tuple[Document, int]]:
        """As `DocumentStore.stored`."""
        found: dict[int, tuple[Document, int]] = {}
        for reader, places, local in self._segment.ranges.split(np.array(rows, np.int32)):
            documents = self._stores[reader].stored(local.tolist())
            found.update(zip(places.tolist(), documents, strict=True))
        return [found[place] for place in range(len(rows))]

    def versions(self, rows: Sequence[int]) -> list[int]:
        """As `DocumentStore.versions`."""
        return [version for _, version in self.stored(rows)]

    def documents(self, rows: Sequence[int]) -> list[Document]:
        """As `DocumentStore.documents`."""
        return [document for document, _ in self.stored(rows)]

    def document(self, row: int) -> Document:
        """As `DocumentStore.document`."""
        return self.documents([row])[0]

    def passages(self, rows: Sequence[int]) -> list[tuple[Passage, ...]]:
        """As `DocumentStore.passages`."""
        found: dict[int, tuple[Passage, ...]] = {}
        for reader, places, local in self._segment.ranges.split(np.array(rows, np.int32)):
            some = self._stores[reader].passages(local.tolist())
            found.update(zip(places.tolist(), some, strict=True))
        return [found[place] for place in range(len(rows))]

    def sparse_vectors(self, rows: Sequence[int], n_terms: int) -> CSR:
        """As `DocumentStore.sparse_vectors`."""
        readers, order = [], [np.zeros(0, np.intp)]
        for reader, places, local in self._segment.passage_ranges.split(np.array(rows, np.int32)):
            readers.append(self._stores[reader].sparse_vectors(local.tolist(), n_terms))
            order.append(places)
        taken = np.argsort(np.concatenate(order)).tolist()
        return CSR.concatenate([CSR.empty(0, n_terms), *readers]).take(taken)

    def row(self, doc_id: str) -> int | None:
        """The row of an id that is not deleted, or None."""
        return self.rows([doc_id]).get(doc_id)

    def rows(self, doc_ids: Sequence[str]) -> dict[str, int]:
        """The rows of those ids that there are and that are not deleted, by id."""
        found: dict[str, int] = {}
        for reader, first in zip(
            self._segment.readers, self._segment.ranges.first_rows.tolist(), strict=True
        ):
            for doc_id, row in reader.store.rows(doc_ids).items():
                if reader.alive is None or reader.alive[row]:
                    found.setdefault(doc_id, first + row)
        return found


AnyStore = DocumentStore | MultiStore
"""Either of the two: the rest of the code needs the same of their documents."""
