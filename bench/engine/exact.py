"""The exact searcher against its peers: same machine, same run, same vectors.

    python -m bench.engine.exact [--json FILE] [--datasets scifact,nfcorpus,vaswani] [--k 10]

Collections are read from $LSR_DATA/eval (by default ../shared/data/eval beside the repository).
Every method answers the same thousand queries or more, whole passes of one method after the other,
because asking few queries again and again measures the cache; of the passes the fastest counts.
Queries are encoded, or split into tokens, beforehand. SciPy's products are given our vectors;
bm25s computes its own from our tokens, which come out the same. Before anything is timed, all
methods must return the same scores for every query.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from lsr.datasets.beir import BeirFolder
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.search.exact_searcher import ExactSearcher
from lsr.index.storage.inverted_lists import inverted_lists
from lsr.index.storage.segment import Segment
from lsr.sparse import CSR

DATASETS = ("scifact", "nfcorpus", "vaswani")
MIN_QUERIES = 1_000
PASSES = 11
TOLERANCE = 1e-4

OURS_BATCH, OURS_SINGLE = "ours, batch", "ours, one by one"
SCIPY_DENSE, SCIPY_SPARSE = "scipy documents @ dense query", "scipy query @ transposed documents"
SCIPY_BATCH = "scipy all queries @ transposed"
BM25S_BATCH, BM25S_SINGLE = "bm25s numba, batch", "bm25s numba, one by one"

Scores = NDArray[np.float32]
Method = Callable[[], Sequence[Scores]]
"""Answers every query; returns their best scores, descending, in blocks of one query or more."""


@dataclass(frozen=True)
class Workload:
    """A collection as vectors and as tokens, and the queries of one pass likewise."""

    name: str
    doc_ids: list[str]
    documents: CSR
    queries: CSR
    document_tokens: list[list[int]]
    vocabulary: dict[str, int]


@dataclass(frozen=True)
class Result:
    """What was measured on one collection; `us_per_query` by method."""

    dataset: str
    n_documents: int
    n_queries: int
    postings_per_query: float
    k: int
    us_per_query: dict[str, float]


def data_folder() -> Path:
    """$LSR_DATA, or ../shared/data beside the repository."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("LSR_DATA") or beside)


def load(folder: Path) -> Workload:
    """Read and encode a collection; few queries are repeated, in a shuffled order."""
    corpus = BeirFolder(folder)
    texts = {document.doc_id: document.full_text for document in corpus.documents()}
    encoder = Bm25Encoder()
    vectors = encoder.encode_corpus([list(texts.values())])
    vocabulary = {encoder.term(term): term for term in range(encoder.n_terms)}
    stems = map(encoder.analyzer.terms, texts.values())
    tokens = [[vocabulary[stem] for stem in document] for document in stems]
    queries = encoder.encode_queries([query.text for query in corpus.queries()])
    n = max(MIN_QUERIES, queries.n_rows)
    order = np.random.default_rng(0).permutation(n) % queries.n_rows
    repeated = CSR.from_vectors([queries.row(row) for row in order.tolist()], queries.n_terms)
    return Workload(corpus.name, list(texts), vectors, repeated, tokens, vocabulary)


def our_methods(work: Workload, k: int) -> dict[str, Method]:
    """The searcher: a whole batch in a call, a query in a call, a batch on two threads."""
    searcher = ExactSearcher(Segment.build(work.doc_ids, work.documents))
    queries = work.queries
    rows = [queries.row(row).as_matrix() for row in range(queries.n_rows)]
    return {
        OURS_BATCH: lambda: [searcher.search_batch(queries, k).scores],
        OURS_SINGLE: lambda: [searcher.search_batch(row, k).scores for row in rows],
        f"{OURS_BATCH}, 2 threads": lambda: [searcher.search_batch(queries, k, n_threads=2).scores],
    }


def scipy_methods(work: Workload, k: int) -> dict[str, Method]:
    """SciPy's products, each followed by a partition and a sort of the best `k`."""
    documents, transposed = _matrix(work.documents), _matrix(inverted_lists(work.documents))
    queries = _matrix(work.queries)
    lines = [queries[row : row + 1] for row in range(work.queries.n_rows)]
    dense = np.zeros(work.queries.n_terms, np.float32)

    def by_documents() -> list[Scores]:
        best = []
        for line in lines:
            dense[line.indices] = line.data
            best.append(_top(documents @ dense, k))
            dense[line.indices] = 0
        return best

    def at_once() -> list[Scores]:
        product = queries @ transposed
        return [_top(product.data[a:b], k) for a, b in pairwise(product.indptr.tolist())]

    return {
        SCIPY_DENSE: by_documents,
        SCIPY_SPARSE: lambda: [_top((line @ transposed).data, k) for line in lines],
        SCIPY_BATCH: at_once,
    }


