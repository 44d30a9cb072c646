"""Names of collections and aliases, and the folder that holds collections."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from lsr.errors import InputError, StorageError
from lsr.index.snapshots.restore import recover

__all__ = ["check_name", "collection_names", "is_name", "prepare_root"]

_NAME = re.compile(r"[a-z0-9_-]{1,64}")


def is_name(name: str) -> bool:
    """Whether this can be the name of a collection or an alias."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Raise InputError for what cannot be the name of a collection or an alias."""
    if not is_name(name):
        raise InputError(
            f"a collection cannot be named {name[:80]!r}; use 1 to 64 of a-z, 0-9, '_' and '-', "
            "and rename the folder if the name comes from it"
        )


def collection_names(paths: Iterable[Path]) -> dict[str, Path]:
    """Paths by the names they are served under: the folder's own, in lower case.

    Raises:
        InputError: a folder's name cannot be one, or two would have the same.
    """
    named: dict[str, Path] = {}
    for path in paths:
        name = path.resolve().name.lower()
        check_name(name)
        if name in named:
            raise InputError(
                f"{named[name]} and {path} would both be served as {name!r}; rename one folder"
            )
        named[name] = path
    return named


def prepare_root(root: Path) -> None:
    """Make the folder of collections, and finish or undo what was interrupted in it.

    Raises:
        StorageError: the machine refuses.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        for path in root.glob(".*.replaced"):
            recover(root / path.name[1 : -len(".replaced")])
        for suffix in ("deleted", "restored", "rebuilt", "received"):
            for path in root.glob(f".*.{suffix}"):
                shutil.rmtree(path, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"{root} cannot be used for collections ({error.strerror})") from error
