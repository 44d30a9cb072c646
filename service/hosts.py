"""`HostNames`: the names that this service is asked for by, and no others."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Scope

from lsr.service.problems import Refusal

__all__ = ["HostNames"]

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_FREE = ("/livez", "/readyz")


class HostNames:
    """Refuses requests for other hosts: a web page whose name was made to point here must not
    read what its reader could.

    Allowed are this machine's own names, the address that the client connected to, and the given
    names. Health is told to everybody.

    Args:
        names: further names; `*` for any.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(name.lower().rstrip(".") for name in (*_LOOPBACK, *names))
        self._any = "*" in self._names

    def refusal(self, scope: Scope) -> Refusal | None:
        """The 421 for a request, or None for one that is meant for this service."""
        if self._any:
            return None
        for name, value in scope["headers"]:
            if name == b"host":
                host = _name(value.decode("latin-1"))
                break
        else:
            return None
        if host in self._names or scope["path"] in _FREE:
            return None
        server = scope.get("server")
        if server is not None and host == str(server[0]).lower():
            return None
        return Refusal(
            421,
            "misdirected_host",
            f"this service is not asked for as {host[:64]!r}; if it should be, start it with "
            f"--host-name {host[:64]}",
        )


def _name(host: str) -> str:
    """A host without its port, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")
