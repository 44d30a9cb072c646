"""Runs by name: what is typed on a command line, or given in Python."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lsr.datasets.lines import COMPRESSED
from lsr.datasets.runs import made_run, open_run
from lsr.errors import InputError
from lsr.types import Run, ScoredDoc

__all__ = ["RunLike", "named_paths", "opened"]

RunLike = str | Path | Mapping[str, Mapping[str, float]] | Mapping[str, list[ScoredDoc]]
"""A file, or query_id to doc_id to score, or a `Run`."""

_NO_FILE = "the run"
_NAME = re.compile(r"[^\s/=]+")


def named_paths(given: Sequence[str]) -> dict[str, Path]:
    """Files by the names of runs: `NAME=PATH`, or a path, whose file's name is the run's.

    Raises:
        InputError: something is no file, or two runs have one name.
    """
    found: dict[str, Path] = {}
    for each in given:
        name, path = _named(each)
        if not path.is_file():
            raise InputError(
                f"{each}: there is no file {path}; give run files as PATH or NAME=PATH"
            )
        if found.get(name) == path:
            raise InputError(f"{path} is to be compared with itself; name each run once")
        if name in found:
            raise InputError(
                f"{found[name]} and {path} are both called {name}; name them, as first={path}"
            )
        found[name] = path
    return found


def _named(given: str) -> tuple[str, Path]:
    name, equals, path = given.partition("=")
    if not Path(given).is_file() and equals and path and _NAME.fullmatch(name):
        return name, Path(path)
    plain = Path(given)
    while plain.suffix.lower() in (*COMPRESSED, ".lz4"):
        plain = plain.with_suffix("")
    return plain.stem, Path(given)


def opened(runs: Mapping[str, RunLike]) -> dict[str, tuple[Run, str]]:
    """Runs by name, each with the name of its file for messages.

    Raises:
        DataError: a run is wrong, see `lsr.datasets.runs`.
    """
    found: dict[str, tuple[Run, str]] = {}
    for name, run in runs.items():
        if isinstance(run, str | Path):
            found[name] = open_run(Path(run)), Path(run).name
        else:
            found[name] = made_run(run, name), _NO_FILE
    return found
