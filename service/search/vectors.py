"""Vectors that a request brings, as the collection takes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsr.errors import QueryError
from lsr.index.collection.reader import CollectionReader
from lsr.service.search.request import Vectors
from lsr.sparse import SparseVector

__all__ = ["checked_vectors"]


def checked_vectors(
    vectors: Vectors | None, collection: CollectionReader
) -> tuple[SparseVector | None, NDArray[np.float32] | None]:
    """Vectors of a request as the collection takes them.

    Raises:
        QueryError: a weight is out of range.
    """
    sparse = dense = None
    if vectors is None:
        return None, None
    if vectors.sparse is not None:
        known = collection.encoder.find_terms(list(vectors.sparse))
        most = float(np.finfo(np.float32).max)
        wrong = [text for text, weight in vectors.sparse.items() if not 0 < weight <= most]
        if wrong:
            raise QueryError(
                f"vectors.sparse: the weight of {wrong[0][:64]!r} must be above 0 and finite"
            )
        pairs = zip(known, vectors.sparse.values(), strict=True)
        sparse = SparseVector.from_mapping(
            {term: weight for term, weight in pairs if term is not None}
        )
    if vectors.dense is not None:
        with np.errstate(over="ignore"):
            dense = np.array(vectors.dense, np.float32)
    return sparse, dense
