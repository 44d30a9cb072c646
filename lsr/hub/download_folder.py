"""`DownloadFolder`: beside its target, where a pull gathers files until they are whole."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from types import TracebackType

from lsr.errors import StorageError
from lsr.files import sync_tree
from lsr.hub.repository import Repository
from lsr.index.snapshots.restore import swap_in
from lsr.locks import FileLock

__all__ = ["DownloadFolder"]


class DownloadFolder:
    """A context manager around a download; one at a time of a target.

    What is downloaded stays when it stops, for the next one, and moves to the target at the end.

    Attributes:
        path: the folder.

    Raises:
        StorageError: another pull is at work there, or the machine refuses.
    """

    def __init__(self, target: Path) -> None:
        self._target = target.absolute()
        self.path = self._target.parent / f".{self._target.name}.pulling"
        self._lock: FileLock | None = None

    def __enter__(self) -> DownloadFolder:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock.take(self.path.with_name(f"{self.path.name}.lock"))
        except OSError as error:
            raise self._refusal(error) from error
        if self._lock is None:
            raise StorageError(
                f"another pull to {self._target} is at work; wait for it to end, and try again"
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._unlock()
        if self.path.exists() and not any(each.is_file() for each in self.path.rglob("*")):
            shutil.rmtree(self.path, ignore_errors=True)

    def keep_only(self, names: Collection[str]) -> None:
        """Remove all but these files: notes of the client, and what an older commit had.

        Raises:
            StorageError: the machine refuses.
        """
        Repository.forget(self.path)
        try:
            for path in sorted(self.path.rglob("*"), reverse=True):
                if path.is_dir() and not path.is_symlink():
                    if not any(path.iterdir()):
                        path.rmdir()
                elif path.is_symlink() or path.relative_to(self.path).as_posix() not in names:
                    path.unlink()
        except OSError as error:
            raise self._refusal(error) from error

    def publish(self) -> None:
        """Bring all to disk and put the folder in the target's place.

        Raises:
            StorageError: the machine refuses; the target is as it was.
        """
        try:
            sync_tree(self.path)
            swap_in(self.path, self._target)
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> StorageError:
        return StorageError(
            f"{error.filename or self.path} cannot be written ({error.strerror or error}); nothing "
            "was changed, so free some space or get permission, and run it again, which goes on"
        )

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release(remove=True)
            self._lock = None
