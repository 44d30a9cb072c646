"""Sharded collections on the cluster, and what tests ask of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lsr.backend.ray.copies import RayCopies
from lsr.backend.replicated_shards import Patience, ReplicatedShards
from lsr.backend.sharded_collection import ShardedCollection
from lsr.backend.shards_file import ShardsFile
from lsr.errors import ShardsMissingError
from lsr.index.collection.encoder_registry import load_encoder
from lsr.index.collection.reader import CollectionReader
from lsr.index.storage.manifest import Manifest
from lsr.retrieval.plan import plan_from
from tests.backend.test_answers import PLANS, QUERIES, told
from tests.support.hybrid_corpus import Topics

__all__ = ["PARTIAL", "check_answers", "is_whole", "on_ray", "until"]

PARTIAL = plan_from({"mode": "sparse", "allow_partial": True})


@contextmanager
def on_ray(
    folder: Path, replicas: int, patience: Patience | None = None
) -> Iterator[ShardedCollection]:
    """A collection that ends with the block; its dense model is that of the tests."""
    listed = ShardsFile.read(folder)
    shards = ReplicatedShards(RayCopies(folder, listed, replicas), patience)
    first = folder / listed.shards[0].folder
    collection = ShardedCollection(
        "sharded", shards, load_encoder(first, Manifest.read(first)), Topics
    )
    try:
        yield collection
    finally:
        collection.close()


def check_answers(found: ShardedCollection, one: CollectionReader) -> None:
    """Ids, scores to the bit, explanations, feedback and totals are those of one index."""
    for given in PLANS:
        for text in QUERIES:
            for k, offset in ((10, 0), (5, 7)):
                asked: dict[str, Any] = {"k": k, "offset": offset, "plan": plan_from(given)}
                answer = found.search(text, **asked)
                assert told(answer) == told(one.search(text, **asked)), (given, text)
                assert answer.shards is not None
                assert (answer.shards.total, answer.shards.ok) == (2, 2)


def is_whole(found: ShardedCollection) -> bool:
    """Whether all shards answer."""
    try:
        found.search("heron")
    except ShardsMissingError:
        return False
    return True


def until(is_so: Callable[[], bool]) -> None:
    """Wait for it, a minute at most."""
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.1)
