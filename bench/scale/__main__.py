"""`python -m bench.scale`: what 10 million to 10 billion passages take, from figures measured here.

Measured on a sample of a BEIR folder, encoded by the bundled model: CPU to encode a document and to
build an index of it, bytes of its lists, vectors and texts, and of a query's answer from a shard.
The rest is arithmetic, which the report names: shards of 10 million, two replicas, machines of
64 GB. Exact search takes time linearly with the documents of a shard; approximate search, which
does not, has figures of its own in `python -m bench.engine`.
"""

from __future__ import annotations

import argparse
import math
import pickle
import statistics
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from lsr.backend.collection_shard import CollectionShard
from lsr.backend.shard import Round
from lsr.datasets.beir import BeirFolder
from lsr.encoders.registry import open_sparse
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.types import Document

SHARD = 10_000_000
REPLICAS = 2
MACHINE_BYTES = 64e9
USABLE = 0.75
"""Of a machine's memory."""
DIMENSION = 384
GRAPH_BYTES = 270
"""Of a document in a graph of 32 links, as faiss writes it."""
WINDOW = 100


@dataclass(frozen=True)
class Measured:
    """Costs of a document and a query, on one core of this machine.

    Attributes:
        encode, build: CPU seconds a document.
        lists, disk: bytes a document: of inverted lists; of all files, texts among them.
        query: seconds a document of a shard, of exact search.
        router: seconds of the router for a shard's part of a round.
        answer: bytes of a shard's part of a round.
    """

    encode: float
    build: float
    lists: float
    disk: float
    query: float
    router: float
    answer: float
    terms: float


def main() -> None:
    """Measure, and print the plan as a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="a BEIR folder")
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument("--sparse", default="doc-mini")
    asked = parser.parse_args()
    folder = BeirFolder(asked.data)
    documents = list(islice(folder.documents(), asked.documents))
    texts = [query.text for query in islice(folder.queries(), 1_000)]
    found = measured(documents, texts, asked.sparse)
    print(f"{len(documents):,} documents, {found.terms:.0f} terms each, {asked.sparse}, one core:")
    print(f"encode {1e3 * found.encode:.1f} ms, build {1e6 * found.build:.0f} us a document")
    print(f"{found.lists:,.0f} bytes of lists, {found.disk:,.0f} bytes on disk a document")
    print(f"query {1e9 * found.query:.2f} ns a document, exact; a shard's part of a round ", end="")
    print(f"{found.answer / 1e3:.1f} kB, {1e6 * found.router:.0f} us at the router")
    print(table(found))


def measured(documents: list[Document], queries: list[str], sparse: str) -> Measured:
    """Build the sample's index, and search it."""
    encoder = open_sparse(sparse)
    texts = [document.full_text for document in documents]
    encoder.encode_documents(texts[:2])  # the network is opened
    start = time.process_time()
    encoder.encode_corpus([texts])
    encode = (time.process_time() - start) / len(texts)
    with TemporaryDirectory() as place:
        path = Path(place) / "index"
        bm25 = open_sparse("bm25")
        start = time.process_time()
        build_collection(documents, Path(place) / "plain", sparse=bm25)
        build = (time.process_time() - start) / len(texts)
        manifest = build_collection(documents, path, sparse=open_sparse(sparse))
        reader = CollectionReader.open(path)
        reader.warm_up()
        seconds = []
        for one in map(reader.encoder.encode_queries, ([text] for text in queries)):
            start = time.perf_counter()
            reader.sparse.search(one, WINDOW)
            seconds.append(time.perf_counter() - start)
        shard = CollectionShard(reader)
        vector = reader.encoder.encode_queries([queries[0]]).row(0)
        nothing = np.zeros(0, np.int64)
        asked = Round(vector, None, (True, False), WINDOW, None, False, nothing)
        answer = pickle.dumps(shard.search(asked))
        start = time.process_time()
        for _ in range(200):
            pickle.loads(answer)
        router = (time.process_time() - start) / 200
        n = len(documents)
        lists = reader.segment.lists_nbytes / n
        terms = manifest.n_postings / n
        query = statistics.median(seconds) / n
        reader.close()
        return Measured(
            encode, build, lists, manifest.size_bytes / n, query, router, len(answer), terms
        )


def table(found: Measured) -> str:
    """The plan, a line for each size."""
    lines = [
        "| passages | shards | encode, core-hours | build, core-hours | memory, lists / and dense |"
        " disk | machines | a round at the router |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for n in (10**7, 10**8, 10**9, 10**10):
        shards = math.ceil(n / SHARD)
        memory = n * found.lists
        dense = memory + n * (4 * DIMENSION + GRAPH_BYTES)
        machines = math.ceil(REPLICAS * dense / (USABLE * MACHINE_BYTES))
        lines.append(
            f"| {_count(n)} | {shards:,} | {n * found.encode / 3600:,.0f} | "
            f"{n * found.build / 3600:,.1f} | {_bytes(memory)} / {_bytes(dense)} | "
            f"{_bytes(n * (found.disk + 4 * DIMENSION))} | {max(machines, REPLICAS):,} | "
            f"{_bytes(shards * found.answer)}, {1e3 * shards * found.router:,.1f} ms |"
        )
    return "\n".join(lines)


def _count(n: int) -> str:
    return f"{n // 10**9} billion" if n >= 10**9 else f"{n // 10**6} million"


def _bytes(n: float) -> str:
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if n >= size:
            return f"{n / size:,.{0 if n >= 10 * size else 1}f} {unit}"
    return f"{n / 1e3:,.0f} kB"


if __name__ == "__main__":
    main()
