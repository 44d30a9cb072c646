"""The work on the nodes of a cluster: tasks of a build, and copies of shards."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from lsr.backend.collection_shard import CollectionShard
from lsr.backend.shards_file import ShardRecord
from lsr.errors import ServiceError

__all__ = ["ShardCopy", "check_version", "own_version", "run_task"]

Result = TypeVar("Result")


def own_version() -> str:
    """The version of lsr in this process."""
    return version("lsr-search")


def check_version(wanted: str) -> None:
    """Compare the version of lsr here with that of the process that asks. Raises ServiceError."""
    own = own_version()
    if own != wanted:
        raise ServiceError(
            f"the Ray node {socket.gethostname()} has lsr {own} and this is lsr {wanted}; install "
            "one version on all nodes"
        )


def run_task(wanted: str, function: Callable[..., Result], given: Sequence[Any]) -> Result:
    """Do a task of a build. Raises what it raises, and ServiceError for another version of lsr."""
    check_version(wanted)
    return function(*given)


class ShardCopy:
    """A copy of a shard, opened when it is first asked: so one that cannot be may be later.

    Args:
        collection: the folder, as this node sees it too.
        name: of the shard, for people.
        record: what the router knows of it.
        wanted: the version of lsr of the router.
        verify: whether files are compared with their checksums.
    """

    def __init__(
        self, collection: Path, name: str, record: ShardRecord, wanted: str, verify: bool
    ) -> None:
        self._collection = collection
        self._name = name
        self._record = record
        self._wanted = wanted
        self._verify = verify
        self._lock = threading.Lock()
        self._shard: CollectionShard | None = None

    def call(self, method: str, given: Sequence[Any]) -> Any:
        """A method of `Shard`. Raises what it raises, and as `ping`."""
        return getattr(self._opened(), method)(*given)

    def ping(self) -> None:
        """Say that the shard is open.

        Raises:
            ServiceError: lsr has another version here.
            IndexMissingError, IndexVersionError, IndexCorruptError: the folder is not the one that
                the router knows, or not to be seen from here.
        """
        self._opened()

    def _opened(self) -> CollectionShard:
        with self._lock:
            if self._shard is None:
                check_version(self._wanted)
                self._record.check(self._collection, self._name)
                folder = self._collection / self._record.folder
                self._shard = CollectionShard.open(folder, verify=self._verify)
                self._shard.warm_up()
            return self._shard
