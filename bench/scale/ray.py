"""`python -m bench.scale.ray`: searches through Ray, and under the loss of a node.

Compared within one run are searches of two shards on two nodes with bare calls of two actors: one
that does nothing, one that does the engine's work of a search, and one that fetches documents too.
Run it where only a loopback is: unshare --net, as make bench-ray does.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from bench.scale.ray_nodes import Nodes
from lsr.backend.build import build_sharded
from lsr.backend.collection_shard import CollectionShard, LocalShards
from lsr.backend.ray.connection import connect
from lsr.backend.ray.copies import RayCopies
from lsr.backend.ray.worker import ShardCopy, own_version
from lsr.backend.replicated_shards import Patience, ReplicatedShards
from lsr.backend.shard import Round, Shards
from lsr.backend.sharded_collection import ShardedCollection
from lsr.backend.shards_file import ShardsFile
from lsr.datasets.beir import BeirFolder
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import LsrError
from lsr.index.collection.encoder_registry import load_encoder
from lsr.index.storage.manifest import Manifest
from lsr.retrieval.plan import plan_from
from lsr.types import EncoderIdentity

N_SHARDS = 2
PASSES = 3
CLIENTS = 2
Search = Callable[[int], Any]


class Hashed:
    """Dense vectors without a model: words added up in directions of their own."""

    identity = EncoderIdentity("dense", "hashed", "0" * 64, {})
    dimension = 384

    def encode_documents(self, texts: Any, progress: Any = None) -> NDArray[np.float32]:  # noqa: ARG002
        return self.encode_queries(texts)

    def encode_queries(self, texts: Any) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                seed = int.from_bytes(word.encode()[:8].ljust(8), "big")
                vectors[row, seed % 379] += 1.0
                vectors[row, seed % 353] -= 0.5
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        found: NDArray[np.float32] = vectors / np.maximum(norms, 1e-6)
        return found


class Bare:
    """An actor that does nothing."""

    def call(self, method: str, given: Sequence[Any]) -> None:
        """See `ShardCopy`."""


class Material:
    """The index, and its queries as vectors."""

    def __init__(self, data: Path, folder: Path) -> None:
        corpus = BeirFolder(data)
        self.folder = folder
        build_sharded(corpus.documents(), folder, N_SHARDS, sparse=Bm25Encoder(), dense=Hashed)
        self.listed = ShardsFile.read(folder)
        first = folder / self.listed.shards[0].folder
        self.encoder = load_encoder(first, Manifest.read(first))
        texts = [query.text for query in corpus.queries()]
        found = self.encoder.encode_queries(texts)
        dense = Hashed().encode_queries(texts)
        said = [place for place in range(len(texts)) if len(found.row(place).terms)]
        self.texts = [texts[place] for place in said]
        self.sparse = [found.row(place) for place in said]
        self.dense = [dense[place] for place in said]

    def over(self, shards: Shards) -> ShardedCollection:
        return ShardedCollection("bench", shards, self.encoder, Hashed)

    @contextmanager
    def on_ray(
        self, replicas: int, patience: Patience | None = None
    ) -> Iterator[tuple[ShardedCollection, ReplicatedShards]]:
        shards = ReplicatedShards(RayCopies(self.folder, self.listed, replicas), patience)
        try:
            yield self.over(shards), shards
        finally:
            shards.close()

    def search(self, collection: ShardedCollection, plan: dict[str, Any]) -> Search:
        """A search of the query of a number."""
        asked = plan_from(plan)

        def search(number: int) -> Any:
            place = number % len(self.texts)
            sparse, dense = self.sparse[place], self.dense[place]
            if asked.mode == "sparse":
                dense = None
            return collection.search(
                self.texts[place], plan=asked, sparse_vector=sparse, dense_vector=dense
            )

        return search


def bare(material: Material, fetches: bool | None) -> Search:
    """Calls of two actors at once: None for nothing, else the engine's work, and documents."""
    options: dict[str, Any] = {"num_cpus": 0, "concurrency_groups": {"search": 4, "ping": 1}}
    options |= {"scheduling_strategy": "SPREAD", "resources": {"lsr": 0.1}}
    if fetches is None:
        actors = [ray.remote(**options)(Bare).remote() for _ in range(N_SHARDS)]
    else:
        kind = ray.remote(**options)(ShardCopy)
        given = (own_version(), True)
        records = material.listed.shards
        actors = [kind.remote(material.folder, "", record, *given) for record in records]
    group = {"concurrency_group": "search"}

    def search(number: int) -> Any:
        query = material.sparse[number % len(material.sparse)]
        asked = Round(query, None, (True, False), 10, None, False, np.zeros(0, np.int64))
        calls = [actor.call.options(**group).remote("search", (asked,)) for actor in actors]
        found = ray.get(calls)
        if fetches:
            best = [each.rows[each.sparse.best[:5]] for each in found]
            pairs = zip(actors, best, strict=True)
            ray.get([a.call.options(**group).remote("documents", (rows,)) for a, rows in pairs])
        return found

    return search


def times_ms(search: Search, n: int) -> NDArray[np.float64]:
    times = []
    for number in range(n):
        begin = time.perf_counter()
        search(number)
        times.append((time.perf_counter() - begin) * 1e3)
    return np.array(times)


