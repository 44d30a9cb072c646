"""Where a build happens: beside the collection, until one rename makes it visible.

A new collection becomes visible when its whole folder is renamed into place; a new generation of
an existing one, when its manifest is. Before either, every file and folder is on disk (fsync). A
build that dies leaves only the staging folder, which the next build of the same collection uses
or clears. What is worth keeping, encoded vectors, lies there in `kept/`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from types import TracebackType

from lsr.errors import (
    IndexCorruptError,
    IndexMissingError,
    IndexVersionError,
    InputError,
    StorageError,
)
from lsr.index.manifest import MANIFEST, Manifest

__all__ = ["Staging"]

_KEPT = "kept"


class Staging:
    """A context manager around one build of `target`.

    Attributes:
        generation: the number the result will have.
        folder: where the generation's files go; empty at first.
        kept: where finished parts survive an interruption.

    Raises:
        InputError: `target` holds something else than an index.
        StorageError: another build of it is running, or the place cannot be written to.
    """

    def __init__(self, target: Path) -> None:
        self._target = target.absolute()
        self._root = self._target.parent / f".{self._target.name}.building"
        self._lock: int | None = None
        self.kept = self._root / _KEPT
        self._count()

    def _count(self) -> None:
        self.generation = _next_generation(self._target)
        self.folder = self._root / f"generation-{self.generation:06d}"

    @property
    def root(self) -> Path:
        """The folder that stands for the collection's while it is built."""
        return self._root

    def __enter__(self) -> Staging:
        self._root.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._root, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(self._lock), self._root.stat()):
                raise BlockingIOError  # the folder that is locked has been moved or replaced
        except (BlockingIOError, FileNotFoundError):
            os.close(self._lock)
            raise StorageError(
                f"another build of {self._target} is running; wait for it to end"
            ) from None
        self._count()  # again, as another build may have ended since
        self._clear(keep=True)
        self.folder.mkdir()
        self.kept.mkdir(exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._root.exists():
            worth_keeping = error is not None and any(self.kept.glob("*.npy"))
            self._clear(keep=worth_keeping)
            if not worth_keeping:
                self._root.rmdir()
        if self._lock is not None:
            os.close(self._lock)

    def publish(self, manifest: Manifest) -> None:
        """Make the generation visible, and remove the one before it."""
        shutil.rmtree(self.kept)
        manifest_path = self._root / MANIFEST
        manifest_path.write_text(manifest.to_json(), encoding="utf-8")
        _sync_tree(self._root)
        if not self._target.exists() or not any(self._target.iterdir()):
            self._root.rename(self._target)
        else:
            final = self._target / self.folder.name
            shutil.rmtree(final, ignore_errors=True)
            self.folder.rename(final)
            _sync(self._target)
            manifest_path.replace(self._target / MANIFEST)
            _sync(self._target)
            for other in self._target.glob("generation-*"):
                if other != final:
                    shutil.rmtree(other, ignore_errors=True)
        _sync(self._target.parent)

    def _clear(self, *, keep: bool) -> None:
        for path in self._root.iterdir():
            if path.is_dir() and not (keep and path.name == _KEPT):
                shutil.rmtree(path)
            elif not path.is_dir():
                path.unlink()


def _next_generation(target: Path) -> int:
    try:
        return Manifest.read(target).generation + 1
    except (IndexCorruptError, IndexVersionError):
        return 1 + max(
            (int(path.name[-6:]) for path in target.glob("generation-" + "[0-9]" * 6)), default=0
        )
    except IndexMissingError:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InputError(
                f"{target} exists and is not an index; choose a new folder or an empty one"
            ) from None
        return 1


def _sync_tree(root: Path) -> None:
    for path in root.rglob("*"):
        _sync(path)
    _sync(root)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
