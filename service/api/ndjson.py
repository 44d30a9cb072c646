"""A stream of JSON lines in, a stream of status lines out, both at the same time."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from lsr.errors import InputError, LsrError
from lsr.service.api.bodies import NDJSON
from lsr.service.collections.bulk import Bulk, Outcome
from lsr.service.collections.documents import read_json

__all__ = ["Lines", "NdjsonAnswer"]

_BATCH_LINES = 1_000
_BATCH_BYTES = 8 << 20
_IDLE_SECONDS = 0.1
"""Lines are written when no more came for so long."""

_SMALL_BYTES = 8 << 20
"""A body that is known to be smaller is read to its end before the answer begins."""

_SPOOL_BYTES = 1 << 20
_PART_BYTES = 1 << 16

Line = tuple[int, bytes | InputError]


class Lines:
    """Lines of bytes that come in parts, numbered from 1; blank ones are left out.

    Args:
        longest: most bytes of a line; a longer one is an InputError in its place.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._number = 0
        self._rest = bytearray()
        self._is_skipping = False

    def of(self, data: bytes) -> Iterator[Line]:
        """The lines that end in the next part."""
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._take(data[start:end])
            start = end + 1
            yield from self._line()
        self._take(data[start:])

    def last(self) -> Iterator[Line]:
        """The last line, where no newline ends it."""
        if self._rest or self._is_skipping:
            yield from self._line()

    def _take(self, data: bytes) -> None:
        if len(self._rest) + len(data) > self._longest + 1:
            self._is_skipping = True
            self._rest.clear()
        if not self._is_skipping:
            self._rest += data

    def _line(self) -> Iterator[Line]:
        self._number += 1
        line = bytes(self._rest).removesuffix(b"\r")
        if self._number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        too_long = self._is_skipping or len(line) > self._longest
        self._rest.clear()
        self._is_skipping = False
        if too_long:
            yield self._number, InputError(f"the line is longer than {self._longest:,} bytes")
        elif line.strip():
            yield self._number, line


class NdjsonAnswer(Response):
    """Writes the lines of a request's body, and answers a line for each.

    Writing does not wait for the client to read: status lines that it has not read yet lie in a
    temporary file. The status is 207 when a line has failed before the answer begins, which for
    bodies of known length below 8 MB is at their end, for others after the first batch; the last
    line, a summary, counts all of them.

    Args:
        longest: most bytes of a line.
        idempotency_key: a name for the request; its batches are numbered below it.
        wait_seconds: how long to wait at the end until all of it is searchable; 0 for not at all.
    """

    media_type = NDJSON

    def __init__(
        self,
        request: Request,
        bulk: Bulk,
        *,
        longest: int,
        idempotency_key: str | None = None,
        wait_seconds: float = 0,
    ) -> None:
        super().__init__()
        length = request.headers.get("content-length", "")
        self._is_small = length.isdecimal() and int(length) <= _SMALL_BYTES
        self._bulk = bulk
        self._lines = Lines(longest)
        self._key = idempotency_key
        self._wait_seconds = wait_seconds
        self._batch: list[Line] = []
        self._batch_bytes = 0
        self._n_batches = 0
        self._has_news = asyncio.Event()
        self._is_over = False

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as self._spool:
            self._n_spooled = self._n_sent = 0
            reading = asyncio.create_task(self._read(receive))
            try:
                await self._begin(reading, send)
                await self._pass_on(send)
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _begin(self, reading: asyncio.Task[None], send: Send) -> None:
        """Send the head, when something is known. Raises what went wrong before."""
        while not self._is_over and (self._is_small or self._n_spooled == 0):
            self._has_news.clear()
            if reading.done():
                break
            await self._has_news.wait()
        if reading.done() and self._n_spooled == 0:
            reading.result()
        status = 207 if self._bulk.n_failed else 200
        headers = [(b"content-type", NDJSON.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})

    async def _pass_on(self, send: Send) -> None:
        while True:
            self._has_news.clear()
            while self._n_sent < self._n_spooled:
                self._spool.seek(self._n_sent)
                part = self._spool.read(_PART_BYTES)
                self._n_sent += len(part)
                await send({"type": "http.response.body", "body": part, "more_body": True})
            if self._is_over and self._n_sent == self._n_spooled:
                break
            await self._has_news.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _read(self, receive: Receive) -> None:
        try:
            await self._write_all(receive)
        except LsrError as error:
            if self._n_spooled == 0:
                raise
            self._spooled({**self._summary(), "error": str(error), "code": error.code})
        finally:
            self._is_over = True
            self._has_news.set()

    async def _write_all(self, receive: Receive) -> None:
        more = True
        while more:
            message = await self._next(receive)
            if message["type"] == "http.disconnect":
                return
            for line in self._lines.of(message.get("body", b"")):
                await self._add(line)
            more = message.get("more_body", False)
        for line in self._lines.last():
            await self._add(line)
        await self._write()
        summary = self._summary()
        if self._wait_seconds:
            live = await run_in_threadpool(self._bulk.catalog.live, self._bulk.name)
            summary["searchable"] = await run_in_threadpool(
                live.wait_searchable, self._bulk.seq, self._wait_seconds
            )
        self._spooled(summary)

    async def _next(self, receive: Receive) -> Message:
        """The next part of the body; what waits is written when none comes for a while."""
        coming = asyncio.ensure_future(receive())
        try:
            if self._batch and self._key is None:
                await asyncio.wait({coming}, timeout=_IDLE_SECONDS)
                if not coming.done():
                    await self._write()
            return await coming
        finally:
            coming.cancel()

    async def _add(self, line: Line) -> None:
        self._batch.append(line)
        self._batch_bytes += len(line[1]) if isinstance(line[1], bytes) else 0
        if len(self._batch) >= _BATCH_LINES or self._batch_bytes >= _BATCH_BYTES:
            await self._write()

    async def _write(self) -> None:
        if not self._batch:
            return
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        key = None if self._key is None else f"{self._key}/{self._n_batches}"
        self._n_batches += 1
        for outcome in await run_in_threadpool(self._bulk.write, map(_value, batch), key):
            self._spool_outcome(outcome)
        self._has_news.set()

    def _spool_outcome(self, outcome: Outcome) -> None:
        said = asdict(outcome)
        if outcome.error is None:
            del said["error"]
        self._spooled(said)

    def _spooled(self, said: dict[str, Any]) -> None:
        line = orjson.dumps(said) + b"\n"
        self._spool.seek(self._n_spooled)
        self._spool.write(line)
        self._n_spooled += len(line)

    def _summary(self) -> dict[str, Any]:
        bulk = self._bulk
        return {"n_written": bulk.n_written, "n_failed": bulk.n_failed, "seq": bulk.seq}


def _value(line: Line) -> tuple[int, object]:
    number, data = line
    if isinstance(data, InputError):
        return number, data
    try:
        return number, read_json(data)
    except InputError as error:
        return number, error
