"""`Aliases`: other names of collections, in one file that is there whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from lsr.errors import IndexCorruptError, StorageError
from lsr.files import read_signed, signed, write_atomically

__all__ = ["ALIASES_FILE", "Aliases"]

ALIASES_FILE = "aliases.json"


class Aliases:
    """Names of collections by alias. May be used from many threads, and by several processes.

    Args:
        file: the place to keep them; None where none can be kept.

    Raises:
        IndexCorruptError: the file is not what was written.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._targets: Mapping[str, str] = {}
        self._look()

    def all(self) -> Mapping[str, str]:
        """Collections by alias, as the file has them now."""
        self._look()
        return self._targets

    def target(self, alias: str) -> str | None:
        """The collection that an alias stands for, or None."""
        self._look()
        return self._targets.get(alias)

    def change(self, changes: Mapping[str, str | None]) -> None:
        """Set aliases, or remove those whose collection is None; all of it or nothing.

        Raises:
            StorageError: the file cannot be written.
        """
        assert self._file is not None
        with self._lock:
            self._read()
            merged = {**self._targets, **changes}
            kept = {alias: target for alias, target in sorted(merged.items()) if target is not None}
            try:
                write_atomically(self._file, signed({"aliases": kept}))
            except OSError as error:
                raise StorageError(
                    f"{self._file} cannot be written ({error.strerror}); nothing was changed"
                ) from error
            self._read()

    def _look(self) -> None:
        """Read the file if it is another one than before."""
        if self._file is not None and self._stamp() != self._seen:
            with self._lock:
                self._read()

    def _stamp(self) -> tuple[int, int] | None:
        assert self._file is not None
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _read(self) -> None:
        assert self._file is not None
        stamp = self._stamp()
        if stamp is None:
            self._targets = {}
        else:
            try:
                content, is_intact = read_signed(self._file.read_bytes())
                targets = dict(content["aliases"])
                if not is_intact:
                    raise ValueError("its checksum differs")
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise IndexCorruptError(
                    f"{self._file} is damaged ({error}); restore it, or delete it and set the "
                    "aliases anew"
                ) from error
            self._targets = targets
        self._seen = stamp
