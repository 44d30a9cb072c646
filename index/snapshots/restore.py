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
from lsr.index.live.log import operation_checksum
from lsr.index.snapshots.listing import Listing
from lsr.index.storage.manifest import MANIFEST, Manifest
from lsr.index.storage.staging import Staging
from lsr.machine import refusal
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
            f"{draft} cannot be written ({refusal(error)}); nothing was changed, so free "
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

    Operations that wait in its log get later numbers. Where none waits, the generation counts as
    one that holds the operations up to `floor`, and the log is left out.

    Args:
        draft: its folder, which nobody has open.
    """
    last = last_number(draft)
    if last >= floor:
        return
    manifest = Manifest.read(draft)
    for database in draft.glob("*.sqlite"):
        if not _last_logged(database):
            continue
        with closing(sqlite3.connect(database)) as connection, connection:
            (waiting,) = connection.execute(
                "SELECT count(*) FROM operations WHERE seq > ?", (manifest.log_seq,)
            ).fetchone()
            if waiting:
                _renumber(connection, manifest.log_seq, floor - last, floor)
                return
        database.unlink()
    manifest = replace(manifest, log_seq=floor)
    (draft / MANIFEST).write_text(manifest.to_json(), "utf-8")


def _renumber(connection: sqlite3.Connection, applied: int, more: int, last: int) -> None:
    waiting = connection.execute(
        "SELECT seq, doc_id, body, given FROM operations WHERE seq > ? ORDER BY seq DESC",
        (applied,),
    ).fetchall()
    later = [(seq + more, operation_checksum(seq + more, *rest), seq) for seq, *rest in waiting]
    connection.executemany("UPDATE operations SET seq = ?, crc = ? WHERE seq = ?", later)
    connection.execute("UPDATE encoders SET seq = -seq - ? WHERE seq > ?", (more, applied))
    connection.execute("UPDATE encoders SET seq = -seq WHERE seq < 0")
    connection.execute(
        "UPDATE state SET value = value + ? WHERE name = 'encoded' AND value > ?", (more, applied)
    )
    connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'operations'", (last,))


def _last_logged(database: Path) -> int:
    """The last number that a log has given; 0 for another database, or one that is damaged."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'operations'"
            ).fetchone()
            return int(found[0]) if found else 0
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
