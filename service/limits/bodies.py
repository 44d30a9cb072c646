"""Request bodies: what each route takes, and how large."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import Message, Receive

from lsr.service.problems import Refusal

__all__ = ["BodyRules", "drained", "has_body", "too_large", "whole"]

_JSON = "application/json"
_LINES = "application/x-ndjson"
_MEDIA: dict[str, tuple[str, ...]] = {
    "json": (_JSON,),
    "bulk": (_JSON, _LINES),
    "tar": ("application/x-tar",),
    "form": ("application/x-www-form-urlencoded",),
}
_FORM_BYTES = 16_384
_DRAINED_BYTES = 1 << 20
_DRAIN_SECONDS = 1.0


@dataclass(frozen=True)
class BodyRules:
    """Sizes in bytes: of a body, and of a body that brings many documents as one JSON."""

    most: int
    most_in_bulk: int

    def check(self, body: str, headers: Mapping[str, str], method: str, path: str) -> int | None:
        """Refuse a body by its headers.

        Args:
            body: of the route's rule.
            headers: by name in lower case.

        Returns:
            The most bytes that may come; None for a stream without end.

        Raises:
            Refusal: 413 or 415.
        """
        limit = self._limit(body, _media_type(headers))
        allowed = _MEDIA.get(body)
        if allowed is not None:
            _check_media(allowed, headers, f"{method} {path}")
        length = headers.get("content-length", "")
        if limit is not None and length.isdecimal() and int(length) > limit:
            raise too_large(limit)
        return limit

    def _limit(self, body: str, media: str) -> int | None:
        if body == "tar" or (body == "bulk" and media == _LINES):
            return None
        if body == "form":
            return _FORM_BYTES
        return self.most_in_bulk if body == "bulk" else self.most

    def counted(self, receive: Receive, limit: int) -> Receive:
        """`receive`, refusing with 413 what goes beyond the limit without having said so."""
        n_bytes = 0

        async def receiving() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > limit:
                raise too_large(limit)
            return message

        return receiving


async def whole(receive: Receive) -> Receive | None:
    """Read a body to its end, before anything is spent on its request.

    Returns:
        What gives it once more; None when the client left.

    Raises:
        Refusal: as `receive` does.
    """
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    is_given = False

    async def again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": b"".join(parts), "more_body": False}

    return again


def has_body(headers: Mapping[str, str]) -> bool:
    """Whether a request brings a body."""
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


async def drained(receive: Receive) -> bool:
    """Read the rest of a body that nobody wants, if it comes soon and is not long.

    A connection that is closed with bytes unread takes the answer with it.

    Returns:
        Whether all of it was read.
    """
    n_bytes = 0
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while n_bytes <= _DRAINED_BYTES:
                message = await receive()
                n_bytes += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return True
    except TimeoutError:
        pass
    return False


def too_large(limit: int) -> Refusal:
    """The answer to a body above a limit."""
    detail = f"the body is above {limit:,} bytes; send less at once"
    return Refusal(413, "too_large", detail, {"Connection": "close"})


def _media_type(headers: Mapping[str, str]) -> str:
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media in ("application/ndjson", "application/jsonl", "application/x-jsonlines"):
        return _LINES
    return _JSON if media.startswith("application/") and media.endswith("+json") else media


def _check_media(allowed: tuple[str, ...], headers: Mapping[str, str], where: str) -> None:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise Refusal(
            415,
            "unsupported_media_type",
            f"the body is encoded as {encoding[:64]!r}; send it without Content-Encoding",
            {"Accept-Encoding": "identity"},
        )
    media = _media_type(headers)
    if media not in allowed:
        said = f"is {media[:64]!r}" if media else "is not said"
        names = " or ".join(allowed)
        raise Refusal(
            415,
            "unsupported_media_type",
            f"the type of the body {said} and {where} takes {names}; send the header "
            f"Content-Type: {allowed[0]}",
            {"Accept": ", ".join(allowed)},
        )
