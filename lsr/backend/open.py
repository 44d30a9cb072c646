"""Opening of collections by what lies in their folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lsr.backend.collection_shard import CollectionShard, LocalShards
from lsr.backend.ray_options import RayOptions
from lsr.backend.shard import Shards
from lsr.backend.sharded_collection import ShardedCollection
from lsr.backend.shards_file import ShardsFile, is_sharded
from lsr.errors import InputError
from lsr.index.collection.encoder_registry import load_encoder
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.retrievers import open_model
from lsr.index.storage.manifest import Manifest

__all__ = ["open_collection", "open_sharded", "routed"]


def open_collection(
    path: Path, *, verify: bool = True, ray: RayOptions | None = None
) -> CollectionReader | ShardedCollection:
    """Open an index folder, be it sharded or not.

    Args:
        verify: whether its files are compared with their checksums.
        ray: a cluster that a sharded one's shards are opened on, rather than in this process.

    Raises:
        IndexMissingError, IndexVersionError, IndexCorruptError: the folder cannot be used.
        InputError: a cluster is named, and the index is not sharded; or its address is none.
        ServiceError: there is no such cluster, or the shards do not start on it.
        UnavailableError: Ray is not installed; names the extra.
    """
    if ray is not None:
        from lsr.backend.ray.open import open_on_ray

        if not is_sharded(path) and Manifest.read(path):
            raise InputError(
                f"{path} is one index and needs no cluster; build it with --shards N, or leave "
                "--backend ray out"
            )
        return open_on_ray(path, ray, verify=verify)
    if is_sharded(path):
        return open_sharded(path, verify=verify)
    return CollectionReader.open(path, verify=verify)


def open_sharded(path: Path, *, verify: bool = True) -> ShardedCollection:
    """Open a sharded index with all its shards in this process. Raises as `open_collection`."""
    listed = ShardsFile.read(path)
    shards = []
    for number, record in enumerate(listed.shards):
        record.check(path, listed.name(path, number))
        shards.append(CollectionShard.open(path / record.folder, verify=verify))
    return routed(path, listed, LocalShards(shards))


def routed(path: Path, listed: ShardsFile, shards: Shards) -> ShardedCollection:
    """A sharded index over its shards, however they are reached. Raises as `open_collection`."""
    first = path / listed.shards[0].folder
    manifest = Manifest.read(first)
    dense = None if manifest.dense is None else partial(open_model, manifest.dense, None)
    return ShardedCollection(
        path.name,
        shards,
        load_encoder(first, manifest),
        dense,
        generation=listed.generation,
    )
