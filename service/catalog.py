"""`Catalog`: collections by name, each at its newest state; made, swapped, given other names."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

from lsr.errors import (
    ConflictError,
    ExistsError,
    IndexMissingError,
    IndexStateError,
    InputError,
    LsrError,
    NotFoundError,
    StorageError,
)
from lsr.index.collection.reader import CollectionReader
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.operation import Operation, Written
from lsr.index.snapshots.restore import swap_in
from lsr.index.storage.manifest import MANIFEST
from lsr.machine import refusal
from lsr.service.collections.aliases import ALIASES_FILE, Aliases
from lsr.service.collections.creation import CollectionSpec, build_from_spec, opened_encoders
from lsr.service.collections.entry import Entry
from lsr.service.collections.field_types import FieldTypes
from lsr.service.collections.names import check_name, collection_names, is_name, prepare_root

__all__ = ["Catalog", "collection_names"]

_STOPPING = "the service is shutting down; try another"
_log = logging.getLogger(__name__)


class Catalog:
    """Named collections. All methods may be called from many threads.

    Collections are those given by their folders, and those in the folder `root`, which are opened
    when they are first needed. One that cannot be opened makes only its own requests fail. A folder
    that another process replaces is opened again with the next request.

    Every collection is followed: whoever changes it, searches that begin later see the change. Its
    arrays are in memory that processes share, so that damaged files crash nothing.

    Args:
        paths: index folders by name.
        root: where collections lie that are made by requests; None where none can be made.
        keeper, address: as `LiveCollection`.

    Attributes:
        root: as above.
        not_ready: why searches should wait, or None when all collections are warmed up.

    Raises:
        InputError: a name is not 1 to 64 of a-z, 0-9, `_` and `-`, or is used twice, or there are
            no collections.
        IndexCorruptError: the file of aliases is damaged.
        StorageError: the root cannot be made.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        root: Path | None = None,
        *,
        keeper: bool = True,
        address: str = "",
    ) -> None:
        if not paths and root is None:
            raise InputError("there is no collection to serve; name at least one index folder")
        if root is not None:
            prepare_root(root)
        for name, path in paths.items():
            check_name(name)
            if root is not None and (root / name / MANIFEST).exists():
                raise InputError(f"{path} and {root / name} have the same name; rename one")
        self.root = root
        self._opens = partial(
            LiveCollection.open, keeper=keeper, address=address, residence="shared"
        )
        self.aliases = Aliases(None if root is None else root / ALIASES_FILE)
        self._lock = threading.RLock()
        self._entries = {name: Entry(path, self._opens) for name, path in paths.items()}
        self._reserved: set[str] = set()
        self.not_ready: str | None = "the collections are being warmed up; try again shortly"

    @classmethod
    def open(
        cls,
        paths: Mapping[str, Path],
        root: Path | None = None,
        *,
        keeper: bool = True,
        address: str = "",
    ) -> Catalog:
        """A catalog with the collections at `paths` opened, every file compared with its checksum.

        One that is damaged is named in the log and served as unusable, unless it is the only one.

        Raises:
            InputError, IndexCorruptError, StorageError: as the constructor.
            IndexStateError: a collection is missing, or none can be used; none stays open.
        """
        catalog = cls(paths, root, keeper=keeper, address=address)
        with ExitStack() as opened:
            opened.callback(catalog.close)
            for name in paths:
                try:
                    catalog.live(name)
                except IndexMissingError:
                    raise
                except IndexStateError as error:
                    if root is None and len(paths) == 1:
                        raise
                    _log.error("the collection %s cannot be used: %s", name, error)
            opened.pop_all()
        return catalog

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all collections, sorted."""
        with self._lock:
            self._look()
            return tuple(sorted(self._entries))

    def resolve(self, name: str) -> str:
        """The collection's own name, where `name` may be an alias.

        Raises:
            NotFoundError: there is none of that name.
        """
        if name in self._entries:
            return name
        target = self.aliases.target(name)
        with self._lock:
            self._look()
            for each in (name, target):
                if each in self._entries:
                    assert each is not None
                    return each
        raise self._unknown(name)

    def _unknown(self, name: str) -> NotFoundError:
        known = ", ".join(self.names) or "none"
        return NotFoundError(f"there is no collection {name[:64]!r}; there are: {known}")

    def entry(self, name: str) -> Entry:
        """The entry of a collection or of what an alias stands for. Raises NotFoundError."""
        own = self.resolve(name)
        found = self._entries.get(own)
        if found is not None and not found.is_gone:
            return found
        with self._lock:
            gone = self._entries.pop(own, None)
            self._look()
            if gone is not None and own not in self._entries and gone.path.parent != self.root:
                self._entries[own] = Entry(gone.path, self._opens)
            found = self._entries.get(own)
        if gone is not None:
            gone.close()
        if found is None:
            raise self._unknown(name)
        return found

    def live(self, name: str) -> LiveCollection:
        """The handle of a collection, which is opened if it is not yet.

        Raises:
            NotFoundError: there is none of that name or alias.
            IndexStateError: it cannot be used; names the file.
        """
        return self.entry(name).live()

    def write(
        self, name: str, operations: Sequence[Operation], idempotency_key: str | None = None
    ) -> list[Written]:
        """Write to a collection; while it is swapped, this waits and writes to the new one.

        Raises:
            NotFoundError, IndexStateError: as `live`.
            InputError: an operation cannot be carried out here; none was.
            StorageError, OverloadedError: nothing was written.
        """
        return self.entry(name).submit(operations, idempotency_key).result()

    def is_quick(self, name: str) -> bool:
        """Whether a write to this collection has nothing to wait for but the disk."""
        return (entry := self._entries.get(name)) is not None and entry.is_quick

    def reader(self, name: str) -> CollectionReader:
        """The newest state of a collection; a request takes it once. Raises as `live`."""
        return self.live(name).view

    def opened(self, name: str) -> CollectionReader | None:
        """The state of a collection that is open already, by its own name; None of others."""
        live = self._entries[name].opened if name in self._entries else None
        return None if live is None else live.view

    def field_types(self, name: str) -> FieldTypes:
        """The types that a collection's fields must have. Raises as `live`."""
        return self.entry(name).field_types

    def path(self, name: str) -> Path:
        """The folder of a collection, usable or not. Raises NotFoundError."""
        return self.entry(name).path

    def place(self, name: str) -> Path:
        """The folder where a collection of that name is or would be.

        Raises:
            InputError: it cannot be a name.
            ConflictError: this service has no folder for collections.
        """
        with suppress(NotFoundError):
            return self.path(name)
        check_name(name)
        return self._root() / name

    def create(self, name: str, spec: CollectionSpec) -> LiveCollection:
        """Make an empty collection.

        Raises:
            InputError: the name, a model or an option is wrong.
            ExistsError: there is a collection or an alias of that name.
            ConflictError: this service has no folder for collections.
            StorageError: the disk is full, or there is no permission.
        """
        check_name(name)
        root = self._root()
        with self.reserved(name):
            self.check_free(name)
            build_from_spec(opened_encoders(spec), root / name)
            with self._lock:
                self._look()
            return self.live(name)

    def check_free(self, name: str) -> None:
        """Raise ExistsError when there is a collection or an alias of that name."""
        if name in self.names:
            raise ExistsError(f"there is a collection {name!r} already; delete it first")
        if name in self.aliases.all():
            raise ExistsError(f"{name!r} is an alias already; remove that first")

    @contextmanager
    def reserved(self, name: str) -> Iterator[None]:
        """Keep a name for one change. Raises ConflictError when it is kept by another."""
        with self._lock:
            if name in self._reserved:
                raise ConflictError(f"the collection {name!r} is being changed; try again shortly")
            self._reserved.add(name)
        try:
            yield
        finally:
            with self._lock:
                self._reserved.discard(name)

    def delete(self, name: str) -> None:
        """Remove a collection and its files; its snapshots stay.

        Raises:
            NotFoundError: there is none of that name; an alias is not enough.
            ConflictError: aliases stand for it, it was given by its folder, or it is being changed.
            StorageError: there is no permission.
        """
        with self.reserved(name):
            if name not in self.names:
                raise self._unknown(name)
            entry = self.entry(name)
            aliases = [alias for alias, target in self.aliases.all().items() if target == name]
            if aliases:
                raise ConflictError(
                    f"the alias {aliases[0]!r} stands for {name!r}; point it elsewhere first"
                )
            if self.root is None or entry.path.parent != self.root:
                raise ConflictError(
                    f"{name!r} was given to this service by its folder and cannot be deleted by a "
                    "request; stop serving it, and remove the folder"
                )
            gone = entry.path.with_name(f".{name}.deleted")
            shutil.rmtree(gone, ignore_errors=True)
            try:
                with entry.shut():
                    entry.replace(lambda: entry.path.replace(gone))
            except OSError as error:
                raise StorageError(f"{entry.path} cannot be removed ({refusal(error)})") from error
            with self._lock:
                self._entries.pop(name, None)
            shutil.rmtree(gone, ignore_errors=True)

    def swap(
        self, name: str, folder: Path, last: Callable[[LiveCollection], None] | None = None
    ) -> None:
        """Put a finished folder in the place of a collection, or where there is none.

        Writers wait meanwhile. The caller holds the name by `reserved`.

        Args:
            last: done when nobody writes any more, with the handle of the collection there is.

        Raises:
            ConflictError: those who write do not end.
            StorageError: the machine refuses; the collection is as it was.
        """
        place = self.place(name)
        with self._lock:
            entry = self._entries.get(name)
        with entry.shut() if entry is not None else nullcontext():
            if entry is not None and last is not None:
                last(entry.live())
            try:
                if entry is None:
                    swap_in(folder, place)
                else:
                    entry.replace(partial(swap_in, folder, place))
            except OSError as error:
                raise StorageError(
                    f"{place} cannot be replaced ({refusal(error)}); nothing was changed"
                ) from error
        with self._lock:
            self._look()

    def alias(self, changes: Mapping[str, str | None]) -> None:
        """Set aliases, or remove those whose collection is None: all of them, or none.

        Raises:
            InputError: an alias cannot be a name.
            NotFoundError: there is no such collection, or no such alias to remove.
            ConflictError: a collection has that name, or this service has no folder to keep them.
            StorageError: they cannot be written.
        """
        self._root()
        with self._lock:
            names, known = self.names, self.aliases.all()
            for alias, target in changes.items():
                check_name(alias)
                if alias in names or alias in self._reserved:
                    raise ConflictError(f"there is a collection {alias!r}; choose another alias")
                if target is None and alias not in known:
                    raise NotFoundError(f"there is no alias {alias!r}")
                if target is not None and target not in names:
                    raise NotFoundError(
                        f"there is no collection {target[:64]!r} for the alias {alias!r}; there "
                        f"are: {', '.join(names) or 'none'}"
                    )
            self.aliases.change(changes)

    def warm_up(self) -> None:
        """Open all collections, compile kernels and load models, then become ready.

        A collection that cannot be opened is left to its own requests.

        Raises:
            LsrError: a model cannot be loaded; `not_ready` says so from then on.
        """
        try:
            for name in self.names:
                try:
                    live = self.live(name)
                except (IndexStateError, NotFoundError) as error:
                    _log.error("the collection %s cannot be used: %s", name, error)
                    continue
                live.warm_up()
        except BaseException as error:
            known = isinstance(error, LsrError)
            self.not_ready = str(error) if known else "the warm-up failed; the log says more"
            raise
        self.not_ready = None

    def close(self) -> None:
        """Close every collection. Searches that are running fail."""
        self.not_ready = _STOPPING
        with self._lock:
            for entry in self._entries.values():
                entry.close()

    def _root(self) -> Path:
        if self.root is None:
            raise ConflictError(
                "this service has no folder for collections and aliases; start it with --data DIR"
            )
        return self.root

    def _look(self) -> None:
        """Take note of folders that came or went below the root. Under the lock."""
        if self.root is None:
            return
        found = {path.parent.name: path.parent for path in self.root.glob(f"*/{MANIFEST}")}
        for name, path in found.items():
            if is_name(name) and name not in self._entries:
                self._entries[name] = Entry(path, self._opens)
        for name, entry in list(self._entries.items()):
            if entry.path.parent == self.root and name not in found and name not in self._reserved:
                self._entries.pop(name).close()
