"""Compilation of kernels: without Python, without its lock, and kept on disk for the next start.

Numba keeps compiled code until the file of the function changes. But the code also holds what it
was compiled with from other files: constants, and functions called. `kernel` makes these part of
what must not have changed, so that an updated installation never runs a kernel that is half old.

Numba also numbers the files of a function's code by what its index holds, so that two processes
which compile it for other types at one time give one name to both, and run the wrong one from then
on. Here a name says what the code is of.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numba import njit

__all__ = ["fingerprint", "kernel"]


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called, for the types it is called with.

    Division by zero gives what NumPy gives. Compiled code is kept beside the source, or where
    NUMBA_CACHE_DIR says. With NUMBA_DISABLE_JIT the function is left as it is.
    """
    compiled = njit(cache=True, nogil=True, error_model="numpy")(function)
    cache = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if cache is not None:
        cache._source_stamp = (*cache._source_stamp, fingerprint(function))
        cache.save = partial(_save, cache)
    return compiled


def _save(cache: Any, key: object, data: object) -> None:
    """Keep compiled code under a name of its own, the code before the index that names it.

    When the sources have changed, what was kept of them goes.
    """
    overloads = cache._load_index()
    digest = hashlib.sha256(repr((cache._source_stamp, key)).encode()).hexdigest()
    name = cache._data_name(int(digest[:15], 16))
    cache._save_data(name, data)
    cache._save_index({**overloads, key: name})
    if not overloads:
        parts = cache._data_name_pattern.partition("{number:d}")
        for path in Path(cache._cache_path).glob(f"{parts[0]}*{parts[2]}"):
            if path.name != name:
                path.unlink(missing_ok=True)


def fingerprint(function: Callable[..., Any]) -> str:
    """A hash of everything outside its own file that a function is compiled with."""
    return hashlib.sha256("\n".join(sorted(_uses(function, set()))).encode()).hexdigest()


def _uses(function: Callable[..., Any], seen: set[object]) -> set[str]:
    """Constants, and the files of modules and functions, that a function refers to by name."""
    found: set[str] = set()
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, (bool, int, float, np.generic)):
            found.add(f"{name}={value!r}")
        elif isinstance(value, ModuleType):
            if value.__name__.startswith("lsr."):
                found.add(_file_stamp(value))
            continue
        module = inspect.getmodule(value)
        if module is None or not module.__name__.startswith("lsr.") or value in seen:
            continue
        seen.add(value)
        found.add(_file_stamp(module))
        called = getattr(value, "py_func", None)
        if called is not None:
            found |= _uses(called, seen)
    return found


def _file_stamp(module: ModuleType) -> str:
    path = Path(module.__file__ or "")
    status = path.stat()
    return f"{module.__name__} {status.st_mtime_ns} {status.st_size}"
