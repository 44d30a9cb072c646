"""`Grant`: what the key of a request allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from starlette.types import Scope as AsgiScope

from lsr.errors import NotFoundError
from lsr.retrieval.filter import Filter, both, parse_filter
from lsr.service.problems import Refusal
from lsr.service.security.document_filter import passes

__all__ = ["EVERYTHING", "SCOPES", "Grant", "Scope", "Where", "grant_of"]

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""Each allows what those before it allow."""

Where = Mapping[str, Any] | Filter | None


def _itself(name: str) -> str:
    return name


@dataclass
class Grant:
    """Permissions of one request. The guard puts it at `scope["state"]["grant"]`.

    Attributes:
        name: of the key, for the log; empty where no keys are set.
        scope: the most that is allowed.
        collections: names or aliases it is limited to; None for all.
        filter: what every document must match that it reads or writes; None for all.
        asked: whether the filter was asked for; the guard lets no answer out otherwise.
        resolve: the collection that a name or an alias stands for now.
    """

    name: str = ""
    scope: Scope = "admin"
    collections: frozenset[str] | None = None
    filter: Filter | None = None
    asked: bool = False
    resolve: Callable[[str], str] = field(default=_itself, repr=False)

    @property
    def is_limited(self) -> bool:
        """Whether it is for some collections, or some documents, alone."""
        return self.collections is not None or self.filter is not None

    def may(self, scope: Scope) -> bool:
        """Whether the scope is within this one's."""
        return SCOPES.index(scope) <= SCOPES.index(self.scope)

    def allows(self, collection: str, scope: Scope = "read") -> bool:
        """Whether a collection, by its name or an alias, may be used so.

        A key for an alias is for the collection that the alias names at the time.
        """
        if not self.may(scope):
            return False
        if self.collections is None:
            return True
        wanted = self.real_name(collection)
        return any(self.real_name(each) == wanted for each in self.collections)

    def real_name(self, name: str) -> str:
        """The collection that a name or an alias stands for; the name itself if it is neither."""
        try:
            return self.resolve(name)
        except NotFoundError:
            return name

    def visible(self, collections: Iterable[str]) -> list[str]:
        """Those of some collections that may be read."""
        return [name for name in collections if self.allows(name)]

    def filter_for(self, collection: str) -> Filter | None:
        """The filter that every read of a collection must have, and every write must match.

        Raises:
            Refusal: 403, the key is not for this collection.
        """
        self.asked = True
        if not self.allows(collection):
            raise Refusal(403, "forbidden", f"this key is not for collection {collection[:64]!r}")
        return self.filter

    def narrowed(self, collection: str, where: Where) -> Where:
        """A request's own filter, and the key's beside it.

        Raises:
            QueryError: the request's own is none.
            Refusal: as `filter_for`.
        """
        own = self.filter_for(collection)
        if own is None:
            return where
        return both(where if isinstance(where, Filter) else parse_filter(where or {}), own)

    def sees(self, collection: str, metadata: Mapping[str, object]) -> bool:
        """Whether a document with this metadata exists for the key."""
        own = self.filter_for(collection)
        return own is None or passes(own, metadata)

    def check_write(self, collection: str, metadata: Mapping[str, object]) -> None:
        """Refuse a document that the key's filter does not pass.

        Raises:
            Refusal: 403.
        """
        if not self.sees(collection, metadata):
            raise Refusal(
                403,
                "forbidden",
                "the document is outside the filter of this key; give it the metadata that the "
                "key is for, or use another key",
            )

    def for_request(self) -> Grant:
        """The grant of one request, which notes whether its filter was asked for."""
        return self if self.filter is None else replace(self, asked=False)


EVERYTHING = Grant()
"""What everybody may do where no keys are set."""


def grant_of(scope: AsgiScope) -> Grant:
    """The grant of a request; everything where no guard stands in front."""
    grant = scope.get("state", {}).get("grant", EVERYTHING)
    assert isinstance(grant, Grant)
    return grant
