"""`RayCopies`: copies of shards as actors, spread over the nodes of a Ray cluster."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from lsr.backend.ray.faults import ours
from lsr.backend.ray.package import ray
from lsr.backend.ray.worker import ShardCopy, own_version
from lsr.backend.shards_file import ShardsFile

__all__ = ["RESOURCE", "RayCopies"]

RESOURCE = "lsr"
"""Of a node: how many copies of shards it has room for. Without any, all nodes take some."""
_GROUPS = {"search": 4, "ping": 1}
"""Threads of an actor, so that it answers pings while it searches."""
_TAKE_SECONDS = 10.0


class RayCopies:
    """Actors that end with this process; Ray starts them again where their node is lost.

    Args:
        collection: a sharded collection, which all nodes see under this path.
        listed: its shards.
        n_copies: of each shard; with as many nodes, each on its own.
        verify: as `open_collection`.
    """

    def __init__(
        self, collection: Path, listed: ShardsFile, n_copies: int, *, verify: bool = True
    ) -> None:
        self._n_copies = n_copies
        wanted = own_version()
        nodes, resources = _nodes()
        self._nodes = nodes
        affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        kind = ray.remote(
            num_cpus=0,
            resources=resources,
            max_restarts=-1,
            max_task_retries=0,
            concurrency_groups=_GROUPS,
        )(ShardCopy)
        self._actors = []
        for number, record in enumerate(listed.shards):
            name = listed.name(collection, number)
            given = (collection.absolute(), name, record, wanted, verify)
            here = [self.host(number, copy) for copy in range(n_copies)]
            self._actors.append(
                [
                    kind.options(scheduling_strategy=affinity(node, soft=True)).remote(*given)
                    for node in here
                ]
            )

    @property
    def n_shards(self) -> int:
        """See `Copies`."""
        return len(self._actors)

    @property
    def n_copies(self) -> int:
        """See `Copies`."""
        return self._n_copies

    def host(self, shard: int, copy: int) -> Hashable:
        """See `Copies`."""
        return self._nodes[(shard + copy) % len(self._nodes)]

    def ask(self, shard: int, copy: int, method: str, given: Sequence[Any]) -> Hashable:
        """See `Copies`."""
        actor = self._actors[shard][copy]
        if method == "ping":
            asked = actor.ping.options(concurrency_group="ping").remote()
        else:
            asked = actor.call.options(concurrency_group="search").remote(method, given)
        reference: Hashable = asked
        return reference

    def ready(self, asked: Sequence[Any], n: int, seconds: float) -> Sequence[Any]:
        """See `Copies`."""
        found: list[Any] = ray.wait(list(asked), num_returns=n, timeout=seconds)[0]
        return found

    def take(self, asked: Any) -> Any:
        """See `Copies`."""
        try:
            return ray.get(asked, timeout=_TAKE_SECONDS)
        except ray.exceptions.RayError as error:
            raise ours(error) from error

    def close(self) -> None:
        """End the actors."""
        for each in (actor for actors in self._actors for actor in actors):
            ray.kill(each)


def _nodes() -> tuple[list[str], dict[str, float]]:
    """Nodes that take copies, and what a copy takes of one's resources."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    chosen = [node for node in alive if node["Resources"].get(RESOURCE)]
    taken = {RESOURCE: 1.0} if chosen else {}
    return sorted(node["NodeID"] for node in chosen or alive), taken
