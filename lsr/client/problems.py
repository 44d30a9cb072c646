"""Errors rebuilt from the problems that a service answers with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lsr.client.call import RawAnswer
from lsr.errors import (
    AccessError,
    DataError,
    InputError,
    LsrError,
    NotFoundError,
    OverloadedError,
    ServiceError,
)

__all__ = ["error_of", "problem_error", "problem_of"]

_OTHERS: dict[str, type[LsrError]] = {
    "unauthorized": AccessError,
    "forbidden": AccessError,
    "misdirected_host": AccessError,
    "too_many_requests": OverloadedError,
    "overloaded": OverloadedError,
    "not_ready": OverloadedError,
    "timeout": OverloadedError,
    "internal": ServiceError,
}
"""Codes that are not those of a class."""


def error_of(answer: RawAnswer) -> LsrError:
    """The error that an answer of status 400 or more stands for, its request's id in its text."""
    problem = problem_of(answer)
    if problem is None:
        kind = _by_status(answer.status)
        return kind(
            f"the answer has status {answer.status} and no reason; is there an lsr service at this "
            f"address?{_request(answer)}"
        )
    return problem_error(problem, answer.status, _request(answer))


def problem_error(problem: Mapping[str, Any], status: int, suffix: str = "") -> LsrError:
    """The error of a problem; `problem` is kept with it."""
    code = str(problem.get("code", ""))
    kind = _OTHERS.get(code) or _CLASSES.get(code) or _by_status(status)
    error = kind(f"{problem.get('detail') or problem.get('title') or code}{suffix}")
    error.problem = problem
    return error


def problem_of(answer: RawAnswer) -> Mapping[str, Any] | None:
    """The problem that an answer holds, or None."""
    if "json" not in answer.headers.get("content-type", ""):
        return None
    try:
        problem = json.loads(answer.body)
    except ValueError:
        return None
    return problem if isinstance(problem, dict) and "detail" in problem else None


def _request(answer: RawAnswer) -> str:
    request_id = answer.headers.get("x-request-id", "")
    return f" (request {request_id})" if request_id else ""


def _by_status(status: int) -> type[LsrError]:
    if status in (401, 403):
        return AccessError
    if status == 404:
        return NotFoundError
    if status in (429, 503):
        return OverloadedError
    return InputError if status < 500 else ServiceError


def _classes(root: type[LsrError]) -> Iterator[type[LsrError]]:
    yield root
    for child in root.__subclasses__():
        yield from _classes(child)


_CLASSES = {
    kind.code: InputError if kind is DataError else kind
    for kind in _classes(LsrError)
    if kind is not LsrError
}
