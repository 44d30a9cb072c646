"""Opening of collections by what lies in their folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lsr.backend.collection_shard import CollectionShard, LocalShards
from lsr.backend.qdrant.address import QdrantAddress, is_address
from lsr.backend.qdrant.open import open_qdrant
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
    path: Path | str, *, verify: bool = True, ray: RayOptions | None = None
) -> CollectionReader | ShardedCollection:
    """Open an index folder, be it sharded or not, or a collection of Qdrant.

    Args:
        path: the folder, or the text `qdrant:URL/NAME`.
        verify: compare files with their checksums first; points of Qdrant are when they are read.
        ray: a cluster that a sharded one's shards are opened on, rather than in this process.

    Raises:
        IndexMissingError, IndexVersionError, IndexCorruptError: it cannot be used.
        InputError: a cluster is named, and the index is not sharded; or its address is none.
        ServiceError, AccessError, UnavailableError: Qdrant or the cluster cannot be reached so.
    """
    if isinstance(path, str) and is_address(path):
        if ray is not None:
            raise InputError(f"{path} is in Qdrant and needs no cluster; leave --backend ray out")
        return open_qdrant(QdrantAddress.parse(path))
    path = Path(path)
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
    """Open a sharded index with all its shards in this process, which joins them.

    Raises as `open_collection`.
    """
    listed = ShardsFile.read(path)
    folders = [path / record.folder for record in listed.shards]
    for number, record in enumerate(listed.shards):
        record.check(path, listed.name(path, number))
    joined = CollectionShard.joined(folders, verify=verify)
    return routed(path, listed, LocalShards([joined]), sizes=[len(folders)])


def routed(
    path: Path, listed: ShardsFile, shards: Shards, sizes: Sequence[int] = ()
) -> ShardedCollection:
    """A sharded index over its shards, however they are reached. Raises as `open_collection`.

    Args:
        sizes: as `ShardedCollection`.
    """
    first = path / listed.shards[0].folder
    manifest = Manifest.read(first)
    dense = None if manifest.dense is None else partial(open_model, manifest.dense, None)
    return ShardedCollection(
        path.name,
        shards,
        load_encoder(first, manifest),
        dense,
        generation=listed.generation,
        sizes=sizes,
    )
