"""Opening of a collection of Qdrant, as the one shard of a `ShardedCollection`."""

from __future__ import annotations

from functools import partial

from lsr.backend.collection_shard import LocalShards
from lsr.backend.qdrant.address import QdrantAddress
from lsr.backend.qdrant.client import ClientStore
from lsr.backend.qdrant.shard import QdrantShard
from lsr.backend.qdrant.store import PointStore
from lsr.backend.sharded_collection import ShardedCollection
from lsr.encoders.protocols import DenseEncoder
from lsr.index.collection.retrievers import open_model

__all__ = ["open_qdrant", "open_stored"]


def open_qdrant(address: QdrantAddress) -> ShardedCollection:
    """Open what `lsr migrate` made.

    Raises:
        UnavailableError: qdrant-client is not installed.
        ServiceError, AccessError: the server does not answer, or refuses.
        IndexMissingError, IndexVersionError, IndexCorruptError: it cannot be searched as it is.
    """
    return open_stored(ClientStore.open(address), address)


def open_stored(
    store: PointStore, address: QdrantAddress, dense: DenseEncoder | None = None
) -> ShardedCollection:
    """Open a collection of a store, which is closed with it. Raises as `open_qdrant`.

    Args:
        dense: the dense model, where it is loaded already.
    """
    try:
        shard = QdrantShard(store, address.name, address.side)
    except BaseException:
        store.close()
        raise
    try:
        tuned_plan, made = shard.tuned_plan(), shard.record.dense
        return ShardedCollection(
            str(address),
            LocalShards([shard]),
            shard.encoder(),
            None if made is None else (lambda: dense) if dense else partial(open_model, made, None),
            generation=shard.record.generation,
            default_plan=None if tuned_plan is None else tuned_plan.plan,
        )
    except BaseException:
        shard.close()
        raise
