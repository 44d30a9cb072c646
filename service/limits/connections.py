"""Connections of the server: how many, and how long one may keep it waiting.

uvicorn has no limits of this kind; these go on top of either of its protocols.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from lsr.service.limits.accepting import Share
from lsr.service.limits.deadline import Deadline
from lsr.service.limits.joined_writes import JoinedWrites
from lsr.service.problems import MEDIA_TYPE, problem

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as Protocol
else:
    Protocol = asyncio.Protocol

__all__ = ["ConnectionLimits", "Connections", "GuardedConnection", "protocol_class"]

_HEADER_BYTES = 65_536
_LEAST_BYTES_PER_SECOND = 256
_SWEEP_SECONDS = 0.25
_SPARE = 64
"""Connections above the limit that are answered with 503; those above are closed unheard."""

_SECONDS_BETWEEN_WARNINGS = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of connections.

    Attributes:
        most: open at once.
        header_seconds: from the first byte of a request, or from the start of a connection, to
            the end of its headers.
        body_seconds: longest pause in a body or an answer.
    """

    most: int = 1_000
    header_seconds: float = 10.0
    body_seconds: float = 30.0


class Connections:
    """The connections of one server; used on its event loop alone.

    Args:
        share: where other processes see how many there are.
    """

    def __init__(self, limits: ConnectionLimits, share: Share | None = None) -> None:
        self.limits = limits
        self.share = share
        self.waiting: dict[GuardedConnection, None] = {}
        """Those without a request, the longest waiting first."""
        self.sending: dict[GuardedConnection, None] = {}
        """Those of whose request a part of the body is still to come."""
        self._warned: dict[str, float] = {}

    def opened(self, connection: GuardedConnection) -> None:
        """Note a new one. Above the limit, the one that has waited longest makes room."""
        n_open = len(connection.connections)
        self.count(n_open)
        if n_open > self.limits.most:
            self.warn("connections", f"{n_open:,} connections are open; the oldest idle are closed")
            oldest = next(iter(self.waiting), None)
            if oldest is not None:
                oldest.close()
            elif self.sending:
                slowest = min(self.sending, key=lambda each: each.last_data)
                slowest.refuse(503, "overloaded", "too many connections are open; try again")
            elif n_open > self.limits.most + _SPARE:
                connection.transport.abort()
                return
            else:
                connection.app_state = {**connection.app_state, "crowded": True}
        self.waiting[connection] = None

    def count(self, n_open: int) -> None:
        """Tell other workers how many are open here."""
        if self.share is not None:
            self.share.set(n_open)

    def warn(self, kind: str, sentence: str) -> None:
        """Log a warning, but not again and again."""
        now = time.monotonic()
        if now - self._warned.get(kind, -_SECONDS_BETWEEN_WARNINGS) >= _SECONDS_BETWEEN_WARNINGS:
            self._warned[kind] = now
            _log.warning("%s", sentence)

    def watch(self, loop: asyncio.AbstractEventLoop, open_now: Collection[object]) -> None:
        """Close the slow ones of `open_now`, now and from time to time."""
        now = loop.time()
        self.count(len(open_now))
        for connection in list(open_now):
            if isinstance(connection, GuardedConnection):
                connection.close_if_slow(now)
        loop.call_later(_SWEEP_SECONDS, self.watch, loop, open_now)


class GuardedConnection(Protocol):
    """A connection that is closed when it makes the server wait."""

    watched_by: Connections
    _head_since: float | None = None
    _head_bytes = 0
    _body_bytes = 0
    _body_seconds = 0.0
    last_data = 0.0
    _last_sweep = 0.0
    _unsent = 0
    _unsent_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        joined = JoinedWrites(cast(asyncio.Transport, transport), self.loop)
        super().connection_made(cast(asyncio.Transport, joined))
        self._head_since = self.last_data = self.loop.time()
        self.watched_by.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the running request, if there is one, that nobody waits for it."""
        self._forget()
        if self.cycle is not None and not self.cycle.response_complete:
            deadline = self.cycle.scope.get("state", {}).get("deadline")
            if isinstance(deadline, Deadline):
                deadline.cancel()
        super().connection_lost(exc)
        self.watched_by.count(len(self.connections))

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request, noting when its headers began."""
        before = self.cycle
        self.last_data = self.loop.time()
        if before is None or before.response_complete:
            self._head_since = self._head_since or self.last_data
            self._head_bytes += len(data)
        else:
            self._body_bytes += len(data)
        super().data_received(data)
        if self.cycle is not before:
            self._began()
        elif self._head_bytes > _HEADER_BYTES:
            self.refuse(431, "too_large", f"the headers are above {_HEADER_BYTES:,} bytes")
        if self.cycle is not None and not self.cycle.more_body:
            self.watched_by.sending.pop(self, None)

    def _began(self) -> None:
        self._head_since = None
        self._head_bytes = self._body_bytes = 0
        self._body_seconds = 0.0
        self.watched_by.waiting.pop(self, None)
        self.watched_by.sending[self] = None

    def _forget(self) -> None:
        self.watched_by.waiting.pop(self, None)
        self.watched_by.sending.pop(self, None)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        if not self.transport.is_closing() and self.cycle.response_complete:
            self.watched_by.sending.pop(self, None)
            self.watched_by.waiting[self] = None

    def close_if_slow(self, now: float) -> None:
        """Close the connection if its client has taken too long for what is due."""
        since_sweep, self._last_sweep = now - (self._last_sweep or now), now
        if self.transport.is_closing():
            return
        limits, cycle = self.watched_by.limits, self.cycle
        if self._head_since is not None and (cycle is None or cycle.response_complete):
            if now - self._head_since > limits.header_seconds:
                if not self._head_bytes:
                    self.close()
                    return
                self.refuse(408, "timeout", "the headers of the request did not come in time")
            return
        if cycle is None or cycle.response_complete:
            return
        if cycle.more_body and not self.flow.read_paused:
            self._body_seconds += since_sweep
            allowed = limits.body_seconds + self._body_bytes / _LEAST_BYTES_PER_SECOND
            pause = now - self.last_data
            if pause > limits.body_seconds or self._body_seconds > allowed:
                self.refuse(408, "timeout", "the body of the request did not come in time")
                return
        self._close_if_unread(now)

    def _close_if_unread(self, now: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent < self._unsent or not self._unsent:
            self._unsent_since = now
        elif now - self._unsent_since > self.watched_by.limits.body_seconds:
            self.transport.abort()
        self._unsent = unsent

    def close(self) -> None:
        """Close the connection, once what was written is sent."""
        self._forget()
        self.transport.close()

    def refuse(self, status: int, code: str, detail: str) -> None:
        """Answer outside of any request, if no answer has begun, and close."""
        has_begun = self.cycle is not None and not self.cycle.response_complete
        if not (has_begun and self.cycle.response_started):
            body = bytes(problem(status, code, detail, instance="").body)
            head = (
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
                f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
                f"x-request-id: {secrets.token_hex(8)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode("ascii") + body)
        self.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        host, port = self.client or ("an unknown address", 0)
        self.watched_by.warn(
            f"invalid {host}", f"what {host}, port {port}, sent is not HTTP; answered 400: {msg}"
        )
        self.refuse(400, "invalid_request", "this is not a request of HTTP/1.1")


def protocol_class(connections: Connections) -> type[asyncio.Protocol]:
    """uvicorn's protocol, the faster one if it is installed, with these limits."""
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    return type("Connection", (GuardedConnection, AutoHTTPProtocol), {"watched_by": connections})
