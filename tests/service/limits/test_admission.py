"""Gates, rates and deadlines by themselves."""

from __future__ import annotations

import asyncio

import pytest

from lsr.service.limits import admission
from lsr.service.limits.admission import Gate
from lsr.service.limits.deadline import Deadline
from lsr.service.limits.rate_limit import RateLimit
from lsr.service.problems import Refusal


def test_a_gate_lets_some_in_has_a_few_wait_and_refuses_the_others() -> None:
    async def course() -> None:
        gate = Gate(running=1, waiting=1, seconds=60)
        assert await gate.enter(Deadline())
        second = asyncio.create_task(gate.enter(Deadline()))
        await asyncio.sleep(0)
        with pytest.raises(Refusal) as refused:
            await gate.enter(Deadline())
        assert (refused.value.status_code, refused.value.code) == (503, "overloaded")
        assert refused.value.headers == {"Retry-After": "1"}
        gate.leave()
        assert await second
        gate.leave()
        assert await gate.enter(Deadline())

    asyncio.run(course())


def test_a_refusal_is_not_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks again as soon as it is refused must not fill the event loop."""

    async def course() -> None:
        monkeypatch.setattr(admission, "_REFUSED_AFTER_SECONDS", (1e6, 1e6))
        gate = Gate(running=1, waiting=0, seconds=60)
        assert await gate.enter(Deadline())
        refused = asyncio.create_task(gate.enter(Deadline()))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not refused.done()
        refused.cancel()

    asyncio.run(course())


def test_a_wait_ends_by_time_by_the_client_and_by_cancelling() -> None:
    async def course() -> None:
        gate = Gate(running=1, waiting=10, seconds=0.01)
        assert await gate.enter(Deadline())
        with pytest.raises(Refusal, match="try again"):
            await gate.enter(Deadline())
        left = Deadline()
        gate = Gate(running=1, waiting=10, seconds=60)
        assert await gate.enter(Deadline())
        waiting = asyncio.create_task(gate.enter(left))
        stopped = asyncio.create_task(gate.enter(Deadline()))
        await asyncio.sleep(0)
        left.cancel()
        stopped.cancel()
        assert not await waiting
        with pytest.raises(asyncio.CancelledError):
            await stopped
        gate.leave()
        assert await gate.enter(Deadline())  # the place was not lost to those who left

    asyncio.run(course())


def test_a_place_given_to_one_who_is_cancelled_is_given_on() -> None:
    async def course() -> None:
        gate = Gate(running=1, waiting=10, seconds=60)
        assert await gate.enter(Deadline())
        stopped = asyncio.create_task(gate.enter(Deadline()))
        await asyncio.sleep(0)
        gate.leave()
        stopped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopped
        assert await asyncio.wait_for(gate.enter(Deadline()), 5)

    asyncio.run(course())


def test_a_rate_is_of_a_moving_minute() -> None:
    rate = RateLimit(2)
    rate.check("a", now=0.0)
    rate.check("a", now=30.0)
    rate.check("b", now=30.0)
    with pytest.raises(Refusal) as refused:
        rate.check("a", now=59.0)
    assert (refused.value.status_code, refused.value.code) == (429, "too_many_requests")
    assert (refused.value.headers or {})["Retry-After"] == "1"
    rate.check("a", now=60.5)
    with pytest.raises(Refusal):
        rate.check("a", now=61.0)
    for _ in range(1_000):
        RateLimit(0).check("a")


def test_a_deadline() -> None:
    deadline = Deadline()
    assert deadline.remaining() == float("inf")
    deadline.check()
    deadline.shorten(60)
    assert 0 < deadline.remaining() <= 60
    deadline.shorten(600)
    assert deadline.remaining() <= 60
    deadline.cancel()
    with pytest.raises(Refusal) as left:
        deadline.check()
    assert left.value.code == "timeout"
    with pytest.raises(Refusal, match="time for this request is over"):
        Deadline(0).check()
