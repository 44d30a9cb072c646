"""Parameters in the query of a request: what a route does not have is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError

__all__ = ["known_query", "refuse_unknown"]


async def known_query(request: Request) -> None:
    """Dependency of routes: `refuse_unknown` of what they have."""
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    refuse_unknown(request.scope["query_string"], known)


def refuse_unknown(query: bytes, known: Container[str] = ()) -> None:
    """Refuse parameters that are not `known`, or given twice. Raises RequestValidationError."""
    if not query:
        return
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    found = Counter(name for name, _ in pairs)
    reasons = [
        {"type": "extra_forbidden", "loc": ("query", name[:64])}
        if name not in known
        else {"type": "value_error", "loc": ("query", name), "msg": "give it once"}
        for name, count in found.items()
        if name not in known or count > 1
    ]
    if reasons:
        raise RequestValidationError(reasons[:10])
