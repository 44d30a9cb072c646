"""`Deadline`: until when a request may work, and whether anybody still waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.types import Scope

from lsr.service.problems import Refusal

__all__ = ["Deadline", "deadline_of"]


class Deadline:
    """The end of a request's time; at `scope["state"]["deadline"]`. May be asked by any thread.

    Args:
        seconds: from now on; None for no end.
    """

    __slots__ = ("_end", "_when_cancelled", "cancelled")

    def __init__(self, seconds: float | None = None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self._when_cancelled: Callable[[], object] | None = None
        self.cancelled = False
        """Whether the client has left, so that all further work is for nobody."""

    def remaining(self) -> float:
        """Seconds that are left, 0 when the time is over; infinite without an end."""
        return float("inf") if self._end is None else max(0.0, self._end - time.monotonic())

    def shorten(self, seconds: float) -> None:
        """Let it end in so many seconds, if it would end later."""
        end = time.monotonic() + seconds
        self._end = end if self._end is None else min(self._end, end)

    def cancel(self) -> None:
        """Note that the client has left. Called on the event loop."""
        self.cancelled = True
        if self._when_cancelled is not None:
            self._when_cancelled()

    def when_cancelled(self, call: Callable[[], object] | None) -> None:
        """Have one function called on the event loop when the client leaves; None for none."""
        self._when_cancelled = call

    def check(self) -> None:
        """Go on, or not: for the places between two stages.

        Raises:
            Refusal: 504, the time is over or the client has left.
        """
        if self.cancelled:
            raise Refusal(504, "timeout", "the client has left before the answer was ready")
        if self._end is not None and time.monotonic() >= self._end:
            detail = "the time for this request is over; ask for less, or raise timeout_ms"
            raise Refusal(504, "timeout", detail)


def deadline_of(scope: Scope) -> Deadline:
    """The deadline of a request; one without end where no guard stands in front."""
    deadline = scope.get("state", {}).get("deadline")
    return deadline if isinstance(deadline, Deadline) else Deadline()
