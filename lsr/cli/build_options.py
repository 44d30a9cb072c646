"""`--threads` and `--max-memory` of the commands that build blocks."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

import typer

from lsr.errors import InputError
from lsr.index.indexer.limits import MAX_THREADS, BuildLimits

__all__ = ["MaxMemory", "Threads", "build_limits"]

_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([KMG]?)", re.IGNORECASE)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}

Threads = Annotated[
    int | None,
    typer.Option(metavar="N", help="Threads that build blocks; default: all usable cores."),
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Memory for building blocks, besides the vectors: bytes, or K, M, G for thousands, "
        "millions, billions of bytes, as in 2.5G; a build that needs more is refused. Default: "
        "no limit.",
    ),
]


def build_limits(threads: int | None, max_memory: str | None) -> BuildLimits:
    """The limits that the two options ask for. Raises InputError."""
    if threads is not None and not 1 <= threads <= MAX_THREADS:
        raise InputError(
            f"--threads is {threads}; give a whole number from 1 to {MAX_THREADS:,}, or leave it "
            "out to use all cores"
        )
    return BuildLimits(threads, None if max_memory is None else _bytes(max_memory))


def _bytes(size: str) -> int:
    read = _SIZE.fullmatch(size)
    n_bytes = int(Decimal(read[1]) * _UNITS[read[2].upper()]) if read else 0
    if not 1 <= n_bytes < 2**63:
        raise InputError(
            f"--max-memory is {size[:40]!r}; give a number of bytes from 1 on, or one with K, M or "
            "G, as in 500M or 2.5G"
        )
    return n_bytes
