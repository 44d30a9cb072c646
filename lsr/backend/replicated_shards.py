"""`ReplicatedShards`: every shard in copies on several machines, any of which may be lost.

All shards are asked at once, each by one copy. A copy that is late is not waited for alone: another
is asked too (a hedge), and the late one is a suspect, asked last until it answers a ping. A shard
whose copies are all lost fails at once, so that what the others find is not held up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, product
from typing import Any, NamedTuple, Protocol

from lsr.backend.shard import Called
from lsr.errors import IndexStateError, InputError, LsrError, QueryError, ServiceError, StorageError
from lsr.options import check_options, option

__all__ = ["Copies", "Patience", "ReplicatedShards"]

LOST = (ServiceError, IndexStateError, StorageError, OSError)
"""Errors of a copy, not of what it was asked."""


@dataclass(frozen=True)
class Patience:
    """Milliseconds that copies of a shard are waited for.

    Attributes:
        hedge_ms: until another copy is asked too.
        lost_ms: until a late copy that does not answer a ping either is taken for lost.
        deadline_ms: until a shard is given up, and between two pings of a lost copy at most.
        start_ms: until one copy of every shard is open.
        others_ms: from then on, until the other copies are.
    """

    hedge_ms: float = option(250.0, "until another copy is asked too", low=1.0, high=1e6)
    lost_ms: float = option(1_000.0, "until a late copy is taken for lost", low=1.0, high=1e6)
    deadline_ms: float = option(10_000.0, "until a shard is given up", low=1.0, high=1e6)
    start_ms: float = option(120_000.0, "until a copy of each is open", low=1.0, high=1e9)
    others_ms: float = option(10_000.0, "until the other copies are open", low=0.0, high=1e9)

    def __post_init__(self) -> None:
        check_options(self, error=InputError)


class Copies(Protocol):
    """The way to copies of shards: what is asked is answered later."""

    @property
    def n_shards(self) -> int: ...

    @property
    def n_copies(self) -> int:
        """Copies of each shard."""
        ...

    def host(self, shard: int, copy: int) -> Hashable:
        """The machine that a copy was started on: if it is late there, others may be."""
        ...

    def ask(self, shard: int, copy: int, method: str, given: Sequence[Any]) -> Hashable:
        """Ask for a method of `Shard`, or `ping`, which a copy answers while it works."""
        ...

    def ready(self, asked: Sequence[Any], n: int, seconds: float) -> Sequence[Any]:
        """Those that are answered, `n` at most, as soon as there are as many or time is over."""
        ...

    def take(self, asked: Any) -> Any:
        """An answer that is ready. Raises what the copy raised, or ServiceError without it."""
        ...

    def close(self) -> None: ...


class _Copy(NamedTuple):
    shard: int
    copy: int


@dataclass
class _Suspect:
    """A copy that was late or failed.

    Attributes:
        ping: on its way, since when; None between two.
        again: when the next is sent.
        error: what it failed by; None while it is only late.
    """

    ping: Hashable | None
    since: float
    again: float = 0.0
    error: Exception | None = None


class ReplicatedShards:
    """Shards in copies, behind the interface of `Shards`. Threads may share it.

    Args:
        copies: of all shards.
        patience: with them.
        clock: seconds.

    Raises:
        LsrError: no copy of a shard opens; what the first said.
    """

    def __init__(
        self,
        copies: Copies,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.copies = copies
        self.patience = patience or Patience()
        self.clock = clock
        self._lock = threading.Lock()
        self._turns = count()
        self._suspects: dict[_Copy, _Suspect] = {}
        self.hedged = 0
        """Calls that another copy was asked for, so far."""
        self._neighbours: dict[Hashable, list[_Copy]] = {}
        for each in self._all():
            self._neighbours.setdefault(copies.host(*each), []).append(each)
        self._start()

    @property
    def n(self) -> int:
        """See `Shards`."""
        return self.copies.n_shards

    def _start(self) -> None:
        """Wait until a copy of every shard is open, and a little for the others."""
        shards = range(self.n)
        for each in self._all():
            self.suspect(each)
        end, has_all = self.clock() + self.patience.start_ms / 1e3, False
        while all(map(self._may_open, shards)) and (now := self.clock()) < end:
            pings = [each.ping for each in self._suspects.values() if each.ping is not None]
            if not pings:
                break
            self.copies.ready(pings, 1, end - now)
            self._hear()
            if not has_all and all(map(self._has_sound_copy, shards)):
                has_all, end = True, self.clock() + self.patience.others_ms / 1e3
        closed = [shard for shard in shards if not self._has_sound_copy(shard)]
        if closed:
            self.close()
            for error in filter(None, map(self._error, closed)):
                raise error
            raise ServiceError(
                f"no copy of shard {closed[0]} was open in {self.patience.start_ms / 1e3:g} s; "
                "see whether the nodes have room for it"
            )

    def _all(self) -> list[_Copy]:
        return [_Copy(*each) for each in product(range(self.n), range(self._n_copies))]

    def _has_sound_copy(self, shard: int) -> bool:
        return any(_Copy(shard, copy) not in self._suspects for copy in range(self._n_copies))

    def _may_open(self, shard: int) -> bool:
        """Whether a copy is open, or may be yet."""
        pings = [each.ping for copy, each in self._suspects.items() if copy.shard == shard]
        return self._has_sound_copy(shard) or any(ping is not None for ping in pings)

    @property
    def _n_copies(self) -> int:
        return self.copies.n_copies

    def call(self, method: str, arguments: Mapping[int, Sequence[Any]]) -> Called:
        """See `Shards`. A failure is that of the copy that was asked last."""
        if self._suspects:
            self._look(arguments)
        return _Call(self, method, arguments, next(self._turns)).called()

    def order(self, shard: int, turn: int = 0) -> list[_Copy]:
        """Copies of a shard as they are asked: in turn, the late ones last, the lost ones not."""
        n = self._n_copies
        copies = [_Copy(shard, (turn + place) % n) for place in range(n)]
        if not self._suspects:
            return copies
        with self._lock:
            suspects = {copy: self._suspects.get(copy) for copy in copies}
        late = [copy for copy, each in suspects.items() if each is not None and each.error is None]
        return [copy for copy, each in suspects.items() if each is None] + late

    def suspect(self, copy: _Copy, error: Exception | None = None) -> None:
        """Ask a copy last from now on, or not at all, until it answers a ping.

        Those on the same machine are asked last too, so that a search of several rounds does not
        wait once for each of them.
        """
        with self._lock:
            for each in self._neighbours[self.copies.host(*copy)]:
                if each not in self._suspects:
                    ping = self.copies.ask(*each, "ping", ())
                    self._suspects[each] = _Suspect(ping, self.clock())
            if error is not None:
                self._suspects[copy].error = error

    def failure(self, shard: int) -> Exception:
        """Why no copy of a shard is asked."""
        return ServiceError(f"none of its copies answers ({self._error(shard)})")

    def _error(self, shard: int) -> Exception | None:
        with self._lock:
            errors = [each.error for copy, each in self._suspects.items() if copy.shard == shard]
        return next((error for error in errors if error is not None), None)

    def _look(self, shards: Collection[int]) -> None:
        """Hear the suspects, and ping those whose time it is.

        A shard that is lost gets the time of a hedge to answer a ping that was just sent, so that
        it is found again by the first search, however long ago the last one was.
        """
        self._hear()
        now, sent = self.clock(), []
        with self._lock:
            for copy, suspect in self._suspects.items():
                if suspect.ping is not None:
                    late_s = now - suspect.since
                    if late_s > self.patience.lost_ms / 1e3 and suspect.error is None:
                        told = f"no answer in {self.patience.lost_ms:g} ms"
                        suspect.error = ServiceError(told)
                    if late_s <= self.patience.deadline_ms / 1e3:
                        continue
                elif now < suspect.again:
                    continue
                suspect.ping, suspect.since = self.copies.ask(*copy, "ping", ()), now
                sent.append((copy.shard, suspect.ping))
        waited = [ping for shard, ping in sent if shard in shards and not self.order(shard)]
        if waited:
            self.copies.ready(waited, 1, self.patience.hedge_ms / 1e3)
            self._hear()

    def _hear(self) -> None:
        """Take the pings that were answered."""
        with self._lock:
            for copy, suspect in list(self._suspects.items()):
                if suspect.ping is None or not self.copies.ready([suspect.ping], 1, 0):
                    continue
                try:
                    self.copies.take(suspect.ping)
                    del self._suspects[copy]
                except (LsrError, RuntimeError, OSError) as error:
                    suspect.ping, suspect.error = None, error
                    suspect.again = self.clock() + self.patience.lost_ms / 1e3

    def close(self) -> None:
        """Let the copies go."""
        self.copies.close()


class _Call:
    """A method of several shards on its way."""

    def __init__(
        self,
        shards: ReplicatedShards,
        method: str,
        arguments: Mapping[int, Sequence[Any]],
        turn: int,
    ) -> None:
        self._shards = shards
        self._copies = shards.copies
        self._method = method
        self._arguments = arguments
        self._called = Called({}, {})
        self._left = {shard: shards.order(shard, turn) for shard in arguments}
        self._waiting: dict[Hashable, _Copy] = {}

    def called(self) -> Called:
        """All answers and failures there are when the time is over."""
        clock, patience = self._shards.clock, self._shards.patience
        begin = clock()
        end, hedge = begin + patience.deadline_ms / 1e3, begin + patience.hedge_ms / 1e3
        for shard in self._arguments:
            if not self._ask_next(shard):
                self._called.failures[shard] = self._shards.failure(shard)
        n = len(self._waiting)  # all of them at first, then as they come
        while self._waiting and (now := clock()) < end:
            for asked in self._copies.ready([*self._waiting], n, max(min(hedge, end) - now, 0)):
                if asked in self._waiting:
                    self._take(asked)
            n = 1
            if clock() >= hedge:
                hedge = clock() + patience.hedge_ms / 1e3
                for copy in [*self._waiting.values()]:
                    self._shards.suspect(copy)
                for shard in {copy.shard for copy in self._waiting.values()}:
                    self._shards.hedged += self._ask_next(shard)
        for copy in self._waiting.values():
            late = ServiceError(f"no answer in {patience.deadline_ms:g} ms")
            self._called.failures[copy.shard] = late
        return self._called

    def _ask_next(self, shard: int) -> bool:
        """Ask another copy; False when all were."""
        if not self._left[shard]:
            return False
        copy = self._left[shard].pop(0)
        self._waiting[self._copies.ask(*copy, self._method, self._arguments[shard])] = copy
        return True

    def _take(self, asked: Hashable) -> None:
        copy = self._waiting.pop(asked)
        shard = copy.shard
        try:
            self._called.answers[shard] = self._copies.take(asked)
        except QueryError:
            raise
        except LOST as error:
            self._shards.suspect(copy, error)
            others = any(each.shard == shard for each in self._waiting.values())
            if not self._ask_next(shard) and not others:
                self._called.failures[shard] = error
            return
        except (LsrError, RuntimeError) as error:
            self._called.failures[shard] = error
        for other in [each for each, copy in self._waiting.items() if copy.shard == shard]:
            del self._waiting[other]
