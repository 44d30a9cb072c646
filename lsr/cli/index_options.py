"""Arguments and options of most commands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from lsr.backend.qdrant.address import is_address
from lsr.backend.ray_options import RayOptions
from lsr.datasets.open import Corpus, open_corpus
from lsr.datasets.reading import ReadOptions
from lsr.datasets.records import Columns
from lsr.errors import InputError
from lsr.options import chosen

__all__ = [
    "AsJson",
    "Backend",
    "ColumnNames",
    "Delimiter",
    "Encoding",
    "IndexPath",
    "RayAddress",
    "Replicas",
    "SearchedIndex",
    "SkipBad",
    "chosen_corpus",
    "chosen_ray",
]


def _folder(index: Path) -> Path:
    if is_address(index):
        raise InputError(
            f"{index.name} is a collection of Qdrant, which this command does not take; lsr "
            "search and lsr migrate do"
        )
    return index


IndexPath = Annotated[
    Path, typer.Argument(metavar="INDEX", help="The index folder.", callback=_folder)
]
SearchedIndex = Annotated[
    str,
    typer.Argument(
        metavar="INDEX", help="The index folder, or qdrant:URL/NAME: a collection of Qdrant."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
ColumnNames = Annotated[
    str,
    typer.Option(
        "--columns",
        help="Fields of a record file, as doc_id=A,text=B,title=C; default: the usual names.",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        help="The encoding of all text in SOURCE; default: UTF-8, UTF-16, or what it looks like.",
        show_default=False,
    ),
]
SkipBad = Annotated[
    int,
    typer.Option(
        metavar="N", min=0, help="A record file: pass over up to N bad records, and name them."
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        help="A CSV file: the character between fields, or tab; default: the one of its header.",
        show_default=False,
    ),
]


Backend = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Machines that shards are on: local for this one, or ray for a Ray cluster.",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="HOST:PORT",
        help="Head of the Ray cluster; default: RAY_ADDRESS, the cluster on this machine, or else "
        "one is started.",
        show_default=False,
    ),
]
Replicas = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="With --backend ray: copies of every shard, on different nodes; default: 1.",
        show_default=False,
    ),
]


def chosen_corpus(
    source: str, columns: str, encoding: str | None, skip_bad: int, delimiter: str | None
) -> Corpus:
    """The documents that SOURCE and its options name.

    Raises:
        InputError: an option is wrong, or does nothing for this source.
        DataError: the source cannot be read.
    """
    options = ReadOptions(encoding, skip_bad, delimiter)
    return open_corpus(source, Columns.parse(columns) if columns else None, options)


def chosen_ray(
    backend: str, address: str | None = None, replicas: int | None = None
) -> RayOptions | None:
    """The Ray cluster that is asked for, if one is.

    Raises:
        InputError: an option of Ray without it, or a value out of its range.
    """
    if chosen(backend, ("local", "ray"), "backend") == "ray":
        # Ray would print what becomes of its processes among the results
        os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
        return RayOptions(address, 1 if replicas is None else replicas)
    given = {"--ray-address": address, "--replicas": replicas}
    unused = [name for name, value in given.items() if value is not None]
    if unused:
        raise InputError(f"{' and '.join(unused)} goes with --backend ray only; add it")
    return None
