"""What fusion, feedback and explanations cost on top of two searches, beside ranx.

    python -m bench.relevance.hybrid_cost [--json FILE] [--datasets scifact,nfcorpus]

At least 1,000 queries a pass, with vectors given, one thread. Passes of all plans are interleaved;
of each stage the pass with the least median counts. ranx fuses the same lists (min-max, weighted
sum, all queries in one call, which is its fastest form); its runs are made beforehand.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from bench.relevance.hybrid import PLANS, Workload, open_workload
from lsr.encoders.dense import DEFAULT_DENSE_MODEL, SentenceTransformerEncoder, open_dense_encoder
from lsr.encoders.dense_onnx_export import export_onnx
from lsr.retrieval.explanation import explain
from lsr.retrieval.fusion import Fusion
from lsr.retrieval.hybrid import HybridQuery
from lsr.retrieval.plan import SearchPlan, plan_from

MIN_QUERIES = 1_000
PASSES = 5
ENCODING_PASSES = 1
FUSING = ("fuse", "feedback", "fuse_again", "explain")
SEARCHING = ("search_dense_again",)
PAGE = 10


def plans() -> dict[str, SearchPlan]:
    """Plans at the default window, by name."""
    both = PLANS["Both, default"]
    return {
        "none": SearchPlan(),
        "none, scores": plan_from({"explain": "scores"}),
        "both": both,
        "both, scores": plan_from({"explain": "scores"}, both),
        "both, full": plan_from({"explain": "full"}, both),
        "both + sparse, full": plan_from({"explain": "full"}, PLANS["Both, default + sparse"]),
    }


def one_pass(workload: Workload, plan: SearchPlan, queries: list[HybridQuery]) -> dict[str, float]:
    """Median milliseconds by stage; `overhead` is all that is not encoding or searching."""
    hybrid, doc_ids = workload.collection.hybrid, workload.collection.segment.doc_ids
    times: list[dict[str, float]] = []
    for query in queries:
        begin = time.perf_counter()
        outcome = hybrid.search(query, plan)
        if plan.explain != "none":
            before = time.perf_counter()
            explain(hybrid, outcome, 0, PAGE, doc_ids)
            outcome.took_ms["explain"] = (time.perf_counter() - before) * 1e3
        outcome.took_ms["total"] = (time.perf_counter() - begin) * 1e3
        outcome.took_ms["overhead"] = sum(outcome.took_ms.get(stage, 0.0) for stage in FUSING)
        times.append(outcome.took_ms)
    stages = dict.fromkeys(stage for each in times for stage in each)
    return {s: float(np.median([each.get(s, 0.0) for each in times])) for s in stages}


def costs(workload: Workload) -> dict[str, dict[str, float]]:
    """Median milliseconds by plan and stage."""
    repeats = -(-MIN_QUERIES // len(workload.vectors))
    queries = workload.vectors * repeats
    best: dict[str, dict[str, float]] = {name: {} for name in plans()}
    for _ in range(PASSES):
        for name, plan in plans().items():
            for stage, ms in one_pass(workload, plan, queries).items():
                best[name][stage] = min(ms, best[name].get(stage, np.inf))
    return best


def ranx_ms(workload: Workload) -> float:
    """Milliseconds a query of ranx for fusing what our searches list, and ordering it."""
    import ranx

    plan = SearchPlan(fusion=Fusion(norm="minmax", missing="zero"))
    runs: list[dict[str, dict[str, float]]] = [{}, {}]
    repeats = -(-MIN_QUERIES // len(workload.vectors))
    for place, query in enumerate(workload.vectors * repeats):
        final = workload.collection.hybrid.search(query, plan).final
        names = workload.collection.segment.doc_ids(final.rows)
        for run, side in zip(runs, (final.sparse, final.dense), strict=True):
            listed = zip(names, side.raw.tolist(), side.rank.tolist(), strict=True)
            run[f"q{place}"] = {name: raw for name, raw, rank in listed if rank} or {"none": 0.0}
    best = np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = [ranx.Run(run) for run in runs]
        for _ in range(PASSES):
            begin = time.perf_counter()
            ranx.fuse(made, norm="min-max", method="wsum", params={"weights": (0.5, 0.5)})
            best = min(best, time.perf_counter() - begin)
    return float(best * 1e3 / len(runs[0]))


def encoding(workload: Workload, work: Path, model: SentenceTransformerEncoder) -> dict[str, float]:
    """Median milliseconds to encode a query in torch and in ONNX, and the least cosine."""
    export_onnx(DEFAULT_DENSE_MODEL, work / "onnx")
    models = {"torch": model, "onnx": open_dense_encoder(str(work / "onnx"))}
    repeats = -(-MIN_QUERIES // len(workload.queries))
    texts = [query.text for query in workload.queries] * repeats
    best: dict[str, float] = dict.fromkeys(models, np.inf)
    vectors: dict[str, Any] = {}
    for _ in range(ENCODING_PASSES):
        for name, each in models.items():
            times, found = [], []
            for text in texts:
                begin = time.perf_counter()
                found.append(each.encode_queries([text])[0])
                times.append((time.perf_counter() - begin) * 1e3)
            best[name] = min(best[name], float(np.median(times)))
            vectors[name] = np.array(found)
    cosine = float((vectors["torch"] * vectors["onnx"]).sum(axis=1).min())
    return {**{f"{name}_ms": ms for name, ms in best.items()}, "least_cosine": cosine}


def main() -> None:
    """Measure, and print JSON or write it to a file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--datasets", default="scifact,nfcorpus")
    options = parser.parse_args()
    model = SentenceTransformerEncoder(DEFAULT_DENSE_MODEL)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="lsr-cost-") as work:
        for name in options.datasets.split(","):
            print(f"{name}: costs", file=sys.stderr, flush=True)
            workload = open_workload(name, Path(work), model)
            figures[name] = {"stages_ms": costs(workload), "ranx_fuse_ms": ranx_ms(workload)}
            if name == "scifact":
                print("query encoding in torch and ONNX", file=sys.stderr, flush=True)
                figures[name]["encoding"] = encoding(workload, Path(work), model)
            workload.collection.close()
    text = json.dumps(figures, indent=2) + "\n"
    if options.json:
        options.json.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
