"""`curl_command`: a search of the page as a command that asks the REST API for the same."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

__all__ = ["curl_command", "search_body"]

_NEXT_LINE = " \\\n     "


def search_body(
    text: str,
    where: Mapping[str, object],
    plan: Mapping[str, object],
    offset: int = 0,
    vector: Mapping[str, float] | None = None,
    sort: str = "",
) -> dict[str, Any]:
    """The body of a request for hits from `offset` on; what is as the default is left out."""
    body: dict[str, Any] = {"text": text}
    if vector is not None:
        body["vectors"] = {"sparse": dict(vector)}
    if where:
        body["filter"] = dict(where)
    if sort:
        body["sort"] = [sort]
    if offset:
        body["offset"] = offset
    return {**body, **plan}


def curl_command(base_url: str, collection: str, body: Mapping[str, object]) -> str:
    """A command for a POSIX shell, on three lines; nothing in the body can get out of its quotes.

    Letters are written as they are, except where one could not be seen.
    """
    plain = json.dumps(body, ensure_ascii=False)
    data = plain if plain.isprintable() else json.dumps(body)
    url = f"{base_url.rstrip('/')}/v1/collections/{collection}/search"
    parts = ("curl -s " + shlex.quote(url), "-H 'Content-Type: application/json'")
    return _NEXT_LINE.join([*parts, f"-d {shlex.quote(data)}"])
