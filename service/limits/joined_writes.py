"""`JoinedWrites`: a transport that gives the system what is written in one turn in one piece."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["JoinedWrites"]

_MOST_BYTES = 65_536


class JoinedWrites:
    """Stands before a transport, of which it has all other methods.

    The head of an answer and its body are two writes, and a call of the system costs more than a
    copy of them. More than 64 KiB is never held, so that who writes is told to pause as before.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._n_held = 0
        self.is_closing = transport.is_closing
        self.get_extra_info = transport.get_extra_info

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send bytes at the end of this turn of the loop, or now where they are many."""
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(data)
        self._n_held += len(data)
        if self._n_held > _MOST_BYTES:
            self._send()

    def get_write_buffer_size(self) -> int:
        """Bytes that are not sent yet."""
        return self._n_held + self._transport.get_write_buffer_size()

    def close(self) -> None:
        """Close, once what was written is sent."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        held, self._held, self._n_held = self._held, [], 0
        if held and not self.is_closing():
            self._transport.write(b"".join(held))
