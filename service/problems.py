"""Errors as RFC 9457 problems: which status each error has, and how it is written."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from lsr.errors import (
    AccessError,
    ConflictError,
    IndexStateError,
    InputError,
    LateError,
    LsrError,
    NotFoundError,
    OverloadedError,
    RetrieverError,
    ServiceError,
    StorageError,
    TaskCancelledError,
    UnavailableError,
)

__all__ = [
    "MEDIA_TYPE",
    "METHODS",
    "STATUSES",
    "Refusal",
    "install_handlers",
    "methods_at",
    "problem",
    "problem_of",
    "reasons_of",
    "refusal_of",
    "status_of",
]

MEDIA_TYPE = "application/problem+json"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

STATUSES: tuple[tuple[type[LsrError], HTTPStatus], ...] = (
    (AccessError, HTTPStatus.FORBIDDEN),
    (ServiceError, HTTPStatus.SERVICE_UNAVAILABLE),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (ConflictError, HTTPStatus.CONFLICT),
    (InputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (IndexStateError, HTTPStatus.SERVICE_UNAVAILABLE),
    (UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
    (RetrieverError, HTTPStatus.SERVICE_UNAVAILABLE),
    (StorageError, HTTPStatus.INSUFFICIENT_STORAGE),
    (TaskCancelledError, HTTPStatus.CONFLICT),
    (OverloadedError, HTTPStatus.SERVICE_UNAVAILABLE),
    (LateError, HTTPStatus.GATEWAY_TIMEOUT),
    (LsrError, HTTPStatus.INTERNAL_SERVER_ERROR),
)
"""The first line whose class an error is of."""

_TITLES = {
    "unauthorized": "Key needed",
    "forbidden": "Not allowed",
    "not_found": "Not found",
    "method_not_allowed": "Method not allowed",
    "conflict": "Conflict",
    "already_exists": "Already there",
    "version_conflict": "Version conflict",
    "invalid_input": "Invalid request",
    "invalid_query": "Invalid search request",
    "invalid_data": "Invalid data",
    "invalid_request": "Invalid request",
    "timeout": "Out of time",
    "too_large": "Request too large",
    "unsupported_media_type": "Body of an unknown kind",
    "misdirected_host": "Unknown host",
    "too_many_requests": "Too many requests",
    "overloaded": "Overloaded",
    "not_ready": "Not ready",
    "index_unusable": "Collection unusable",
    "index_missing": "Collection missing",
    "index_version": "Collection of another version",
    "index_corrupt": "Collection damaged",
    "storage": "Storage refused",
    "task_cancelled": "Task cancelled",
    "unavailable": "Part not installed",
    "retriever_failed": "One side of the search failed",
    "model_failed": "Model failed",
    "unreachable": "Service unreachable",
    "internal": "Internal error",
}
_HTTP_CODES = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    421: "misdirected_host",
    429: "too_many_requests",
    503: "overloaded",
    504: "timeout",
}
_log = logging.getLogger(__name__)


class Refusal(HTTPException):
    """A request that is refused for a reason of the service's own, not of a collection's.

    Args:
        code: stable; programs may rely on it.
        detail: one or two sentences for people.
    """

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, headers)
        self.code = code

    def response(self, instance: str) -> Response:
        """The problem that it is."""
        return problem(
            self.status_code, self.code, self.detail, instance=instance, headers=self.headers
        )


def methods_at(app: FastAPI, scope: Scope) -> frozenset[str]:
    """The methods of a request's path: those of all routes with the template it matches first."""
    found: set[str] = set()
    template = None
    for method in METHODS:
        for route in app.routes:
            if route.matches({**scope, "method": method})[0] is not Match.NONE:
                template = template or getattr(route, "path", None)
                break
    for method in METHODS:
        matching = (
            route
            for route in app.routes
            if route.matches({**scope, "method": method})[0] is Match.FULL
        )
        if any(getattr(route, "path", None) == template for route in matching):
            found.add(method)
    return frozenset(found | {"HEAD"} if "GET" in found else found)