def costs(material: Material, n: int) -> dict[str, list[float]]:
    """p50 and p95 in ms of each way, the medians over passes that take turns."""
    folders = [material.folder / each.folder for each in material.listed.shards]
    local = material.over(LocalShards([CollectionShard.open(folder) for folder in folders]))
    plans: dict[str, dict[str, Any]] = {
        "sparse": {"mode": "sparse"},
        "hybrid": {"mode": "hybrid"},
        "hybrid, feedback": {"mode": "hybrid", "prf": {"interpolate": "both"}},
    }
    with material.on_ray(1) as (collection, _):
        ways = {
            "two calls, nothing": bare(material, None),
            "two calls, search": bare(material, False),
            "two calls, search; two calls, documents": bare(material, True),
        }
        for name, plan in plans.items():
            ways[f"{name}, in process"] = material.search(local, plan)
            ways[f"{name}, Ray"] = material.search(collection, plan)
        found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in ways}
        for search in ways.values():
            times_ms(search, 50)
        for _ in range(PASSES):
            for name, search in ways.items():
                times = times_ms(search, n)
                found[name].append(np.percentile(times, [50, 95]))
    local.close()
    return {name: np.median(passes, axis=0).round(3).tolist() for name, passes in found.items()}


def loss(material: Material, nodes: Nodes, seconds: float) -> dict[str, Any]:
    """A node of two is lost under clients: what failed, what was wrong, what took longest."""
    plan = {"mode": "hybrid"}
    end, begin = threading.Event(), time.perf_counter()
    lost_at = seconds / 3
    with material.on_ray(2) as (collection, shards):
        search = material.search(collection, plan)
        truth = [told(search(number)) for number in range(len(material.texts))]
        begin = time.perf_counter()

        def client(first: int) -> list[tuple[float, float, str]]:
            rows, number = [], first
            while not end.is_set():
                since = time.perf_counter()
                try:
                    ok = told(search(number)) == truth[number % len(truth)]
                    outcome = "right" if ok else "wrong"
                except LsrError as error:
                    outcome = f"failed: {error}"
                now = time.perf_counter()
                rows.append((since - begin, (now - since) * 1e3, outcome))
                number += CLIENTS
            return rows

        with ThreadPoolExecutor(CLIENTS) as pool:
            done = [pool.submit(client, first) for first in range(CLIENTS)]
            time.sleep(lost_at)
            nodes.kill()
            time.sleep(seconds - lost_at)
            end.set()
            rows = [row for each in done for row in each.result()]
        hedged = shards.hedged
    nodes.add()
    times = np.array([row[1] for row in rows])
    before = np.array([row[0] for row in rows]) < lost_at - 1
    p99 = float(np.percentile(times[before], 99))
    return {
        "searches": len(rows),
        "failed": sum(row[2].startswith("failed") for row in rows),
        "wrong": sum(row[2] == "wrong" for row in rows),
        "slowest_ms": round(float(times.max()), 1),
        "bound_ms": round(Patience().hedge_ms + 5 * p99, 1),
        "p50_before_ms": round(float(np.median(times[before])), 2),
        "p50_after_ms": round(float(np.median(times[~before])), 2),
        "p99_before_ms": round(p99, 2),
        "hedged": hedged,
    }


def partial(material: Material, nodes: Nodes, n: int) -> dict[str, Any]:
    """A shard has no node: time of partial answers, and until answers are whole again."""
    while nodes.n_alive() != 2:
        time.sleep(0.2)
    plan = {"mode": "sparse", "allow_partial": True}
    with material.on_ray(1) as (collection, _), material.on_ray(1):
        search = material.search(collection, plan)
        whole = np.median(times_ms(search, n))
        nodes.kill()
        first = times_ms(search, 1)[0]
        time.sleep(1)
        times_ms(search, 20)
        parts = np.median(times_ms(search, n))
        ok = search(0).shards.ok
        nodes.add()
        since = time.perf_counter()
        while search(0).shards.ok < N_SHARDS:
            time.sleep(0.05)
        back = time.perf_counter() - since
    return {
        "shards_ok": ok,
        "p50_whole_ms": round(float(whole), 2),
        "p50_partial_ms": round(float(parts), 2),
        "first_after_loss_ms": round(float(first), 1),
        "whole_again_s": round(back, 1),
    }


def told(answer: Any) -> list[tuple[str, float]]:
    return [(hit.document.doc_id, hit.score) for hit in answer.hits]


def main() -> None:
    """Build, start nodes, and measure."""
    data = Path(os.environ.get("LSR_DATA", "data")) / "eval" / "nfcorpus"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=data, help="a BEIR folder")
    parser.add_argument("--searches", type=int, default=1_000, help="of a pass")
    parser.add_argument("--seconds", type=float, default=30.0, help="under the loss of a node")
    asked = parser.parse_args()
    with TemporaryDirectory() as place:
        material = Material(asked.data, Path(place) / "index")
        nodes = Nodes(2)
        connect(nodes.address)
        try:
            found: dict[str, Any] = {"ms, p50 and p95": costs(material, asked.searches)}
            print(json.dumps(found, indent=1), flush=True)
            print(json.dumps({"loss": loss(material, nodes, asked.seconds)}, indent=1), flush=True)
            print(json.dumps({"partial": partial(material, nodes, asked.searches)}, indent=1))
        finally:
            nodes.close()


if __name__ == "__main__":
    main()
