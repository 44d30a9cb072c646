"""`supervise`: several processes that answer at one port, and a parent that keeps them alive."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType

import uvicorn

from lsr import errors
from lsr.errors import LsrError, StorageError
from lsr.service.limits.accepting import ABSENT, Share
from lsr.service.logs import configure_logging
from lsr.service.metrics import SHARED_FOLDER
from lsr.service.settings import Settings

__all__ = ["supervise"]

_READY = "ready"
_FAST_SECONDS = 5.0
"""A worker that dies sooner has not answered anything worth restarting for at once."""

_MOST_FAST_DEATHS = 5
_KILL_SECONDS = 10.0
_log = logging.getLogger(__name__)
_spawn = multiprocessing.get_context("spawn")


class _Worker:
    """A child process, and the pipe that tells it when its parent is gone."""

    def __init__(
        self,
        named: Mapping[str, Path],
        settings: Settings,
        listener: socket.socket,
        share: Share,
    ) -> None:
        self.pipe, theirs = _spawn.Pipe()
        self.started = time.monotonic()
        self.process = _spawn.Process(
            target=_work, args=(dict(named), settings, listener, theirs, share), name="lsr-worker"
        )
        self.process.start()
        theirs.close()

    def signal(self, number: int) -> None:
        """Pass a signal on, if the process is still there."""
        if self.process.pid is not None and self.process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def said(self) -> object:
        """News of it since the last call, or None."""
        try:
            return self.pipe.recv() if self.pipe.poll() else None
        except (EOFError, OSError):
            return None

    def close(self) -> None:
        """Forget it."""
        self.pipe.close()
        self.process.close()


def supervise(
    named: Mapping[str, Path],
    settings: Settings,
    listener: socket.socket,
    announce: Callable[[], None],
) -> None:
    """Run `settings.workers` processes until SIGTERM or SIGINT; replace those that die.

    Each opens the collections itself, by memory maps whose pages all share.

    Raises:
        LsrError: what keeps a worker from starting, as it says it.
        StorageError: workers die again and again.
    """
    with tempfile.TemporaryDirectory(prefix="lsr-metrics-") as folder:
        before = os.environ.get(SHARED_FOLDER)
        os.environ[SHARED_FOLDER] = folder
        try:
            _Supervisor(named, settings, listener, announce).run()
        finally:
            if before is None:
                del os.environ[SHARED_FOLDER]
            else:
                os.environ[SHARED_FOLDER] = before


class _Supervisor:
    def __init__(
        self,
        named: Mapping[str, Path],
        settings: Settings,
        listener: socket.socket,
        announce: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._counts = _spawn.RawArray("i", [ABSENT] * settings.workers)
        self._start: Callable[[int], _Worker] = lambda place: _Worker(
            named, settings, listener, Share(self._counts, place)
        )
        self._announce = announce
        self._workers: list[_Worker] = []
        self._ready: set[_Worker] = set()
        self._was_announced = False
        self._is_stopping = False
        self._fast_deaths = 0

    def run(self) -> None:
        """Start the workers, watch over them, stop them."""
        with _signals(self._pass_on):
            try:
                self._workers = [self._start(place) for place in range(self._settings.workers)]
                while not self._is_stopping:
                    self._watch()
            finally:
                self._stop()

    def _watch(self) -> None:
        sentinels = [worker.process.sentinel for worker in self._workers]
        pipes = [worker.pipe for worker in self._workers if worker not in self._ready]
        with suppress(InterruptedError):
            wait([*sentinels, *pipes], timeout=0.2)
        for place, worker in enumerate(self._workers):
            said = worker.said() if worker not in self._ready else None
            if isinstance(said, tuple):
                raise _error(*said)
            if said == _READY:
                self._ready.add(worker)
            if not worker.process.is_alive() and not self._is_stopping:
                self._workers[place] = self._replaced(worker, place)
        if len(self._ready) == len(self._workers) and not self._was_announced:
            self._was_announced = True
            self._announce()

    def _replaced(self, worker: _Worker, place: int) -> _Worker:
        self._counts[place] = ABSENT
        code = worker.process.exitcode
        is_fast = time.monotonic() - worker.started < _FAST_SECONDS
        self._fast_deaths = self._fast_deaths + 1 if is_fast else 0
        if self._fast_deaths > _MOST_FAST_DEATHS:
            raise StorageError(
                f"workers die as soon as they are started (the last one by {_cause(code)}); the "
                "log says more"
            )
        _log.warning("a worker died by %s; another takes its place", _cause(code))
        self._ready.discard(worker)
        worker.close()
        return self._start(place)

    def _pass_on(self, number: int) -> None:
        self._is_stopping = True
        for worker in self._workers:
            # one that is still starting knows no interrupt
            worker.signal(number if worker in self._ready else signal.SIGTERM)

    def _stop(self) -> None:
        """End what still runs, in order, and by force if it takes too long."""
        for worker in self._workers:
            if not self._is_stopping:
                worker.signal(signal.SIGTERM)
        settings = self._settings
        end = time.monotonic() + settings.drain_seconds + settings.shutdown_seconds + _KILL_SECONDS
        for worker in self._workers:
            worker.process.join(max(0.0, end - time.monotonic()))
            if worker.process.is_alive():
                _log.error("a worker did not stop in time and was killed")
                worker.process.kill()
                worker.process.join()
            worker.close()


@contextmanager
def _signals(pass_on: Callable[[int], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def take(number: int, _frame: FrameType | None) -> None:
        pass_on(number)

    before = {number: signal.signal(number, take) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {-code} ({signal.Signals(-code).name})"
    return f"exit code {code}"


def _error(kind: str, sentence: str) -> LsrError:
    """An error of a worker, which was its kind and its sentence on the way here."""
    found = getattr(errors, kind, StorageError)
    error = found.__new__(found, sentence)
    assert isinstance(error, LsrError)
    return error


def _work(
    named: dict[str, Path],
    settings: Settings,
    listener: socket.socket,
    pipe: Connection,
    share: Share,
) -> None:
    """The life of a worker: in a process of its own."""
    from lsr.service.server import run_server

    for number in (signal.SIGINT, signal.SIGTERM):  # until the server takes them
        signal.signal(number, lambda *_: os._exit(0))
    configure_logging(settings.log_format, settings.access_log)

    def follow(server: uvicorn.Server) -> None:
        threading.Thread(target=_stop_with_parent, args=(pipe, server), daemon=True).start()

    try:
        run_server(named, settings, listener, lambda: pipe.send(_READY), follow, share)
    except LsrError as error:
        with suppress(OSError):
            pipe.send((type(error).__name__, str(error)))


def _stop_with_parent(pipe: Connection, server: uvicorn.Server) -> None:
    try:
        pipe.recv()
    except (EOFError, OSError):
        server.should_exit = True
