"""Progress reports of long work, and bars of them where tqdm draws some."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lsr.errors import InputError, UnavailableError

__all__ = ["STAGES", "Progress", "ProgressLike", "no_progress", "reported"]

Progress = Callable[[str, int, int | None], None]
"""Called with (stage, items done, items in all or None when unknown)."""

ProgressLike = Progress | bool
"""A `Progress`; or whether to draw bars, as tqdm does on terminals and in notebooks."""

STAGES = {
    "read": "reading documents",
    "encode": "sparse vectors",
    "dense": "dense vectors",
    "merge": "copying documents",
    "index": "inverted lists",
    "checksum": "checksums",
    "publish": "publishing",
    "search": "searching",
    "count": "counting words",
    "shards": "building shards",
    "copy": "comparing files",
    "upload": "uploading, in MB",
    "download": "downloading, in MB",
    "migrate": "migrating documents",
    "verify": "comparing files",
}
"""Stages in words; others are called by their names."""


def no_progress(stage: str, done: int, total: int | None) -> None:
    """A `Progress` that says nothing."""


@contextmanager
def reported(progress: ProgressLike) -> Iterator[Progress]:
    """The `Progress` that is meant; bars are closed in the end.

    Raises:
        UnavailableError: bars are asked for, and tqdm is not installed.
        InputError: it is neither a function nor true or false.
    """
    if progress is True:
        bars = _Bars()
        try:
            yield bars
        finally:
            bars.close()
    elif progress is False:
        yield no_progress
    elif callable(progress):
        yield progress
    else:
        raise InputError(
            f"progress is {progress!r}; give True for bars, or a function of (stage, done, total)"
        )


class _Bars:
    """A bar for each stage, one after the other."""

    def __init__(self) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError as error:
            raise UnavailableError(
                "progress=True needs tqdm, which is not installed; run: "
                "pip install 'lsr-search[notebook]', or give a function"
            ) from error
        self._make = tqdm
        self._stage: str | None = None
        self._bar: Any = None

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        if stage != self._stage:
            self.close()
            self._stage = stage
            self._bar = self._make(total=total, desc=STAGES.get(stage, stage))
        self._bar.total = total
        if done < self._bar.n:  # it began once more
            self._bar.reset(total)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
