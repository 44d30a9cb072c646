"""`BuildLimits`: what building block indexes may take of the machine."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lsr.errors import InputError
from lsr.options import check_options, option

__all__ = ["MAX_THREADS", "BuildLimits"]

MAX_THREADS = 1_024
"""More are of no use, and may be more than the machine allows."""


@dataclass(frozen=True)
class BuildLimits:
    """Threads and memory of a build of blocks; what is built does not depend on them.

    Raises:
        InputError: a number is out of its range.
    """

    n_threads: int | None = option(
        None,
        "threads; none stands for a thread on each usable core",
        low=1,
        high=MAX_THREADS,
        optional=True,
    )
    max_memory: int | None = option(
        None, "bytes beside the documents' vectors", low=1, high=2**63 - 1, optional=True
    )

    def __post_init__(self) -> None:
        check_options(self, error=InputError)

    @property
    def threads(self) -> int:
        """The number of threads that is meant."""
        return self.n_threads or min(_usable_cores(), MAX_THREADS)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux: a container or `taskset` may allow fewer
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
