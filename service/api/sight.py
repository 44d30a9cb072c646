"""The collections and documents that exist for whoever asks, as the guard's grant says."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from fastapi import Request
from numpy.typing import NDArray

from lsr.index.collection.reader import CollectionReader
from lsr.retrieval.filter import Filter
from lsr.service.collections.documents import Sees
from lsr.service.security.document_filter import passes
from lsr.service.security.grant import grant_of

__all__ = ["may_see", "n_seen", "seen_rows", "sees_of", "where_of"]


def may_see(request: Request, collection: str) -> bool:
    """Whether a collection exists for whoever asks."""
    grant = grant_of(request.scope)
    grant.asked = True
    return grant.allows(collection)


def sees_of(request: Request, collection: str) -> Sees | None:
    """A test of a document's metadata; None where all documents can be seen.

    Raises:
        Refusal: 403, the key is not for this collection.
    """
    own = grant_of(request.scope).filter_for(collection)
    return None if own is None else partial(passes, own)


def where_of(
    request: Request, collection: str, where: Mapping[str, Any] | None
) -> Mapping[str, Any] | Filter | None:
    """A request's filter, and that of its key beside it. Raises as `sees_of`."""
    return grant_of(request.scope).narrowed(collection, where)


def seen_rows(reader: CollectionReader, where: Mapping[str, Any] | Filter) -> NDArray[np.bool_]:
    """Mask of the documents that can be found and pass a filter, shape (n_rows,)."""
    rows = np.zeros(reader.segment.n_rows, bool)
    rows[reader.live_rows()] = True
    return rows & reader.metadata.mask(where)


def n_seen(request: Request, collection: str, reader: CollectionReader) -> int:
    """Number of documents that exist for whoever asks. Raises as `sees_of`."""
    where = where_of(request, collection, None)
    return int(np.count_nonzero(seen_rows(reader, where))) if where else reader.n_documents
