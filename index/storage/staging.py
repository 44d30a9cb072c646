"""Staging of what is written: beside the collection, until one rename makes it visible.

One writer at a time holds the lock. What it writes lies in a folder that stands for the
collection's and is moved into it, part by part, when all of it is on disk (fsync); the rename of
the manifest, at last, is the publication. A new collection is one rename altogether. A writer that
dies leaves only the staging folder, and perhaps parts that no manifest names; the next one clears
both. What is worth keeping, encoded vectors, lies in `kept/`.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from lsr.errors import (
    IndexCorruptError,
    IndexMissingError,
    IndexVersionError,
    InputError,
    StorageError,
)
from lsr.files import put, sync, sync_tree
from lsr.index.storage.manifest import MANIFEST, Manifest
from lsr.index.storage.names import (
    DELETED,
    SEGMENT,
    building_folder,
    highest_number,
    is_ours,
    kept_folder,
)
from lsr.locks import FileLock

__all__ = ["Staging"]

_COLLECTION = "collection"
_LOCK = "lock"


class Staging:
    """A context manager around one change of `target`.

    Attributes:
        generation: the number the result will have.
        before: the manifest that is published, or None when there is none that can be read.
        folder: stands for the collection's folder; empty at first.
        kept: where finished parts survive an interruption.

    Raises:
        InputError: `target` holds something else than an index.
        StorageError: another writer is at work, or the place cannot be written to.
    """

    def __init__(self, target: Path) -> None:
        self._target = target.absolute()
        self._root = building_folder(self._target)
        self._lock: FileLock | None = None
        self.folder = self._root / _COLLECTION
        self.kept = kept_folder(self._target)
        self._look()

    def _look(self) -> None:
        self.before, self.generation = _state(self._target)

    def __enter__(self) -> Staging:
        self._root.mkdir(parents=True, exist_ok=True)
        lock = None
        with suppress(FileNotFoundError):  # another writer removes the folder
            lock = FileLock.take(self._root / _LOCK)
        if lock is None:
            raise StorageError(
                f"another writer of {self._target} is at work and holds the lock {self._root}; "
                "wait for it to end, and try again"
            )
        self._lock = lock
        try:
            self._look()  # again, as another writer may have ended since
            self._clear()
            self.folder.mkdir()
            self.kept.mkdir(exist_ok=True)
        except BaseException:
            self._unlock()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clear()
        self._unlock()
        with suppress(OSError):  # what is kept is in it, or the lock of the next writer
            self._root.rmdir()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release(remove=True)
            self._lock = None

    def commit(self, manifest: Manifest, *, forget_kept: bool) -> None:
        """Make what was written visible, and remove what the new manifest does not name.

        Args:
            forget_kept: what was kept has been used, and is removed.
        """
        if forget_kept:
            shutil.rmtree(self.kept)
        content = manifest.to_json()
        if not self._target.exists() or not any(self._target.iterdir()):
            (self.folder / MANIFEST).write_text(content, encoding="utf-8")
            sync_tree(self.folder)
            with suppress(FileNotFoundError):
                self._target.rmdir()  # as Windows renames nothing over an empty folder
            self.folder.rename(self._target)
            sync(self._target.parent)
        else:
            for part in self._parts():
                sync_tree(part)
            self._move_parts(content)
            put(self.folder / MANIFEST, self._target / MANIFEST)
            sync(self._target)
            _remove_unnamed(self._target, manifest)

    def _move_parts(self, manifest: str) -> None:
        """Rename everything but the manifest into the collection; undo it when that fails.

        The manifest is brought to disk after that. As file systems keep the order of renames in a
        folder, it is not there after a power cut without the parts that it names.
        """
        moved: list[Path] = []
        try:
            for source in self._parts():
                final = self._target / source.relative_to(self.folder)
                _remove(final)  # left by a writer that died: no manifest names it
                moved.append(final)
                source.rename(final)
            for folder in {path.parent for path in moved} - {self._target}:
                sync(folder)
            (self.folder / MANIFEST).write_text(manifest, encoding="utf-8")
            sync(self.folder / MANIFEST)
        except BaseException:
            for path in moved:
                _remove(path)
            raise

    def _parts(self) -> list[Path]:
        """New folders and files; in a folder that is published already, the files in it."""
        published = {record.name for record in self.before.segments} if self.before else set()
        parts: list[Path] = []
        for path in sorted(self.folder.iterdir()):
            if path.name in published:
                parts += sorted(path.iterdir())
            elif path.name != MANIFEST:
                parts.append(path)
        return parts

    def _clear(self) -> None:
        """Leave nothing but what is kept, if any is."""
        for path in self._root.iterdir():
            if path.name != _LOCK and (path != self.kept or not any(path.glob("*.npy"))):
                _remove(path)


def _state(target: Path) -> tuple[Manifest | None, int]:
    """Manifest published at a place, or None, and the number of the next generation."""
    try:
        before = Manifest.read(target)
    except (IndexCorruptError, IndexVersionError):
        return None, 1 + highest_number(target)
    except IndexMissingError:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InputError(
                f"{target} exists and is not an index; choose a new folder or an empty one"
            ) from None
        return None, 1
    return before, before.generation + 1


def _remove_unnamed(target: Path, manifest: Manifest) -> None:
    """Remove parts of other generations. Those who have them open keep them."""
    named = {manifest.encoder, manifest.tie_order, *(part.name for part in manifest.segments)}
    for path in target.iterdir():
        if is_ours(path.name) and path.name not in named:
            _remove(path, ignore_errors=True)
    for path in target.glob(f"{SEGMENT}-*/{DELETED}-*.npy"):
        if path.relative_to(target).as_posix() not in manifest.files:
            _remove(path, ignore_errors=True)


def _remove(path: Path, *, ignore_errors: bool = False) -> None:
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError:
        if not ignore_errors:
            raise
