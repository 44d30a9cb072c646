"""`Retry`: when a request is sent again, and after which wait."""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from lsr.client.call import Call, Pause, RawAnswer
from lsr.client.problems import error_of, problem_of
from lsr.errors import InputError, LsrError, ServiceError

__all__ = ["Failure", "Retry", "exchange"]

T = TypeVar("T")

_PASSING = ("overloaded", "not_ready", "retriever_failed", "too_many_requests")
"""Codes of problems that the same request may not meet again."""


@dataclass(frozen=True)
class Retry:
    """Rule of how often, and after which waits, a request is sent again.

    The wait before attempt `n` is drawn evenly from 0 to `first_seconds` times 2 to the power of
    `n`, `most_seconds` at most, and is no shorter than what the service asks for.

    Attributes:
        attempts: times that a request is sent at most.
        patience_seconds: a service that asks for a longer wait than this is not waited for.
    """

    attempts: int = 4
    first_seconds: float = 0.1
    most_seconds: float = 5.0
    patience_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.first_seconds, self.most_seconds) < 0:
            raise InputError(f"{self} cannot be: give 1 attempt or more, and no negative seconds")

    def wait(self, attempt: int, asked: float | None, chance: float) -> float:
        """Seconds before the attempt after attempt `attempt`, which is counted from 0.

        Args:
            asked: what the service asks for, or None.
            chance: from 0 to 1, drawn at random.
        """
        drawn = chance * min(self.most_seconds, self.first_seconds * 2.0**attempt)
        return max(drawn, asked or 0.0)


@dataclass(frozen=True)
class Failure:
    """No answer came.

    Attributes:
        reached: whether the service may have read the request.
        passing: whether trying again makes sense.
    """

    error: ServiceError
    reached: bool
    passing: bool


def exchange(call: Call[T], retry: Retry) -> Generator[Pause | None, RawAnswer | Failure | None, T]:
    """Attempts at a request. Yields None to have it sent, or a pause; ends with its result.

    Raises:
        LsrError: the problem that the service answered with at last, or why no answer came.
    """
    attempt = 0
    while True:
        outcome = yield None
        asked: float | None = None
        error: LsrError
        if isinstance(outcome, Failure):
            error, again = (
                outcome.error,
                outcome.passing and (call.repeatable or not outcome.reached),
            )
        else:
            assert outcome is not None
            if outcome.status < 300:
                return call.read(outcome)
            error = error_of(outcome)
            asked = _asked_wait(outcome)
            again = _may_repeat(call, outcome, asked)
        attempt += 1
        if not again or attempt >= retry.attempts or (asked or 0) > retry.patience_seconds:
            raise error
        yield Pause(retry.wait(attempt - 1, asked, random.random()))


def _may_repeat(call: Call[T], answer: RawAnswer, asked: float | None) -> bool:
    """Whether a request that was answered so may be sent again, and may fare better."""
    if answer.status == 429:
        return True  # it was refused before anything was done
    if answer.status not in (502, 503) or not call.repeatable:
        return False
    problem = problem_of(answer)
    return asked is not None or problem is None or problem.get("code") in _PASSING


def _asked_wait(answer: RawAnswer) -> float | None:
    """Seconds of `Retry-After`, a number or a date; None without."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, IndexError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
