"""From a snapshot back to a collection: copied and compared beside it, then put in its place."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from lsr.errors import IndexCorruptError, IndexStateError, StorageError
from lsr.files import sync, sync_tree
from lsr.index.live.log import LOG_FILE, OperationLog
from lsr.index.snapshots.listing import Listing
from lsr.index.storage.manifest import MANIFEST, Manifest
from lsr.index.storage.staging import Staging
from lsr.progress import Progress, no_progress

__all__ = ["last_number", "raise_numbers", "recover", "restore", "restored", "swap_in"]


@contextmanager
def restored(
    snapshot: Path, target: Path, progress: Progress = no_progress
) -> Iterator[tuple[Path, Listing]]:
    """A copy of a snapshot beside `target`, whole and compared; gone at the end, unless moved.

    Args:
        snapshot: its folder.
        target: the collection's folder, there or not.

    Yields:
        The folder, ready to be the collection's, and what it holds.

    Raises:
        NotFoundError, IndexStateError: the snapshot cannot be used; nothing was changed.
        StorageError: the disk is full, or there is no permission.
    """
    listing = Listing.read(snapshot)
    draft = target.parent / f".{target.name}.{os.getpid()}.restored"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        for done, name in enumerate(listing.files):
            progress("copy", done, len(listing.files))
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(snapshot / name, draft / name)
            except FileNotFoundError as error:
                raise IndexCorruptError(
                    f"{snapshot / name} is missing; nothing was changed, so use another snapshot"
                ) from error
        progress("verify", 0, None)
        for damage in listing.damage(draft):
            raise IndexCorruptError(f"{damage}; nothing was changed, so use another snapshot")
        Manifest.read(draft)
        sync_tree(draft)
        yield draft, listing
    except OSError as error:
        raise StorageError(
            f"{draft} cannot be written ({error.strerror or error}); nothing was changed, so free "
            "some space or get permission, and try again"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def restore(snapshot: Path, target: Path, *, progress: Progress = no_progress) -> Listing:
    """Put a snapshot's collection at `target`, in place of one that is there.

    Raises:
        InputError: `target` is something else than an index.
        NotFoundError, IndexStateError, StorageError: as `restored`; also another writer is at work.
    """
    target = target.absolute()
    with Staging(target), restored(snapshot, target, progress) as (draft, listing):
        raise_numbers(draft, last_number(target))
        swap_in(draft, target)
    return listing


def last_number(collection: Path) -> int:
    """The last number that a collection gave an operation; 0 where there is no collection."""
    try:
        published = Manifest.read(collection).log_seq
    except IndexStateError:
        published = 0
    return max([published, *map(_last_logged, collection.glob("*.sqlite"))])


def raise_numbers(draft: Path, floor: int) -> None:
    """Make a restored collection number its next operation above `floor`.

    Operations that wait in its log get later numbers; where none does, its generation counts as
    one that holds the operations up to `floor`.

    Args:
        draft: its folder, which nobody has open.
    """
    manifest = Manifest.read(draft)
    last = last_number(draft)
    if last >= floor:
        return
    if (draft / LOG_FILE).exists() and _last_logged(draft / LOG_FILE) > manifest.log_seq:
        log = OperationLog(draft / LOG_FILE, manifest.log_seq)
        try:
            log.renumber(manifest.log_seq, floor - last)
        finally:
            log.close()
        return
    (draft / MANIFEST).write_text(replace(manifest, log_seq=floor).to_json(), "utf-8")


def _last_logged(database: Path) -> int:
    """The last number that a log gave; 0 for another database, or one that is damaged."""
    statement = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'operations'"
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            return int(connection.execute(statement).fetchone()[0])
    except sqlite3.DatabaseError:
        return 0


def swap_in(draft: Path, target: Path) -> None:
    """Put a finished folder in the place of another, or where there is none.

    A process that dies between the two renames leaves `.NAME.replaced`, which `recover` puts back.

    Raises:
        OSError: the machine refuses; `target` is as it was.
    """
    before = _replaced(target)
    if target.exists():
        shutil.rmtree(before, ignore_errors=True)
        target.rename(before)
    try:
        draft.rename(target)
    except BaseException:
        if before.exists():
            before.rename(target)
        raise
    sync(target.parent)
    shutil.rmtree(before, ignore_errors=True)


def recover(target: Path) -> None:
    """Finish a `swap_in` that was killed: the folder that was there is put back. Raises OSError."""
    before = _replaced(target)
    if before.exists():
        if target.exists():
            shutil.rmtree(before, ignore_errors=True)
        else:
            before.rename(target)


def _replaced(target: Path) -> Path:
    return target.parent / f".{target.name}.replaced"
