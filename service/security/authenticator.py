"""`Authenticator`: from the headers of a request to what it may do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie

from lsr.retrieval.filter import parse_filter
from lsr.service.problems import Refusal
from lsr.service.security.grant import EVERYTHING, Grant
from lsr.service.security.keys import KeyFile, digest, is_same

__all__ = ["COOKIE", "Authenticator", "is_same_origin"]

COOKIE = "lsr_key"
"""Cookie of the search page that holds the key."""

_ADMIN = "LSR_ADMIN_KEY"
_BEARER = "Bearer "
_WANTED = {"WWW-Authenticate": 'Bearer realm="lsr"'}


class Authenticator:
    """Knows the keys.

    Args:
        keys: where created keys are; None without such a file.
        admin_key: a key for everything, from the environment; None for none.
        resolve: the collection that a name or an alias stands for.
    """

    def __init__(
        self, keys: KeyFile | None, admin_key: str | None, resolve: Callable[[str], str]
    ) -> None:
        self.keys = keys
        self._admin = digest(admin_key) if admin_key else None
        self._resolve = resolve

    @property
    def is_open(self) -> bool:
        """Whether no keys are set, so that everybody may do everything."""
        return self.keys is None and self._admin is None

    def grant(self, headers: Mapping[str, str], method: str) -> Grant:
        """Find out who asks and what a request may do.

        Args:
            headers: by name in lower case.

        Raises:
            Refusal: 401 without a key that is known, 403 for a cookie from another site.
        """
        if self.is_open:
            return EVERYTHING
        secret = _shown(headers)
        if secret is None:
            secret = _in_cookie(headers)
            if secret is not None and not is_same_origin(headers, method):
                detail = "the sign-in counts for requests from this service's own pages alone"
                raise Refusal(403, "forbidden", detail)
        if secret is None:
            detail = "this needs a key; send the header Authorization: Bearer KEY"
            raise Refusal(401, "unauthorized", detail, _WANTED)
        found = self.known(secret)
        if found is None:
            detail = "there is no such key; it may have been revoked"
            raise Refusal(401, "unauthorized", detail, _WANTED)
        return found

    def known(self, secret: str) -> Grant | None:
        """The grant of whoever has a secret, or None when it is no key. Raises StorageError."""
        if self._admin is not None and is_same(secret, self._admin):
            return Grant(_ADMIN, "admin")
        key = self.keys.find(secret) if self.keys is not None else None
        if key is None:
            return None
        names = frozenset(key.collections) if key.collections is not None else None
        where = parse_filter(key.filter) if key.filter is not None else None
        return Grant(key.name, key.scope, names, where, resolve=self._resolve)


def is_same_origin(headers: Mapping[str, str], method: str) -> bool:
    """Whether a browser says that a page of this service asks, or the reader himself.

    Where the browser says nothing, reading is let pass and changing is not.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is not None:
        return origin.partition("://")[2] == headers.get("host")
    return method in ("GET", "HEAD")


def _shown(headers: Mapping[str, str]) -> str | None:
    authorization = headers.get("authorization", "")
    if authorization[: len(_BEARER)].lower() == _BEARER.lower():
        return authorization[len(_BEARER) :].strip()
    return headers.get("x-api-key")


def _in_cookie(headers: Mapping[str, str]) -> str | None:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel is not None else None
