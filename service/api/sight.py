"""The collections and documents that exist for whoever asks, as the guard's grant says."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import Request

from lsr.retrieval.filter import Filter
from lsr.service.collections.documents import Sees
from lsr.service.security.document_filter import passes
from lsr.service.security.grant import grant_of

__all__ = ["may_see", "sees_of", "where_of"]


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
