"""What schemathesis is told of the service: names that exist, bodies, and one more check.

Loaded by schemathesis in an environment of its own, which has no lsr.
"""

from __future__ import annotations

import json
import random
from typing import Any

import schemathesis
from hypothesis import strategies as st

__all__ = ["before_call", "shape"]

_NAMES = {
    "collection": ("books", "notes", "current"),
    "doc_id": ("a", "b", "c/d"),
    "snapshot": ("monday",),
    "alias": ("current", "spare"),
}
_FREE = {"DELETE /v1/collections/{collection}", "PUT /v1/collections/{collection}"}
_SHARE = 0.7
_random = random.Random(0)

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
_documents = st.fixed_dictionaries(
    {"doc_id": st.text(max_size=20), "text": st.text(max_size=80)},
    optional={"metadata": st.dictionaries(st.text(max_size=8), _values), "if_version": _values},
)
_lines = st.one_of(
    _documents.map(lambda value: json.dumps(value).encode()),
    _values.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=40),
)
_ends = st.sampled_from([b"\n", b"\r\n", b""])


@st.composite
def _streams(draw: Any) -> bytes:
    lines: list[bytes] = draw(st.lists(_lines, max_size=8))
    end: bytes = draw(_ends)
    return end.join(lines) + end


schemathesis.openapi.media_type("application/x-ndjson", _streams())
schemathesis.openapi.media_type("application/x-tar", st.binary(max_size=2_048))


@schemathesis.serializer("application/x-ndjson", "application/x-tar")
def _plain(context: Any, value: Any) -> bytes:  # noqa: ARG001
    data: bytes = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
    return data


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:  # noqa: ARG001
    """Ask for what is there in most good requests: random names find nothing."""
    if not _is_good(case) or case.operation.label in _FREE:
        return
    for name, known in _NAMES.items():
        if name in (case.path_parameters or {}) and _random.random() < _SHARE:
            case.path_parameters[name] = _random.choice(known)


@schemathesis.check
def shape(ctx: Any, response: Any, case: Any) -> None:  # noqa: ARG001
    """A request that fits the description is refused for what it asks, never for its shape."""
    if not _is_good(case) or response.status_code != 422:
        return
    problem = response.json()
    if problem["code"] == "invalid_request":
        raise AssertionError(f"refused for its shape: {problem['detail']}")


def _is_good(case: Any) -> bool:
    return case.meta is not None and bool(case.meta.generation.mode.is_positive)
