"""`Snapshots`: those of one collection, in a hidden folder beside it.

A snapshot is made while the collection is served and written. First the databases of the log are
copied by SQLite's own backup, then the manifest is read and the files it names are linked, or
copied where the file system has no links. An operation that is acknowledged before is so in one of
the two: what the log lost meanwhile by a publication is in that newer generation. Every byte is
compared with its checksum on the way, so a snapshot of a damaged collection is never made.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from lsr.errors import (
    ExistsError,
    IndexCorruptError,
    InputError,
    LsrError,
    NotFoundError,
    StorageError,
)
from lsr.files import sha256_of, sync, sync_tree
from lsr.index.live.keeper import LOCK_FILE
from lsr.index.snapshots.listing import LISTING, Listing
from lsr.index.snapshots.restore import last_number
from lsr.index.storage.manifest import MANIFEST, FileRecord, Manifest
from lsr.index.storage.names import is_ours
from lsr.machine import refusal
from lsr.progress import Progress, no_progress

__all__ = ["Snapshots", "link_or_copy"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_TRIES = 20
_NO_LINKS = (
    *(errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EACCES),
    errno.EINVAL,  # of file systems without links on Windows
)


class Snapshots:
    """Snapshots of a collection. Methods may be called from several threads and processes.

    Args:
        collection: the collection's folder; it need not be there any more.

    Attributes:
        folder: the place where they lie, a folder each.
    """

    def __init__(self, collection: Path) -> None:
        self._collection = collection.absolute()
        self.folder = self._collection.parent / f".{self._collection.name}.snapshots"

    def names(self) -> list[str]:
        """Names of all snapshots, sorted."""
        try:
            found = [each.name for each in self.folder.iterdir() if _NAME.fullmatch(each.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(found)

    def path(self, name: str) -> Path:
        """The folder of a snapshot. Raises NotFoundError when there is none of that name."""
        if not _NAME.fullmatch(name) or name not in self.names():
            raise NotFoundError(
                f"there is no snapshot {name[:64]!r} of {self._collection.name}; there are: "
                f"{', '.join(self.names()) or 'none'}"
            )
        return self.folder / name

    def listing(self, name: str) -> Listing:
        """The contents of a snapshot. Raises NotFoundError, IndexStateError."""
        return Listing.read(self.path(name))

    def verify(self, name: str, progress: Progress = no_progress) -> list[str]:
        """Compare every byte with its checksum. Returns a sentence for each damaged file.

        Raises:
            NotFoundError: there is no such snapshot.
        """
        path = self.path(name)
        progress("verify", 0, None)
        try:
            return list(Listing.read(path).damage(path))
        except LsrError as error:
            return [str(error)]

    def delete(self, name: str) -> None:
        """Remove a snapshot. Raises NotFoundError, StorageError."""
        path = self.path(name)
        with _refusals(self.folder):
            gone = self.folder / f".{name}.deleted"
            shutil.rmtree(gone, ignore_errors=True)
            path.rename(gone)
            shutil.rmtree(gone)
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def create(self, name: str | None = None, *, progress: Progress = no_progress) -> Listing:
        """Make a snapshot of what is acknowledged now.

        Args:
            name: 1 to 64 of a-z, 0-9, `_` and `-`; default: the time and the generation.

        Raises:
            InputError: the name cannot be one.
            ExistsError: there is a snapshot of that name.
            IndexStateError: the collection is missing or damaged; nothing was made.
            StorageError: the disk is full, or there is no permission.
        """
        if name is not None and not _NAME.fullmatch(name):
            raise InputError(
                f"a snapshot cannot be named {name[:80]!r}; use 1 to 64 of a-z, 0-9, '_' and '-'"
            )
        manifest = Manifest.read(self._collection)
        name = name or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{manifest.generation}"
        if name in self.names():
            raise _exists(name)
        with _refusals(self.folder), self._draft(name) as draft:
            databases = self._back_up(draft)
            manifest, files = self._take_newest(draft, progress)
            files |= databases | self._take_others(draft, files)
            listing = Listing(
                name=name,
                collection=self._collection.name,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                lsr_version=version("lsr-search"),
                generation=manifest.generation,
                n_documents=manifest.n_documents,
                log_seq=last_number(draft),
                files=dict(sorted(files.items())),
            )
            progress("publish", 0, None)
            (draft / LISTING).write_text(listing.to_json(), "utf-8")
            self._publish(draft, name)
        return listing

    @contextmanager
    def published(self, progress: Progress = no_progress) -> Iterator[tuple[Path, Listing]]:
        """The published generation for a while, as a snapshot without the log; of no name.

        A generation gives the same bytes each time, its listing included. Others may publish
        meanwhile.

        Yields:
            A folder, gone at the end, and what it holds; the listing itself is not in it.

        Raises:
            IndexStateError: the collection is missing or damaged.
            StorageError: the disk is full, or there is no permission.
        """
        Manifest.read(self._collection)
        with ExitStack() as stack:
            with _refusals(self.folder):
                draft = stack.enter_context(self._draft("-published"))
                manifest, files = self._take_newest(draft, progress)
                files |= self._take_others(draft, files)
            listing = Listing(
                name="published",
                collection=self._collection.name,
                created=manifest.created,
                lsr_version=manifest.lsr_version,
                generation=manifest.generation,
                n_documents=manifest.n_documents,
                log_seq=manifest.log_seq,
                files=dict(sorted(files.items())),
            )
            yield draft, listing

    @contextmanager
    def _draft(self, name: str) -> Iterator[Path]:
        """A hidden folder for a new snapshot; it is gone after an error."""
        self.folder.mkdir(exist_ok=True)
        draft = self.folder / f".{name}.{os.getpid()}.building"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def _publish(self, draft: Path, name: str) -> None:
        sync_tree(draft)
        try:
            draft.rename(self.folder / name)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                raise _exists(name) from error
            raise
        sync(self.folder)
        sync(self.folder.parent)

    def _back_up(self, draft: Path) -> dict[str, FileRecord]:
        """Copies of the databases in the collection's folder, as of one moment each."""
        records = {}
        for source in sorted(self._collection.glob("*.sqlite")):
            target = draft / source.name
            try:
                with (
                    closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as live,
                    closing(sqlite3.connect(target)) as copy,
                ):
                    live.backup(copy)
                    copy.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.DatabaseError as error:
                if "full" in str(error):
                    raise StorageError(f"{target} cannot be written ({error})") from error
                raise IndexCorruptError(f"{source} cannot be read ({error})") from error
            records[source.name] = _record(target)
        return records

    def _take_newest(
        self, draft: Path, progress: Progress
    ) -> tuple[Manifest, dict[str, FileRecord]]:
        """Links to the files of the newest generation, whoever publishes meanwhile."""
        for last in range(_TRIES - 1, -1, -1):
            manifest = Manifest.read(self._collection)
            try:
                return manifest, self._take(draft, manifest, progress)
            except IndexCorruptError:  # a publication may have removed it on the way
                newer = Manifest.read(self._collection).generation != manifest.generation
                if not newer or last == 0:
                    raise
        raise AssertionError("the last try returns or raises")

    def _take(self, draft: Path, manifest: Manifest, progress: Progress) -> dict[str, FileRecord]:
        """Links to the files of a generation, each compared with its checksum."""
        for done, (name, record) in enumerate(manifest.files.items()):
            progress("copy", done, len(manifest.files))
            target = draft / name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    link_or_copy(self._collection / name, target)
                except FileNotFoundError as error:
                    raise IndexCorruptError(f"{self._collection / name} is missing") from error
            if _record(target) != record:
                target.unlink()
                raise IndexCorruptError(
                    f"{self._collection / name} has changed since it was written; no snapshot was "
                    "made, so restore the collection from an older one"
                )
        for path in draft.rglob("*"):  # of a generation that was overtaken
            name = path.relative_to(draft).as_posix()
            if path.is_file() and name not in manifest.files and "/" in name:
                path.unlink()
        (draft / MANIFEST).write_text(manifest.to_json(), "utf-8")
        return {**manifest.files, MANIFEST: _record(draft / MANIFEST)}

    def _take_others(self, draft: Path, taken: dict[str, FileRecord]) -> dict[str, FileRecord]:
        """Links to what lies beside a generation: a tuned plan, a calibration, a model."""
        records = {}
        for top in sorted(self._collection.iterdir()):
            is_log = ".sqlite" in top.name or top.name == LOCK_FILE
            if top.name.startswith(".") or is_ours(top.name) or is_log:
                continue
            paths = [top] if top.is_file() else sorted(p for p in top.rglob("*") if p.is_file())
            for path in paths:
                name = path.relative_to(self._collection).as_posix()
                hidden = any(part.startswith(".") for part in name.split("/"))
                if name in taken or hidden or path.is_symlink():
                    continue
                target = draft / name
                target.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(path, target)
                records[name] = _record(target)
        return records


def link_or_copy(source: Path, target: Path) -> None:
    """A second name of a file; a copy where the file system gives none. Raises OSError."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, target)


def _record(path: Path) -> FileRecord:
    return FileRecord(path.stat().st_size, sha256_of(path))


def _exists(name: str) -> ExistsError:
    return ExistsError(
        f"there is a snapshot {name!r} already; give the new one another name, or delete that one"
    )


@contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written ({refusal(error)}); nothing was changed, so "
            "free some space or get permission, and try again"
        ) from error
