"""The systems that this runs on, as far as they differ: Linux, macOS, Windows."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["WINDOWS", "is_alive", "refusal", "user_cache"]

WINDOWS = os.name == "nt"
"""Whether files that are open keep their names, and folders cannot be opened."""

_SYNCHRONIZE, _STILL_RUNS = 0x0010_0000, 0x102


def user_cache() -> Path:
    """Folder of this user's derived files, which need not exist.

    `$XDG_CACHE_HOME/lsr` where that is set; else `~/.cache/lsr` on Linux, `~/Library/Caches/lsr`
    on macOS, and `lsr\\Cache` in the local application data on Windows.
    """
    given = os.environ.get("XDG_CACHE_HOME")
    if given:
        return Path(given) / "lsr"
    from platformdirs import user_cache_path

    return user_cache_path("lsr", appauthor=False)


def is_alive(process: int) -> bool:
    """Whether there is a process of that number."""
    if WINDOWS:  # where `os.kill` would end it
        import ctypes

        kernel = getattr(ctypes, "WinDLL")("kernel32")  # noqa: B009  # types of this system lack it
        handle = kernel.OpenProcess(_SYNCHRONIZE, False, process)
        if not handle:
            return False
        runs = kernel.WaitForSingleObject(handle, 0) == _STILL_RUNS
        kernel.CloseHandle(handle)
        return bool(runs)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def refusal(error: OSError) -> str:
    """The reason for which a folder was not moved or removed, as part of a sentence."""
    if WINDOWS and isinstance(error, PermissionError):
        return (
            f"{error.strerror}: Windows leaves a folder where it is while its files are open, so "
            "end what searches it, and the service"
        )
    return error.strerror or str(error)
