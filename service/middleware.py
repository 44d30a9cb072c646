"""Middleware of every request: the envelope of an answer, compression, HEAD and OPTIONS."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import Response
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipResponder
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lsr.service.hosts import HostNames
from lsr.service.logs import AccessLog
from lsr.service.metrics import Metrics
from lsr.service.problems import problem

__all__ = ["Compression", "Envelope", "Head", "Options", "Stopping"]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
_DOCS_POLICY = (
    f"{_POLICY}; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:"
)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_CLIENT_LEFT = 499
"""Status in log and metrics of a request whose client left before the answer began."""

_GZIP_LEVEL = 1
"""The higher ones take several times the processor's time for a tenth of the bytes."""

_PACKED = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/x-tar", "application/zstd")
_log = logging.getLogger(__name__)

Headers = list[tuple[bytes, bytes]]


@dataclass
class Stopping:
    """Whether the service is about to stop: then every answer closes its connection."""

    has_begun: bool = False


@dataclass
class _Course:
    """What is known of an answer so far."""

    request_id: bytes
    begin: float = field(default_factory=time.perf_counter)
    status: int = 0
    n_bytes: int = 0


class Envelope:
    """Around everything: request id, host names, safety headers, log, metrics, the last catch.

    An unexpected exception goes to the log; the client learns only that there was one, and the
    request's id.

    Args:
        docs_url: the page that needs inline scripts.
        log: None for no access log.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        hosts: HostNames,
        stopping: Stopping,
        log: AccessLog | None,
        docs_url: str,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._hosts = hosts
        self._stopping = stopping
        self._log = log
        self._docs_url = docs_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        course = _Course(_request_id(scope["headers"]))
        scope.setdefault("state", {})["request_id"] = course.request_id.decode("ascii")
        sending = self._sending(scope, course, send)
        try:
            refused = self._hosts.refusal(scope)
            app: ASGIApp = self._app if refused is None else refused.response(scope["path"])
            await app(scope, receive, sending)
        except asyncio.CancelledError:
            if not course.status:
                await _cut_short(scope)(scope, receive, sending)
        except Exception:
            _log.exception(
                "unexpected error in %s %s, request %s",
                scope["method"],
                _route(scope),
                scope["state"]["request_id"],
            )
            if course.status:
                raise
            await _internal_error(scope)(scope, receive, sending)
        finally:
            self._note(scope, course)

    def _sending(self, scope: Scope, course: _Course, send: Send) -> Send:
        policy = _DOCS_POLICY if scope["path"] == self._docs_url else _POLICY
        always: Headers = [
            (b"content-security-policy", policy.encode("ascii")),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"x-request-id", course.request_id),
        ]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                course.status = message["status"]
                headers: Headers = [*message.get("headers", ()), *always]
                if all(name != b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-cache"))
                if self._stopping.has_begun:
                    headers.append((b"connection", b"close"))
                message = {**message, "headers": headers}
            else:
                course.n_bytes += len(message.get("body", b""))
            await send(message)

        return sending

    def _note(self, scope: Scope, course: _Course) -> None:
        seconds = time.perf_counter() - course.begin
        method = scope["method"] if scope["method"] in _METHODS else "other"
        status = course.status or _CLIENT_LEFT
        self._metrics.count_request(method, _route(scope), status, seconds)
        if self._log is not None:
            self._log.write(scope, method, _route(scope), status, seconds, course.n_bytes)


class Compression:
    """Answers in gzip where the client takes it, the answer is long, and it would get shorter.

    Streams are compressed piece by piece, each of which the client can read at once.

    Args:
        least: bytes of the shortest answer that is compressed.
    """

    def __init__(self, app: ASGIApp, least: int) -> None:
        self._app = app
        self._least = least

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _takes_gzip(scope["headers"]):
            await self._app(scope, receive, send)
            return
        responder = GZipResponder(
            self._app, self._least, _GZIP_LEVEL, exclude_content_types=_PACKED
        )
        await responder(scope, receive, send)


class Options:
    """OPTIONS wherever there is anything.

    Args:
        allowed: the methods of the routes at a request's path.
    """

    def __init__(self, app: ASGIApp, allowed: Callable[[Scope], frozenset[str]]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._allowed(scope) if scope.get("method") == "OPTIONS" else frozenset()
        app = self._app
        if found:
            allow = ", ".join(sorted({*found, "OPTIONS"}))
            app = Response(status_code=204, headers={"Allow": allow})
        await app(scope, receive, send)


class Head:
    """HEAD wherever there is GET: the same answer, without its body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "HEAD":
            await self._app(scope, receive, send)
            return
        is_over = False
        inner = {**scope, "method": "GET"}

        async def sending(message: Message) -> None:
            nonlocal is_over
            if message["type"] == "http.response.start":
                await send(message)
            elif not is_over:
                is_over = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def receiving() -> Message:
            return {"type": "http.disconnect"} if is_over else await receive()

        try:
            await self._app(inner, receiving, sending)
        finally:
            if "route" in inner:
                scope["route"] = inner["route"]


def _request_id(headers: Headers) -> bytes:
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value
    return b"%016x" % random.getrandbits(64)  # it tells requests apart, and keeps no secret


def _takes_gzip(headers: Headers) -> bool:
    for name, value in headers:
        if name == b"accept-encoding":
            for part in value.lower().split(b","):
                coding, _, quality = part.partition(b";")
                if coding.strip() in (b"gzip", b"*"):
                    return quality.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00")
    return False


def _route(scope: Scope) -> str:
    """The template of a request's route, so that paths are neither logged nor labels."""
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    return path if path is not None else str(scope["state"].get("rule", "other"))


def _internal_error(scope: Scope) -> Response:
    detail = "something went wrong inside the service; its log says more, under the request's id"
    return problem(500, "internal", detail, instance=scope["path"])


def _cut_short(scope: Scope) -> Response:
    detail = "the service is stopping and did not finish this; ask another, or again"
    headers = {"Retry-After": "1", "Connection": "close"}
    return problem(503, "overloaded", detail, instance=scope["path"], headers=headers)
