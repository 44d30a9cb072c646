"""`Admission`: how many requests of each kind run at once, and how long others wait."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Mapping

from lsr.service.limits.deadline import Deadline
from lsr.service.problems import Refusal

__all__ = ["Admission", "Gate", "overloaded"]

_REFUSED_AFTER_SECONDS = 0.05, 0.15
"""What is too much is told after a time between these: clients that ask again at once would ask
thousands of times a second, all together, and refusing would keep others waiting."""


class Gate:
    """Lets so many in, has a few wait for a moment, and refuses the others.

    Used on the event loop alone. First come, first served.

    Args:
        running: most that run at once.
        waiting: most that wait.
        seconds: longest wait.
    """

    def __init__(self, running: int, waiting: int, seconds: float) -> None:
        self._free = running
        self._most_waiting = waiting
        self._seconds = seconds
        self._queue: deque[asyncio.Future[bool]] = deque()

    async def enter(self, deadline: Deadline) -> bool:
        """Come in, at once or after a wait; call `leave` afterwards.

        Returns:
            Whether it is in; False when the client left while it waited.

        Raises:
            Refusal: 503, with `Retry-After`.
        """
        if self._free > 0:
            self._free -= 1
            return True
        if len(self._queue) >= self._most_waiting:
            await asyncio.sleep(random.uniform(*_REFUSED_AFTER_SECONDS))
            raise overloaded()
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        deadline.when_cancelled(lambda: _settle(place, False))
        try:
            async with asyncio.timeout(min(self._seconds, deadline.remaining())):
                return await place
        except (TimeoutError, asyncio.CancelledError) as gone:
            if place.done() and not place.cancelled() and place.result():
                self.leave()
            if isinstance(gone, TimeoutError):
                raise overloaded() from None
            raise
        finally:
            deadline.when_cancelled(None)
            if place in self._queue:
                self._queue.remove(place)

    def leave(self) -> None:
        """Make room for the next one."""
        while self._queue:
            place = self._queue.popleft()
            if _settle(place, True):
                return
        self._free += 1


def _settle(place: asyncio.Future[bool], value: bool) -> bool:
    if place.done():
        return False
    place.set_result(value)
    return True


class Admission:
    """A gate for each kind of request; a kind without one is always let in."""

    def __init__(self, gates: Mapping[str, Gate]) -> None:
        self._gates = dict(gates)

    def gate(self, kind: str) -> Gate | None:
        """The gate of a kind, if it has one."""
        return self._gates.get(kind)


def overloaded() -> Refusal:
    """The answer of a service that has enough to do."""
    detail = "the service has as many requests as it can answer; try again in a second"
    return Refusal(503, "overloaded", detail, {"Retry-After": "1"})
