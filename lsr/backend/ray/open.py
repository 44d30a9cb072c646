"""Opening of sharded collections on a Ray cluster."""

from __future__ import annotations

from pathlib import Path

from lsr.backend.open import routed
from lsr.backend.ray.connection import connect
from lsr.backend.ray.copies import RayCopies
from lsr.backend.ray_options import RayOptions
from lsr.backend.replicated_shards import ReplicatedShards
from lsr.backend.sharded_collection import ShardedCollection
from lsr.backend.shards_file import ShardsFile

__all__ = ["open_on_ray"]


def open_on_ray(path: Path, options: RayOptions, *, verify: bool = True) -> ShardedCollection:
    """Open a sharded index with its shards on the nodes of a Ray cluster.

    Raises:
        InputError, ServiceError: as `connect`, or no copy of a shard could be started.
        IndexMissingError, IndexVersionError, IndexCorruptError: no copy of a shard can be used.
    """
    listed = ShardsFile.read(path)
    connect(options.address)
    copies = RayCopies(path, listed, options.replicas, verify=verify)
    return routed(path, listed, ReplicatedShards(copies, options.patience))
