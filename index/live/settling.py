"""`settle`: what a service acknowledged and did not publish, published before a direct change.

A service that was killed leaves operations in the log. Other changes come after them, and must not
overtake them.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from lsr.errors import IndexCorruptError, IndexStateError, StorageError
from lsr.index.live.keeper import is_kept, keeper_address
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.log import LOG_FILE
from lsr.index.storage.manifest import Manifest
from lsr.progress import Progress, no_progress

__all__ = ["n_unpublished", "settle"]


def n_unpublished(collection: Path) -> int:
    """Number of acknowledged writes that are in the log alone; 0 where there is no collection.

    Raises:
        IndexCorruptError: the log is damaged.
        StorageError: it cannot be read.
    """
    log = collection / LOG_FILE
    try:
        applied = Manifest.read(collection).log_seq
    except IndexStateError:
        return 0
    if not log.exists():
        return 0
    statement = "SELECT count(*) FROM operations WHERE seq > ?"
    try:
        with closing(sqlite3.connect(f"{log.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            ((count,),) = opened.execute(statement, (applied,)).fetchall()
    except sqlite3.OperationalError as error:
        raise StorageError(f"{log} cannot be read ({error}); check its permissions") from error
    except sqlite3.DatabaseError as error:
        raise IndexCorruptError(
            f"{log} is damaged ({error}); restore the collection from a snapshot"
        ) from error
    return int(count)


def settle(collection: Path, progress: Progress = no_progress) -> int:
    """Publish what the log alone holds. Returns how many operations that were.

    Raises:
        StorageError: a service is at work on the collection, or nothing can be published.
        IndexStateError: the collection or its log is damaged.
    """
    if is_kept(collection):
        where = keeper_address(collection) or "another process"
        raise StorageError(
            f"{collection} is kept by {where}, which writes to it; make the change there, or stop "
            "that service first"
        )
    count = n_unpublished(collection)
    if count:
        with LiveCollection.open(collection, verify=False) as live:
            live.publish(progress)
            state = live.state
        if state.published < state.acknowledged:
            raise StorageError(
                f"{collection} has acknowledged writes that cannot be published "
                f"({state.error or 'it took too long'}); nothing was changed"
            )
    return count
