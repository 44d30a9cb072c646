"""`RateLimit`: requests of a key in a moving window."""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque

from lsr.service.problems import Refusal

__all__ = ["RateLimit"]

_MOST_NAMES = 10_000


class RateLimit:
    """At most so many requests in any minute; used on the event loop alone.

    Args:
        per_minute: 0 for no limit.
    """

    def __init__(self, per_minute: int) -> None:
        self._most = per_minute
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, name: str, now: float | None = None) -> None:
        """Count a request of a name: a key's, or a client's address.

        Raises:
            Refusal: 429, with the seconds to wait.
        """
        if not self._most:
            return
        now = time.monotonic() if now is None else now
        times = self._times.setdefault(name, deque())
        self._times.move_to_end(name)
        if len(self._times) > _MOST_NAMES:
            self._times.popitem(last=False)
        while times and times[0] <= now - 60:
            times.popleft()
        if len(times) >= self._most:
            wait = max(1, math.ceil(times[0] + 60 - now))
            raise Refusal(
                429,
                "too_many_requests",
                f"more than {self._most:,} requests in a minute; wait {wait} seconds",
                {"Retry-After": str(wait), "RateLimit-Limit": str(self._most)},
            )
        times.append(now)
