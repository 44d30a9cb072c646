"""Options of the commands that build blocks: what they may take, and how blocks are made."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

import typer

from lsr.errors import InputError
from lsr.index.blocks.config import BlockSettings
from lsr.index.indexer.limits import MAX_THREADS, BuildLimits
from lsr.passages.passage import PassageSettings

__all__ = [
    "Blocks",
    "Centroids",
    "MaxMemory",
    "Neighbours",
    "Passages",
    "Postings",
    "SummaryMass",
    "Threads",
    "build_limits",
    "chosen_blocks",
    "chosen_settings",
    "evaluated_passages",
]

_BLOCKS = {"auto": None, "always": True, "never": False}
_PASSAGES = _BLOCKS

_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([KMG]?)", re.IGNORECASE)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}

Blocks = Annotated[
    str,
    typer.Option(
        help="Blocks for approximate search: always, never, or auto: from 100,000 documents, or "
        "where one of the four options below says how."
    ),
]
Postings = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="Blocks: entries kept of each inverted list, on average, the heaviest of the "
        "collection; list:N keeps N of each list by itself. Default: by the number of documents.",
    ),
]
Centroids = Annotated[
    float | None,
    typer.Option(help="Blocks: centroids for each posting of a list, 0 to 1; default: 0.1."),
]
SummaryMass = Annotated[
    float | None,
    typer.Option(
        "--summary",
        help="Blocks: share of a block's mass that its summary holds, 0 to 1; default: 0.25.",
    ),
]
Neighbours = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Blocks: nearest documents stored for each, 0 to 255, which a calibrated search may "
        "look at; default: 0.",
    ),
]
Passages = Annotated[
    str,
    typer.Option(
        metavar="N",
        help="Split documents of more than 2N tokens into passages of up to N: a number, always "
        "(128), never, or auto: always for a folder of files that a learned or dense model reads. "
        "A hit is a document still, and shows its best passage.",
    ),
]
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


def chosen_blocks(
    blocks: str,
    postings: str | None,
    centroids: float | None,
    summary: float | None,
    neighbours: int | None,
) -> bool | BlockSettings | None:
    """Whether blocks are built, or how: what `build_collection` takes. Raises InputError."""
    if blocks not in _BLOCKS:
        raise InputError(f"--blocks is {blocks!r}; choose {', '.join(_BLOCKS)}")
    n_postings, per_list = None, False
    if postings is not None:
        read = re.fullmatch(r"(list:)?([0-9]{1,10})", postings)
        if read is None:
            raise InputError(
                f"--postings is {postings[:40]!r}; give a whole number from 1 on, as in 4000, or "
                "list:4000 for each list by itself"
            )
        n_postings, per_list = int(read[2]), read[1] is not None
    try:
        settings = BlockSettings(n_postings, per_list, centroids, summary, neighbours)
    except InputError as error:
        raise InputError(f"--{error}") from error
    given = [name for name in settings.to_dict() if name != "per_list"]
    if not given:
        return _BLOCKS[blocks]
    if blocks == "never":
        raise InputError(
            f"--{given[0]} says how blocks are made, and --blocks never makes none; leave one out"
        )
    return settings


def chosen_settings(passages: str, *, may_split: bool) -> PassageSettings | bool | None:
    """Whether documents are split, or how: what `chosen_passages` takes. Raises InputError.

    Args:
        may_split: whether other options leave it open; else they are whole unless it is said.
    """
    if passages in _PASSAGES:
        chosen = _PASSAGES[passages]
        return False if chosen is None and not may_split else chosen
    if not re.fullmatch("[0-9]{1,9}", passages):
        raise InputError(
            f"--passages is {passages[:40]!r}; give a number of tokens, or choose "
            f"{', '.join(_PASSAGES)}"
        )
    try:
        return PassageSettings(int(passages))
    except InputError as error:
        raise InputError(f"--passages: {error}") from error


def evaluated_passages(passages: str) -> PassageSettings | None:
    """As `chosen_settings` for an evaluation, where auto is never. Raises InputError."""
    chosen = chosen_settings(passages, may_split=False)
    return PassageSettings() if chosen is True else chosen or None


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
