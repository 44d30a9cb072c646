"""Opening of collections by what lies in their folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lsr.backend.collection_shard import CollectionShard, LocalShards
from lsr.backend.qdrant.address import QdrantAddress, is_address
from lsr.backend.qdrant.open import open_qdrant
from lsr.backend.sharded_collection import ShardedCollection
from lsr.backend.shards_file import ShardsFile, is_sharded
from lsr.index.collection.encoder_registry import load_encoder
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.retrievers import open_model
from lsr.index.storage.manifest import Manifest

__all__ = ["open_collection", "open_sharded"]


def open_collection(
    path: Path | str, *, verify: bool = True
) -> CollectionReader | ShardedCollection:
    """Open an index folder, be it sharded or not, or a collection of Qdrant.

    Args:
        path: the folder, or the text `qdrant:URL/NAME`.
        verify: compare files with their checksums first; points of Qdrant are when they are read.

    Raises:
        IndexMissingError, IndexVersionError, IndexCorruptError: it cannot be used.
        InputError, ServiceError, AccessError, UnavailableError: Qdrant cannot be reached so.
    """
    if isinstance(path, str) and is_address(path):
        return open_qdrant(QdrantAddress.parse(path))
    path = Path(path)
    if is_sharded(path):
        return open_sharded(path, verify=verify)
    return CollectionReader.open(path, verify=verify)


def open_sharded(path: Path, *, verify: bool = True) -> ShardedCollection:
    """Open a sharded index with all its shards in this process, which joins them.

    Raises as `open_collection`.
    """
    listed = ShardsFile.read(path)
    for number in range(len(listed.shards)):
        listed.check(path, number)
    folders = [path / record.folder for record in listed.shards]
    manifest = Manifest.read(folders[0])
    dense = None if manifest.dense is None else partial(open_model, manifest.dense, None)
    return ShardedCollection(
        path.name,
        LocalShards([CollectionShard.joined(folders, verify=verify)]),
        load_encoder(folders[0], manifest),
        dense,
        generation=listed.generation,
        sizes=[len(folders)],
    )
