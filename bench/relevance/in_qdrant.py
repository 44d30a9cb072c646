"""An index in Qdrant beside the index itself: which answers are equal, and what they cost.

    python -m bench.relevance.in_qdrant --corpus path/to/nfcorpus [--queries 60]

BM25, and a projection of words by their hashes in place of a dense model, as equality does not
depend on it. The engine of Qdrant runs in this process (qdrant-edge-py): there is no network in the
times. Compared is all of an answer but the time; then the index comes back, and all its vectors and
documents are compared.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.relevance.edge_points import EdgeStore
from lsr.backend.qdrant.address import QdrantAddress
from lsr.backend.qdrant.migrate import migrate_from, migrate_to
from lsr.backend.qdrant.open import open_stored
from lsr.datasets.open import open_judged_corpus
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.retrieval.answers.answer import Answer
from lsr.retrieval.plan import plan_from
from lsr.types import EncoderIdentity

__all__ = ["main"]

PLANS: tuple[dict[str, Any], ...] = (
    {"mode": "sparse"},
    {"mode": "sparse", "prf": {"sparse": {"enabled": True}}},
    {"mode": "dense"},
    {"mode": "hybrid"},
    {"mode": "hybrid", "fusion": {"method": "rrf"}},
    {"mode": "hybrid", "fusion": {"norm": "minmax", "missing": "zero"}},
    {"mode": "hybrid", "prf": {"interpolate": "both", "sparse": {"enabled": True}}},
    {"mode": "hybrid", "prf": {"interpolate": "both"}, "explain": "full"},
)
DEPTHS = (1, 10, 100)


class Hashes:
    """A dense encoder without a network: the sum of a random vector for each word."""

    identity = EncoderIdentity("dense", "hashes", "0" * 64, {})
    dimension = 96

    def encode_documents(self, texts: Sequence[str], progress: Any = None) -> NDArray[np.float32]:  # noqa: ARG002
        """See `DenseEncoder`."""
        return self.encode_queries(texts)

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `DenseEncoder`."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                seed = zlib.crc32(word.encode())
                vectors[row] += np.random.default_rng(seed).standard_normal(self.dimension)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, lengths, out=vectors, where=lengths > 0)
        return vectors


def main() -> None:
    """Compare, and print a table."""
    parser = argparse.ArgumentParser(description="an index in Qdrant beside the index itself")
    parser.add_argument("--corpus", required=True, help="a BEIR folder or an ir_datasets id")
    parser.add_argument("--queries", type=int, default=60)
    given = parser.parse_args()
    corpus, dense = open_judged_corpus(given.corpus), Hashes()
    queries = [query.text for query in islice(corpus.queries(), given.queries)]
    address = QdrantAddress("http://in-process", "corpus")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        build_collection(corpus.documents(), work / "index", sparse=Bm25Encoder(), dense=dense)
        index = CollectionReader.open(work / "index", dense=dense)
        store = EdgeStore(work)
        start = time.perf_counter()
        n = migrate_to(index, store, address).n_documents
        there = time.perf_counter() - start
        collection = open_stored(store, address, dense)
        print("| plan | depths | equal | of | index, ms p50 | Qdrant, ms p50 |")
        print("|---|---|---|---|---|---|")
        for plan in PLANS:
            _print(plan, queries, index.search, collection.search)
        start = time.perf_counter()
        migrate_from(store, address, work / "back")
        back = time.perf_counter() - start
        print(f"{n:,} documents; there {there:.1f} s, back {back:.1f} s;", _compared(work, n))


def _print(
    plan: Mapping[str, Any],
    queries: Sequence[str],
    first: Callable[..., Answer],
    second: Callable[..., Answer],
) -> None:
    equal, times = 0, ([0.0], [0.0])
    for text in queries:
        for k in DEPTHS:
            answers = []
            for search, taken in zip((first, second), times, strict=True):
                start = time.perf_counter()
                answers.append(search(text, k=k, plan=plan_from(plan)))
                taken.append(time.perf_counter() - start)
            equal += _told(answers[0]) == _told(answers[1])
    p50 = [f"{1_000 * float(np.median(taken[1:])):.2f}" for taken in times]
    depths = ", ".join(map(str, DEPTHS))
    print(f"| `{plan}` | {depths} | {equal} | {len(queries) * len(DEPTHS)} | {' | '.join(p50)} |")


def _told(answer: Answer) -> dict[str, Any]:
    """All of an answer but the time and the shards."""
    return asdict(replace(answer, took_ms={}, shards=None, analyzer=None))


def _compared(work: Path, n: int) -> str:
    one, other = (CollectionReader.open(work / name) for name in ("index", "back"))
    rows = np.arange(n, dtype=np.int32)
    nothing = one.encoder.encode_queries([""]).row(0)
    sparse = [reader.sparse.vectors(rows, nothing) for reader in (one, other)]
    same = {
        "documents": one.store.documents(rows.tolist()) == other.store.documents(rows.tolist()),
        "sparse vectors": sparse[0].weights.tobytes() == sparse[1].weights.tobytes()
        and np.array_equal(sparse[0].terms, sparse[1].terms),
        "dense vectors": np.array_equal(
            one.segment.dense_vectors(rows), other.segment.dense_vectors(rows)
        ),
        "encoder": one.encoder.identity == other.encoder.identity,
    }
    return ", ".join(
        f"{name} {'equal' if is_equal else 'DIFFER'}" for name, is_equal in same.items()
    )


if __name__ == "__main__":
    main()