def status_of(error: LsrError) -> HTTPStatus:
    """The HTTP status of an error."""
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    instance: str,
    errors: Sequence[Mapping[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A response that says what is wrong.

    Args:
        code: stable; programs may rely on it.
        detail: one or two sentences for people.
        instance: the path that was asked for.
        errors: what is wrong where: `path` and `message`.
    """
    content: dict[str, Any] = {
        "type": f"urn:lsr:problem:{code}",
        "title": _TITLES.get(code, HTTPStatus(status).phrase),
        "status": int(status),
        "detail": detail,
        "code": code,
        "instance": instance,
    }
    if errors is not None:
        content["errors"] = errors
    return Response(_json(content), status, dict(headers or {}), MEDIA_TYPE)


def problem_of(error: LsrError, instance: str) -> Response:
    """The problem that an error of ours is."""
    status = status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s: %s", instance, error)
    return problem(status, error.code, str(error), instance=instance)


def install_handlers(app: FastAPI) -> None:
    """Make every error of an application a problem; unexpected ones are caught by middleware."""

    @app.exception_handler(LsrError)
    async def own(request: Request, error: LsrError) -> Response:
        return problem_of(error, request.url.path)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = reasons_of(error.errors())
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        detail = f"{first['path']}: {first['message']}{more}"
        return problem(422, "invalid_request", detail, instance=request.url.path, errors=errors)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        path, method = request.url.path, request.method
        if isinstance(error, Refusal):
            return error.response(path)
        status = error.status_code
        detail = str(error.detail)
        if status == HTTPStatus.NOT_FOUND:
            detail = f"there is nothing at {path}; the operations are listed at /docs"
        elif status == HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = ", ".join(sorted({*methods_at(request.app, request.scope), "OPTIONS"}))
            error.headers = {**(error.headers or {}), "Allow": allowed}
            detail = f"{path} does not take {method}; use {allowed}"
        elif status == HTTPStatus.BAD_REQUEST:  # FastAPI's word for a body it cannot decode
            status, detail = 422, "the body is not valid JSON in UTF-8"
            reason = [{"path": "body", "message": detail}]
            return problem(status, "invalid_request", detail, instance=path, errors=reason)
        code = _HTTP_CODES.get(status, "invalid_request" if status < 500 else "internal")
        return problem(status, code, detail, instance=path, headers=error.headers)


async def refusal_of(app: FastAPI, request: Request, error: Exception) -> Response:
    """The answer that an application's handlers make of an exception; raised when there is none."""
    handler = next(
        (found for kind in type(error).__mro__ if (found := app.exception_handlers.get(kind))), None
    )
    if handler is None:
        raise error
    said = handler(request, error)
    response: Response = await said if isinstance(said, Awaitable) else said
    return response


def reasons_of(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The errors of pydantic as `path` and `message`."""
    return [_reason(each) for each in errors]


def _reason(error: Mapping[str, Any]) -> dict[str, str]:
    place = [str(part) for part in error["loc"]]
    if error["type"] == "json_invalid":
        why = f"not valid JSON at character {place[-1]}: {error['ctx']['error'].lower()}"
        return {"path": "body", "message": why}
    if error["type"] == "extra_forbidden":
        message = "there is no such field; /docs lists those there are"
    elif error["type"] in ("model_attributes_type", "model_type", "dict_type"):
        message = "this must be a JSON object"
    elif error["type"] == "missing":
        message = "this is required"
    else:
        message = error["msg"][:1].lower() + error["msg"][1:]
    return {"path": ".".join(place), "message": message}


def _json(content: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(content)
    except TypeError:  # half a surrogate pair, repeated from the request
        clean = {
            key: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
            for key, value in content.items()
        }
        clean.pop("errors", None)
        return orjson.dumps(clean)
