"""Writes of one turn of the loop: sent together, in order, within a bound, and before the end."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from lsr.service.limits.joined_writes import JoinedWrites


class Recorder:
    """A transport that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[bytes | str] = []
        self.closed = False

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.told.append(data)

    def get_write_buffer_size(self) -> int:
        return 7

    def close(self) -> None:
        self.closed = True
        self.told.append("closed")

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.told.append("paused")


def _joined(transport: Recorder) -> JoinedWrites:
    return JoinedWrites(cast(asyncio.Transport, transport), asyncio.get_running_loop())


def test_what_is_written_in_one_turn_is_sent_together() -> None:
    async def write() -> list[Any]:
        joined = _joined(transport := Recorder())
        joined.write(b"head ")
        joined.write(b"body")
        assert transport.told == []
        assert joined.get_write_buffer_size() == 7 + 9
        await asyncio.sleep(0)
        assert joined.get_write_buffer_size() == 7
        joined.write(b"more")
        await asyncio.sleep(0)
        return transport.told

    assert asyncio.run(write()) == [b"head body", b"more"]


def test_much_is_not_held() -> None:
    async def write() -> list[Any]:
        joined = _joined(transport := Recorder())
        joined.write(b"head ")
        joined.write(b"x" * 65_536)
        assert transport.told == [b"head " + b"x" * 65_536]
        joined.write(b"end")
        await asyncio.sleep(0)
        return transport.told[1:]

    assert asyncio.run(write()) == [b"end"]


def test_what_was_written_is_sent_before_the_end_and_nothing_after_it() -> None:
    async def write() -> list[Any]:
        joined = _joined(transport := Recorder())
        joined.write(b"last")
        joined.close()
        joined.write(b"too late")
        await asyncio.sleep(0)
        gone = _joined(aborted := Recorder())
        gone.write(b"lost")
        gone.abort()
        await asyncio.sleep(0)
        assert aborted.told == []
        return transport.told

    assert asyncio.run(write()) == [b"last", "closed"]


def test_all_else_is_the_transports_own() -> None:
    async def ask() -> list[Any]:
        joined = _joined(transport := Recorder())
        assert joined.get_extra_info("peername") == "the peername"
        joined.pause_reading()
        return transport.told

    assert asyncio.run(ask()) == ["paused"]
