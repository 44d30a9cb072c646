"""Middleware of every request: safety headers, a limit on bodies, counting, the last catch."""

from __future__ import annotations

import logging
import time

from fastapi import Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lsr.service.metrics import Metrics
from lsr.service.problems import problem

__all__ = ["BodyLimit", "Observer", "SafetyHeaders"]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
_DOCS_POLICY = (
    f"{_POLICY}; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:"
)
_log = logging.getLogger(__name__)


class Observer:
    """Counts and times requests, and turns an unexpected exception into a problem.

    The exception goes to the log; the client learns only that there was one.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            _log.exception("unexpected error in %s %s", scope["method"], _route(scope))
            if status:
                raise
            await _internal_error(scope)(scope, receive, sending)
        finally:
            seconds = time.perf_counter() - begin
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.count_request(method, _route(scope), status, seconds)
            _log.info("%s %s %d %.1f ms", method, _route(scope), status, seconds * 1e3)


class SafetyHeaders:
    """Adds the headers that keep a browser from doing more than our pages need."""

    def __init__(self, app: ASGIApp, docs_url: str) -> None:
        self._app = app
        self._docs_url = docs_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        policy = _DOCS_POLICY if scope["path"] == self._docs_url else _POLICY

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = policy
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        await self._app(scope, receive, sending)


class BodyLimit:
    """Refuses a request body above `max_bytes`, whether or not its length was announced."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        n_bytes = 0

        async def receiving() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > self._max_bytes:
                detail = f"the body is above {self._max_bytes:,} bytes; send less at once"
                raise HTTPException(413, detail, {"Connection": "close"})
            return message

        await self._app(scope, receiving if scope["type"] == "http" else receive, send)


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "other")


def _internal_error(scope: Scope) -> Response:
    detail = "something went wrong inside the service; its log says more"
    return problem(500, "internal", detail, instance=scope["path"])
