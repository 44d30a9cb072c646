"""What schemathesis is told of the service: names that exist, and one more check.

Loaded by schemathesis in an environment of its own, from `bench.service.fuzz`.
"""

from __future__ import annotations

import random
from typing import Any

import schemathesis

__all__ = ["before_call", "what_the_schema_says_is_taken"]

_NAMES = {
    "collection": ("books", "notes", "current"),
    "doc_id": ("a", "b", "c/d"),
    "snapshot": ("monday",),
    "alias": ("current", "spare"),
}
_KEPT = {"DELETE /v1/collections/{collection}", "PUT /v1/collections/{collection}"}
_SHARE = 0.7
_random = random.Random(0)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:  # noqa: ARG001
    """Ask for what is there in most good requests: random names find nothing."""
    if not case.meta.generation.mode.is_positive or case.operation.label in _KEPT:
        return
    for name, known in _NAMES.items():
        if name in (case.path_parameters or {}) and _random.random() < _SHARE:
            case.path_parameters[name] = _random.choice(known)


@schemathesis.check
def what_the_schema_says_is_taken(ctx: Any, response: Any, case: Any) -> None:  # noqa: ARG001
    """A request that fits the schema may be refused for what it asks, never for its shape."""
    if not case.meta.generation.mode.is_positive or response.status_code != 422:
        return
    problem = response.json()
    if problem["code"] == "invalid_request":
        raise AssertionError(f"refused for its shape: {problem['detail']}")
