"""Documents and their vectors as points, and back, each with its checksums.

Nothing that Qdrant does to a vector or a text goes unseen: points are compared when they are
fetched, as documents of an index are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lsr.backend.qdrant.conditions import Fields
from lsr.backend.qdrant.store import DENSE, SPARSE, Point, PointStore
from lsr.errors import IndexCorruptError
from lsr.index.storage.row_checksums import document_checksum, vector_checksum
from lsr.sparse import CSR, SparseVector
from lsr.types import Document

__all__ = ["DOCUMENT", "FEW", "STAMP", "CheckedPoints", "names_of", "points_of"]

STAMP = "lsr_stamp"
"""Field of the payload: which migration wrote the point."""
CHECKS = "lsr_checks"
"""The same: checksums of the document, the sparse and the dense vector."""
FEW = ("doc_id", CHECKS)
"""Fields that come with the points of a search."""
DOCUMENT = (*FEW, "title", "text", "metadata")
"""Fields that make a document."""
_NOTHING = SparseVector(np.zeros(0, np.int32), np.zeros(0, np.float32))


def points_of(
    numbers: Sequence[int],
    documents: Sequence[Document],
    sparse: CSR,
    dense: NDArray[np.float32],
    fields: Fields,
    stamp: str,
) -> Iterator[Point]:
    """Points of documents.

    Args:
        dense: of no columns where there are no such vectors; a row of zeros is none.
    """
    for place, (number, document) in enumerate(zip(numbers, documents, strict=True)):
        vector, values = sparse.row(place), dense[place]
        metadata = json.dumps(document.metadata, ensure_ascii=False)
        payload = {
            "doc_id": document.doc_id,
            "title": document.title,
            "text": document.text,
            "metadata": metadata,
            **fields.payload(document.metadata),
            STAMP: stamp,
        }
        point = Point(
            number,
            payload,
            vector if len(vector.terms) else None,
            values if values.any() else None,
        )
        payload[CHECKS] = [_document_check(point), _sparse_check(point), _dense_check(point)]
        yield point


def _document_check(point: Point) -> int:
    payload = point.payload
    texts = payload["doc_id"], payload["title"], payload["text"], payload["metadata"]
    return document_checksum(point.number, *texts, version=0)


def _sparse_check(point: Point) -> int:
    terms, weights = point.sparse or _NOTHING
    return vector_checksum(
        point.number, terms.astype("<i4").tobytes(), weights.astype("<f4").tobytes()
    )


def _dense_check(point: Point) -> int:
    values = b"" if point.dense is None else point.dense.astype("<f4").tobytes()
    return vector_checksum(point.number, values)


def names_of(sides: tuple[bool, bool]) -> tuple[str, ...]:
    """Names of the vectors of some sides."""
    return tuple(name for name, wanted in zip((SPARSE, DENSE), sides, strict=True) if wanted)


class CheckedPoints:
    """Points of a collection, each as it was written.

    Args:
        name: of the collection.
        n_terms, dimension: the widths of vectors.
    """

    def __init__(self, store: PointStore, name: str, n_terms: int, dimension: int) -> None:
        self._store = store
        self._name = name
        self._n_terms = n_terms
        self._dimension = dimension

    def few(self, numbers: Sequence[int], sides: tuple[bool, bool]) -> list[Point]:
        """Points with their vectors of some sides. Raises IndexCorruptError where one is gone."""
        return self._fetched(numbers, FEW, names_of(sides))

    def matrices(
        self, points: Sequence[Point], sides: tuple[bool, bool]
    ) -> tuple[CSR, NDArray[np.float32]]:
        """Vectors that have come with points, a row each; zeros where there is none.

        Raises:
            IndexCorruptError: one is not what was written.
        """
        sparse = CSR.empty(0, 0)
        dense = np.zeros((len(points), self._dimension if sides[1] else 0), np.float32)
        for place, point in enumerate(points):
            if sides[0]:
                self._compare(point, 1, _sparse_check(point))
            if sides[1]:
                self._compare(point, 2, _dense_check(point))
                if point.dense is not None:
                    dense[place] = point.dense
        if sides[0]:
            sparse = CSR.from_vectors([each.sparse or _NOTHING for each in points], self._n_terms)
        return sparse, dense

    def documents(self, numbers: Sequence[int]) -> list[Document]:
        """The documents of points. Raises as `matrices`."""
        return [self.document(point) for point in self._fetched(numbers, DOCUMENT, ())]

    def document(self, point: Point) -> Document:
        """The document of a point that has come with it. Raises as `matrices`."""
        try:
            self._compare(point, 0, _document_check(point))
            payload = point.payload
            metadata = json.loads(payload["metadata"])
            return Document(payload["doc_id"], payload["text"], payload["title"], metadata)
        except (KeyError, TypeError, ValueError) as error:
            raise self._changed(point) from error

    def page(
        self, first: int, last: int, sides: tuple[bool, bool]
    ) -> tuple[list[Document], CSR, NDArray[np.float32]]:
        """Documents and vectors of points `first` to `last` - 1. Raises as `matrices`."""
        points = self._fetched(range(first, last), DOCUMENT, names_of(sides))
        sparse, dense = self.matrices(points, sides)
        return [self.document(point) for point in points], sparse, dense

    def _fetched(
        self, numbers: Sequence[int], fields: Sequence[str], vectors: Sequence[str]
    ) -> list[Point]:
        if not len(numbers):
            return []
        found = self._store.fetch(self._name, list(numbers), fields, vectors)
        by_number: Mapping[int, Point] = {point.number: point for point in found}
        for number in numbers:
            if number not in by_number:
                raise IndexCorruptError(
                    f"point {number} of {self._name} is gone; lsr did not delete it, so migrate "
                    "the index again"
                )
        return [by_number[number] for number in numbers]

    def _compare(self, point: Point, place: int, check: int) -> None:
        checks = point.payload.get(CHECKS)
        if not isinstance(checks, list) or len(checks) != 3 or checks[place] != check:
            raise self._changed(point)
        if not isinstance(point.payload.get("doc_id"), str):
            raise self._changed(point)

    def _changed(self, point: Point) -> IndexCorruptError:
        return IndexCorruptError(
            f"point {point.number} of {self._name} ({point.payload.get('doc_id')!r}) is not what "
            "lsr wrote there; something else changed it, so migrate the index again"
        )