def bm25s_methods(work: Workload, k: int) -> dict[str, Method]:
    """bm25s on our tokens with our k1 and b, with its two backends; results sorted, as ours are.

    It is given lists of token ids, the form that it takes in fastest, and for its Numba backend
    also timed without its Python around it. The empty token stands for queries without words.
    """
    import bm25s
    from bm25s.numba import retrieve_utils

    empty = work.documents.n_terms
    indexed = (work.document_tokens, {**work.vocabulary, "": empty})
    rows = (work.queries.row(row) for row in range(work.queries.n_rows))
    queries = [np.repeat(row.terms, row.weights.astype(int)).tolist() or [empty] for row in rows]
    pointers = np.cumsum([0, *map(len, queries)], dtype=np.int32)
    ids = np.concatenate(queries).astype(np.int32)

    def engine(backend: str) -> Any:
        made = bm25s.BM25(k1=0.9, b=0.4, method="lucene", backend=backend)
        made.index(indexed, show_progress=False)
        return made

    compiled, plain = engine("numba"), engine("numpy")

    def batch(made: Any, n_threads: int = 0) -> list[Scores]:
        found = made.retrieve(queries, k=k, show_progress=False, n_threads=n_threads)
        return [found.scores]

    def single(made: Any) -> list[Scores]:
        return [made.retrieve([one], k=k, show_progress=False).scores for one in queries]

    def kernel() -> list[Scores]:
        types = np.dtype(np.float32), np.dtype(np.int32)
        scan = retrieve_utils._retrieve_internal_jitted_serial
        return [scan(ids, pointers, k, True, *types, **compiled.scores)[0]]

    return {
        BM25S_BATCH: lambda: batch(compiled),
        BM25S_SINGLE: lambda: single(compiled),
        "bm25s numba, its kernel alone": kernel,
        f"{BM25S_BATCH}, 2 threads": lambda: batch(compiled, 2),
        "bm25s numpy, batch": lambda: batch(plain),
    }


def _matrix(vectors: CSR) -> Any:
    """For SciPy, which is faster with 32-bit offsets."""
    offsets = vectors.indptr.astype(np.int32)
    return csr_array((vectors.weights, vectors.terms, offsets), (vectors.n_rows, vectors.n_terms))


def _top(scores: Scores, k: int) -> Scores:
    rows = np.argpartition(scores, -k)[-k:] if len(scores) > k else np.arange(len(scores))
    return scores[rows[np.argsort(-scores[rows])]]


def measure(work: Workload, k: int) -> Result:
    """Time all methods; ends the program when one finds other scores than SciPy."""
    methods = our_methods(work, k) | scipy_methods(work, k) | bm25s_methods(work, k)
    expected = _padded(methods[SCIPY_DENSE](), k)
    for name, method in methods.items():
        worst = float(np.abs(_padded(method(), k) - expected).max())
        if not worst <= TOLERANCE:
            sys.exit(f"error: {work.name}: the scores of {name} are off by {worst:.3g}")
    fastest = dict.fromkeys(methods, float("inf"))
    for _ in range(PASSES):
        for name, method in methods.items():
            start = time.perf_counter()
            method()
            fastest[name] = min(fastest[name], time.perf_counter() - start)
    n = work.queries.n_rows
    us = {name: seconds / n * 1e6 for name, seconds in fastest.items()}
    postings = float(np.bincount(work.documents.terms)[work.queries.terms].sum() / n)
    return Result(work.name, work.documents.n_rows, n, postings, k, us)


def _padded(blocks: Sequence[Scores], k: int) -> Scores:
    lines = [line for block in blocks for line in np.atleast_2d(block)]
    table = np.zeros((len(lines), k), np.float32)
    for row, line in enumerate(lines):
        table[row, : len(line)] = line
    return table


def show(result: Result) -> None:
    """Print one collection's table."""
    print(
        f"\n{result.dataset}: {result.n_documents:,} documents, {result.n_queries:,} queries a "
        f"pass, {result.postings_per_query:,.0f} postings a query, k = {result.k}\n"
    )
    print(f"{'method':<36}{'us/query':>10}{'queries/s':>12}{'x ours':>9}")
    for method, us in result.us_per_query.items():
        ratio = us / result.us_per_query[OURS_BATCH]
        print(f"{method:<36}{us:>10.1f}{1e6 / us:>12,.0f}{ratio:>9.1f}")


def main() -> None:
    """Measure, print, and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    parser.add_argument("--datasets", default=",".join(DATASETS), help="folders of $LSR_DATA/eval")
    parser.add_argument("--k", type=int, default=10, help="hits a query")
    options = parser.parse_args()
    results = []
    for name in options.datasets.split(","):
        print(f"{name}: reading, encoding, and compiling", file=sys.stderr)
        results.append(measure(load(data_folder() / "eval" / name), options.k))
        show(results[-1])
    if options.json:
        figures = [asdict(result) for result in results]
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
