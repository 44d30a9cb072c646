"""`Acceptor`: takes connections from a socket that several processes may listen on."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, MutableSequence
from dataclasses import dataclass

__all__ = ["ABSENT", "Acceptor", "Share"]

ABSENT = 1 << 30
"""Connections that stand for a worker that is not there, so that nobody leaves him any."""

_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_REST_SECONDS = 0.25
_TURN_SECONDS = 0.002
_MOST_AT_ONCE = 8
"""Connections accepted before others are heard, where no other process shares them."""
_MOST_TURNS = 5


@dataclass
class Share:
    """This process's connections beside those of the others.

    Attributes:
        counts: connections of every worker, in memory that all of them share.
        place: this one's.
    """

    counts: MutableSequence[int]
    place: int

    def set(self, n_open: int) -> None:
        """Tell the others."""
        self.counts[self.place] = n_open

    @property
    def is_large(self) -> bool:
        """Whether another has fewer."""
        return self.counts[self.place] > min(self.counts)


class Acceptor:
    """Accepts one connection at a time, and lets a process that has fewer come first.

    A process that waits for events takes all that come at once; the others would have none.

    Args:
        listener: set not to block.
        take: called with each connection.
        warn: called with a sentence when there are no descriptors left.
        share: None for the only process.
    """

    def __init__(
        self,
        listener: socket.socket,
        take: Callable[[socket.socket], None],
        warn: Callable[[str], None],
        share: Share | None,
    ) -> None:
        self._listener = listener
        self._take = take
        self._warn = warn
        self._share = share
        self._loop = asyncio.get_running_loop()
        self._again: asyncio.TimerHandle | None = None
        self._n_turns = 0
        listener.setblocking(False)

    def start(self) -> None:
        """Accept from now on."""
        self._again = None
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def stop(self) -> None:
        """Accept no more."""
        self._loop.remove_reader(self._listener.fileno())
        if self._again is not None:
            self._again.cancel()

    def _accept(self) -> None:
        if self._share is not None and self._share.is_large and self._n_turns < _MOST_TURNS:
            self._n_turns += 1
            self._rest(_TURN_SECONDS)
            return
        self._n_turns = 0
        for _ in range(_MOST_AT_ONCE if self._share is None else 1):
            if not self._accept_one():
                return

    def _accept_one(self) -> bool:
        """Take a connection, if one waits; whether another may wait too."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            if error.errno not in _OUT_OF_FILES:
                raise
            self._warn(f"no connection can be accepted ({error.strerror}); raise ulimit -n")
            self._rest(_REST_SECONDS)
            return False
        connection.setblocking(False)
        self._take(connection)
        return True

    def _rest(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._again = self._loop.call_later(seconds, self.start)
