"""The process that answers, as far as systems differ: its event loop, open files, and siblings."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from lsr.errors import InputError
from lsr.machine import WINDOWS

__all__ = ["check_workers", "most_connections", "new_loop"]

_FILES_OF_OUR_OWN = 96
"""Descriptors kept free of connections: for files, databases, and connections about to close."""

_FEWEST = 16
_MOST_ON_WINDOWS = 512
"""Sockets that an event loop of Python can wait for there."""

_OPEN_FILES = Path("/dev/fd")
_log = logging.getLogger(__name__)


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop: uvloop's, or Python's where that is not installed, as on Windows.

    Both can wait for a socket to be read, as accepting takes; Python's default on Windows cannot.
    """
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.SelectorEventLoop()
    return uvloop.new_event_loop()


def check_workers(n_workers: int) -> None:
    """Refuse several processes where they cannot be. Raises InputError."""
    if n_workers > 1 and WINDOWS:
        raise InputError(
            f"{n_workers} workers would share a port and stop by signals, which Windows has not; "
            "serve with one, or on Linux or macOS"
        )


def most_connections(wanted: int) -> int:
    """Connections that the process has descriptors for, at most `wanted`."""
    needed = wanted + _FILES_OF_OUR_OWN + _n_open()
    allowed, how = _raised_limit(needed)
    if allowed >= needed:
        return wanted
    most = max(_FEWEST, wanted - (needed - allowed))
    _log.warning(
        "this process may open %s files, so it takes %s connections at once and not %s%s",
        f"{allowed:,}",
        f"{most:,}",
        f"{wanted:,}",
        how,
    )
    return most


def _raised_limit(needed: int) -> tuple[int, str]:
    """Files that may be open, as many as needed where the system lets it; how to allow more."""
    try:
        import resource
    except ModuleNotFoundError:
        return _MOST_ON_WINDOWS, ", which is all that Windows has for it"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed and soft < hard:
        soft = hard if hard != resource.RLIM_INFINITY and hard < needed else needed
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft, "; raise ulimit -n for more"


def _n_open() -> int:
    try:
        return len(list(_OPEN_FILES.iterdir()))
    except OSError:  # Windows lists none
        return 0
