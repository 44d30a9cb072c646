"""`Catalog`: collections by name, each at its newest generation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from lsr.errors import InputError, LsrError, NotFoundError
from lsr.index.collection.reader import CollectionReader
from lsr.index.live.live_collection import LiveCollection

__all__ = ["Catalog", "collection_names"]

_NAME = re.compile(r"[a-z0-9_-]{1,64}")


class Catalog:
    """Named collections. All methods may be called from many threads.

    Every collection is followed: whoever changes it, searches that begin later see the change.

    Args:
        collections: opened collections by name; the catalog closes them.

    Attributes:
        not_ready: why searches should wait, or None when all collections are warmed up.

    Raises:
        InputError: a name is not 1 to 64 of a-z, 0-9, `_` and `-`, or there are no collections.
    """

    def __init__(self, collections: Mapping[str, LiveCollection]) -> None:
        if not collections:
            raise InputError("there is no collection to serve; name at least one index folder")
        for name in collections:
            _check_name(name)
        self._collections = dict(collections)
        self.not_ready: str | None = "the collections are being warmed up; try again shortly"

    @classmethod
    def open(cls, paths: Mapping[str, Path], *, keeper: bool = True, address: str = "") -> Catalog:
        """Open the collections at `paths`, comparing every file with its checksum.

        Their arrays are copied into memory that all processes share, so that files which are
        damaged in place crash nothing.

        Args:
            keeper, address: as `LiveCollection`.

        Raises:
            InputError: as the constructor.
            IndexStateError: one of the collections cannot be used; none stays open.
        """
        with ExitStack() as opened:
            collections = {}
            for name, path in paths.items():
                collections[name] = LiveCollection.open(
                    path, keeper=keeper, address=address, residence="shared"
                )
                opened.callback(collections[name].close)
            catalog = cls(collections)
            opened.pop_all()
            return catalog

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all collections, sorted."""
        return tuple(sorted(self._collections))

    def resolve(self, name: str) -> str:
        """The collection that a name stands for: itself, as long as there are no aliases."""
        return name

    def reader(self, name: str) -> CollectionReader:
        """The newest state of a collection; a request takes it once, and works on it to its end.

        Raises:
            NotFoundError: there is none of that name.
        """
        if name not in self._collections:
            known = ", ".join(self.names)
            raise NotFoundError(f"there is no collection {name[:64]!r}; there are: {known}")
        return self._collections[name].view

    def live(self, name: str) -> LiveCollection:
        """A collection's handle, to write to it. Raises as `reader`."""
        self.reader(name)
        return self._collections[name]

    def warm_up(self) -> None:
        """Compile kernels and load models, then become ready.

        Raises:
            LsrError: a model cannot be loaded; `not_ready` says so from then on.
        """
        try:
            for collection in self._collections.values():
                collection.warm_up()
        except BaseException as error:
            known = isinstance(error, LsrError)
            self.not_ready = str(error) if known else "the warm-up failed; the log says more"
            raise
        self.not_ready = None

    def close(self) -> None:
        """Close every collection. Searches that are running end on what they have."""
        self.not_ready = "the service is shutting down; try another"
        for collection in self._collections.values():
            collection.close()


def collection_names(paths: Iterable[Path]) -> dict[str, Path]:
    """Paths by the names they are served under: the folder's own, in lower case.

    Raises:
        InputError: a folder's name cannot be one, or two would have the same.
    """
    named: dict[str, Path] = {}
    for path in paths:
        name = path.resolve().name.lower()
        _check_name(name)
        if name in named:
            raise InputError(
                f"{named[name]} and {path} would both be served as {name!r}; rename one folder"
            )
        named[name] = path
    return named


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"a collection cannot be named {name!r}; use 1 to 64 of a-z, 0-9, '_' and '-', "
            "and rename the folder if the name comes from it"
        )
