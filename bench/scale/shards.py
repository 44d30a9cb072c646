"""`python -m bench.scale.shards`: a sharded collection against one collection.

Compared are ids and scores to the bit of every judged query, plan and number of shards; then the
time of a search in process, as a ratio of medians within one run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.backend.build import build_sharded
from lsr.backend.collection_shard import CollectionShard, LocalShards
from lsr.backend.sharded_collection import ShardedCollection
from lsr.backend.shards_file import ShardsFile
from lsr.datasets.beir import BeirFolder
from lsr.encoders.corpus.statistics import CountingEncoder
from lsr.encoders.protocols import DenseEncoder
from lsr.encoders.registry import open_dense, open_sparse
from lsr.evaluation.evaluate import judged_queries
from lsr.index.collection.build import build_collection
from lsr.index.collection.encoder_registry import load_encoder
from lsr.index.collection.reader import CollectionReader
from lsr.index.storage.manifest import Manifest
from lsr.retrieval.plan import plan_from
from lsr.types import Query

PLANS: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("sparse, 10", 10, {"mode": "sparse"}),
    ("sparse, 100", 100, {"mode": "sparse"}),
    ("sparse, feedback", 10, {"mode": "sparse", "prf": {"sparse": {"enabled": True}}}),
    ("dense", 10, {"mode": "dense"}),
    ("hybrid", 10, {"mode": "hybrid"}),
    ("hybrid, rrf", 10, {"mode": "hybrid", "fusion": {"method": "rrf"}}),
    (
        "hybrid, minmax, zero",
        10,
        {"mode": "hybrid", "fusion": {"norm": "minmax", "missing": "zero"}},
    ),
    (
        "hybrid, feedback both",
        10,
        {"mode": "hybrid", "prf": {"interpolate": "both", "sparse": {"enabled": True}}},
    ),
    (
        "the same, explained",
        10,
        {
            "mode": "hybrid",
            "prf": {"interpolate": "both", "sparse": {"enabled": True}},
            "explain": "full",
        },
    ),
)
_SEARCHES = 1_000
"""Searches of a timed pass, at least."""


def main() -> None:
    """Build, compare and time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="a BEIR folder")
    parser.add_argument("--sparse", default="bm25")
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2, 4, 7])
    parser.add_argument("--cache", type=Path, help="folder of vectors, kept")
    parser.add_argument("--queries", type=int, help="judged queries, the first of them")
    asked = parser.parse_args()
    model = open_dense("all-MiniLM-L6-v2")
    assert model is not None
    dense = Remembering(model)
    corpus = BeirFolder(asked.data)
    queries = judged_queries(list(corpus.queries()), corpus.qrels("test"))[: asked.queries]
    with TemporaryDirectory() as place:
        work = Path(place)
        encoder = open_sparse(asked.sparse)
        build_collection(
            corpus.documents(),
            work / "one",
            sparse=encoder,
            dense=dense,
            vector_cache=asked.cache,
        )
        one = CollectionReader.open(work / "one", dense=dense)
        for n_shards in asked.shards:
            sparse = open_sparse(asked.sparse)
            assert isinstance(sparse, CountingEncoder)
            made = build_sharded(
                corpus.documents(),
                work / str(n_shards),
                n_shards,
                sparse=sparse,
                dense=lambda: dense,
                vector_cache=asked.cache,
            )
            for joined in (False, True):
                sharded = _opened(work / str(n_shards), made, dense, joined=joined)
                for line in _compared(one, sharded, queries, dense):
                    row = {"shards": n_shards, "joined": joined, **line}
                    print(json.dumps(row), flush=True)
                sharded.close()


class Remembering:
    """A dense model that encodes each text once: a vector is a function of its text."""

    def __init__(self, model: DenseEncoder) -> None:
        self._model = model
        self.identity, self.dimension = model.identity, model.dimension
        self._known: dict[str, NDArray[np.float32]] = {}

    def encode_documents(
        self,
        texts: Sequence[str],
        progress: Callable[[int], None] | None = None,  # noqa: ARG002
    ) -> NDArray[np.float32]:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known |= dict(zip(new, self._model.encode_documents(new), strict=True))
        vectors = [self._known[text] for text in texts]
        return np.array(vectors, np.float32).reshape(len(texts), self.dimension)

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._model.encode_queries(texts)


def _opened(
    folder: Path, made: ShardsFile, dense: DenseEncoder, *, joined: bool
) -> ShardedCollection:
    folders = [folder / each.folder for each in made.shards]
    apart = [] if joined else [CollectionShard.open(each) for each in folders]
    shards = LocalShards(apart or [CollectionShard.joined(folders)])
    encoder = load_encoder(folders[0], Manifest.read(folders[0]))
    return ShardedCollection(folder.name, shards, encoder, lambda: dense)


def _compared(
    one: CollectionReader,
    sharded: ShardedCollection,
    queries: Sequence[Query],
    dense: DenseEncoder,
) -> Iterator[dict[str, Any]]:
    vectors = dense.encode_queries([query.text for query in queries])
    searches = [
        {
            "text": query.text,
            "dense_vector": vector,
            "sparse_vector": one.encoder.encode_queries([query.text]).row(0),
        }
        for query, vector in zip(queries, vectors, strict=True)
    ]
    for name, k, given in PLANS:
        plan = plan_from(given)
        equal = 0
        for search in searches:
            found, expected = (each.search(**search, k=k, plan=plan) for each in (sharded, one))
            same = [(hit.document, hit.score, hit.explanation) for hit in found.hits]
            equal += (
                same == [(hit.document, hit.score, hit.explanation) for hit in expected.hits]
                and found.prf == expected.prf
                and found.total == expected.total
            )
        times: dict[str, list[float]] = {"one": [], "sharded": []}
        passes = -(-_SEARCHES // len(searches))
        for _ in range(passes):
            for search in searches:
                for label, each in (("one", one), ("sharded", sharded)):
                    start = time.perf_counter()
                    each.search(**search, k=k, plan=plan)
                    times[label].append(time.perf_counter() - start)
        p50 = {label: 1e3 * statistics.median(each) for label, each in times.items()}
        yield {
            "plan": name,
            "equal": f"{equal} of {len(searches)}",
            "one_ms": round(p50["one"], 3),
            "sharded_ms": round(p50["sharded"], 3),
            "ratio": round(p50["sharded"] / p50["one"], 2),
        }


if __name__ == "__main__":
    main()
