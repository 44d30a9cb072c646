"""Relevance of fusion and feedback on every collection, beside reference figures.

    python -m bench.relevance.hybrid [--json FILE]

The reference is an independent script of matrix products over the same parts, BM25 and
all-MiniLM-L6-v2, with 1,000 candidates a side; its vectors were encoded in bfloat16. Queries are
encoded once; plans are searched by the collection itself. Collections are read from
$LSR_DATA/eval (by default ../shared/data/eval beside the repository).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.engine.exact import data_folder
from lsr.datasets.open import open_judged_corpus
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.dense import DEFAULT_DENSE_MODEL, SentenceTransformerEncoder
from lsr.evaluation.comparison import compare
from lsr.evaluation.evaluate import judged_queries, measure, parse_metrics
from lsr.evaluation.tuning import Tuner, spread
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.retrieval.feedback import DenseFeedback, SparseFeedback
from lsr.retrieval.fusion import Fusion
from lsr.retrieval.hybrid import HybridQuery
from lsr.retrieval.plan import Prf, SearchPlan
from lsr.types import Qrels, Query, ScoredDoc

COLLECTIONS = ("scifact", "nfcorpus", "vaswani", "cranfield", "medline", "time", "cacm")
REFERENCED = ("scifact", "nfcorpus", "vaswani")
WINDOWS = (50, 100, 1_000)
METRICS = ("nDCG@10", "R@100")
TUNED_ON = {"nfcorpus": ("dev", 0)}
HELD = 1_000
"""Candidates a side, as in the reference."""

_PAPER_FUSION = Fusion(norm="minmax", missing="zero", weight_sparse=0.5)
_PAPER_FEEDBACK = DenseFeedback(alpha=0.4, beta=0.6)

PLANS = {
    "sparse": SearchPlan(mode="sparse"),
    "dense": SearchPlan(mode="dense"),
    "sparse Rocchio 10/10 1/.75": SearchPlan(
        mode="sparse",
        prf=Prf(depth=10, sparse=SparseFeedback(enabled=True, terms=10, alpha=1.0, beta=0.75)),
    ),
    "RRF": SearchPlan(fusion=Fusion(method="rrf")),
    "No-PRF tmm .3": SearchPlan(),
    "Pre, paper": SearchPlan(
        fusion=_PAPER_FUSION, prf=Prf(interpolate="pre", dense=_PAPER_FEEDBACK)
    ),
    "Post, paper": SearchPlan(
        fusion=_PAPER_FUSION, prf=Prf(interpolate="post", dense=_PAPER_FEEDBACK)
    ),
    "Both, paper": SearchPlan(
        fusion=_PAPER_FUSION, prf=Prf(interpolate="both", dense=_PAPER_FEEDBACK)
    ),
    "Both, default": SearchPlan(prf=Prf(interpolate="both")),
    "Both, default + sparse": SearchPlan(
        prf=Prf(interpolate="both", sparse=SparseFeedback(enabled=True))
    ),
}

REFERENCE = {
    "No-PRF tmm .3": {"scifact": 0.7351, "nfcorpus": 0.3601, "vaswani": 0.5170},
    "Both, paper": {"scifact": 0.7283, "nfcorpus": 0.3705, "vaswani": 0.5182},
    "Both, default": {"scifact": 0.7343, "nfcorpus": 0.3646, "vaswani": 0.5178},
    "RRF": {"scifact": 0.7160, "nfcorpus": 0.3554, "vaswani": 0.5009},
    "sparse Rocchio 10/10 1/.75": {"scifact": 0.6116, "nfcorpus": 0.3488, "vaswani": 0.4497},
}
"""nDCG@10 of the reference; on vaswani over the 46 queries with an even number."""


@dataclass(frozen=True)
class Workload:
    """A collection, and its judged queries with their vectors."""

    name: str
    collection: CollectionReader
    queries: list[Query]
    vectors: list[HybridQuery]
    qrels: Qrels

    def values(self, plan: SearchPlan) -> dict[str, NDArray[np.float64]]:
        """Measures of a plan, one value a query."""
        run = {}
        for query, vectors in zip(self.queries, self.vectors, strict=True):
            rows = self.collection.hybrid.search(vectors, plan).rows[:HELD]
            found = self.collection.segment.doc_ids(rows)
            name = query.query_id
            run[name] = [ScoredDoc(name, doc_id, 0.0) for doc_id in found if doc_id != name]
        judged = {query.query_id: self.qrels[query.query_id] for query in self.queries}
        by_query = measure(parse_metrics(METRICS), judged, run)
        names = [query.query_id for query in self.queries]
        return {m: np.array([values[name] for name in names]) for m, values in by_query.items()}

    def first_ten(self, plan: SearchPlan) -> list[list[int]]:
        """The ten best rows of every query."""
        hybrid = self.collection.hybrid
        return [hybrid.search(vectors, plan).rows[:10].tolist() for vectors in self.vectors]


def open_workload(name: str, work: Path, model: SentenceTransformerEncoder) -> Workload:
    """Build the index of a collection in a folder, and encode its test queries."""
    corpus = open_judged_corpus(str(data_folder() / "eval" / name))
    build_collection(
        corpus.documents(),
        work / name,
        sparse=Bm25Encoder(),
        dense=model,
        vector_cache=Path.home() / ".cache" / "lsr" / "vectors",
    )
    collection = CollectionReader.open(work / name, verify=False)
    collection.warm_up()
    qrels = corpus.qrels("test")
    queries = judged_queries(list(corpus.queries()), qrels)
    sparse = collection.sparse.encode([query.text for query in queries])
    vectors = [
        HybridQuery(query.text, sparse.row(i), collection.dense.encode([query.text])[0])
        for i, query in enumerate(queries)
    ]
    return Workload(name, collection, queries, vectors, qrels)


def relevance(workload: Workload) -> dict[str, Any]:
    """Measures of every plan; on vaswani of the even-numbered half as well."""
    figures: dict[str, Any] = {}
    for name, plan in PLANS.items():
        values = workload.values(replace(plan, window=HELD))
        figures[name] = {metric: float(each.mean()) for metric, each in values.items()}
        if workload.name == "vaswani":
            half = np.array([int(query.query_id) % 2 == 0 for query in workload.queries])
            figures[name]["half"] = {m: float(each[half].mean()) for m, each in values.items()}
    return figures


def stability(workload: Workload) -> dict[str, float]:
    """Share of queries whose ten best hits are the same, in order, at every window."""
    shares = {}
    for name in ("No-PRF tmm .3", "Both, default", "RRF"):
        lists = [workload.first_ten(replace(PLANS[name], window=w)) for w in WINDOWS]
        same = [all(ten == first for ten in tens) for first, *tens in zip(*lists, strict=True)]
        shares[name] = float(np.mean(same))
    return shares


def tuned(workload: Workload) -> dict[str, Any]:
    """What tuning on another split, sparse feedback too, gives on the test queries."""
    split, most = TUNED_ON[workload.name]
    corpus = open_judged_corpus(str(data_folder() / "eval" / workload.name))
    qrels = corpus.qrels(split)
    queries = spread(judged_queries(list(corpus.queries()), qrels), most)
    collection = workload.collection
    tuner = Tuner(
        collection.hybrid, collection.segment.doc_ids, queries, qrels, sparse_feedback=True
    )
    begin = time.perf_counter()
    found = tuner.tune()
    figures: dict[str, Any] = {"split": split, "n_queries": len(queries), "chosen": found.chosen}
    figures["seconds"] = time.perf_counter() - begin
    default = workload.values(replace(found.candidates["default"].plan, window=HELD))["nDCG@10"]
    for name, candidate in found.candidates.items():
        values = workload.values(replace(candidate.plan, window=HELD))["nDCG@10"]
        figures[name] = {
            "dev": candidate.dev,
            "held_out": candidate.held_out,
            "test": float(values.mean()),
            "p_value": compare(values, default).p_value,
            "plan": candidate.plan.as_dict(),
        }
    return figures


def main() -> None:
    """Measure, and print JSON or write it to a file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--collections", default=",".join(COLLECTIONS))
    parser.add_argument("--no-tuning", action="store_true", help="leave tuning out")
    options = parser.parse_args()
    model = SentenceTransformerEncoder(DEFAULT_DENSE_MODEL)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="lsr-hybrid-") as work:
        for name in options.collections.split(","):
            print(f"{name}: plans", file=sys.stderr, flush=True)
            workload = open_workload(name, Path(work), model)
            figures[name] = {
                "n_queries": len(workload.queries),
                "relevance": relevance(workload),
                "stability": stability(workload),
            }
            if name in TUNED_ON and not options.no_tuning:
                print(f"{name}: tuning", file=sys.stderr, flush=True)
                figures[name]["tuned"] = tuned(workload)
            workload.collection.close()
    text = json.dumps(figures, indent=2) + "\n"
    if options.json:
        options.json.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
