"""Fusion and measures beside ranx, an implementation of its own.

ranx runs in a process of its own without Numba's compiler: it would compile for minutes. What to
know of it: a document that a run lacks counts 0, a list of equal scores becomes all 0 under
min-max, and weights must sum to exactly 1.0.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from lsr.evaluation.evaluate import SystemRun, evaluate
from lsr.progress import Progress
from lsr.retrieval.fusion import Fusion, SideScores, fuse
from lsr.types import Query, Run, ScoredDoc

PROGRAM = """
import json, sys
from ranx import Qrels, Run, evaluate, fuse
from lsr.datasets.runs import made_run
from lsr.evaluation.compare.fusion import METHODS, fuse_runs

asked = json.load(sys.stdin)
runs = [Run(run) for run in asked["runs"]]
told = {}
for weight in asked["weights"]:
    params = {"weights": (weight, 1 - weight)}
    assert sum(params["weights"]) == 1.0
    fused = fuse(runs, norm="min-max", method="wsum", params=params)
    told[f"wsum {weight}"] = {q: dict(hits) for q, hits in fused.to_dict().items()}
for k in asked["rrf_k"]:
    fused = fuse(runs, norm=None, method="rrf", params={"k": k})
    told[f"rrf {k}"] = {q: dict(hits) for q, hits in fused.to_dict().items()}
given = [made_run(run, "given") for run in asked["lacking"]]
for method in METHODS:
    told[method] = {q: [hit[1:] for hit in hits] for q, hits in fuse_runs(given, method).items()}
run = Run(asked["run"])
evaluate(Qrels(asked["qrels"]), run, asked["measures"])
told["measures"] = {name: dict(values) for name, values in run.scores.items()}
json.dump(told, sys.stdout, default=float)
"""
WEIGHTS = [0.25, 0.5, 0.75]
RRF_K = [1, 60]
MEASURES = {"nDCG@10": "ndcg@10", "R@100": "recall@100", "MAP": "map", "MRR": "mrr"}
N_DOCUMENTS = 300
LACKING = [
    {"q1": {"a": 3.0, "b": 2.0, "c": 1.0}, "q2": {"a": 5.0, "b": 1.0}},
    {
        "q1": {"b": 9.0, "d": 9.0, "a": 4.0},
        "q3": {"x": 1.0},
        "q4": {f"d{i}": float(i % 2) for i in range(100, 180)},
    },
]
"""Runs of other queries each, with ties, which the greater id wins."""


@dataclass(frozen=True)
class Case:
    """Two rankings for each query, and a judged run of distinct scores."""

    runs: list[dict[str, dict[str, float]]]
    run: dict[str, dict[str, float]]
    qrels: dict[str, dict[str, int]]


def made() -> Case:
    rng = np.random.default_rng(11)

    def ranking(n: int) -> dict[str, float]:
        documents = rng.choice(N_DOCUMENTS, n, replace=False)
        scores = np.sort(rng.permutation(10_000)[:n])[::-1] / 7.0
        return {f"d{i}": float(s) for i, s in zip(documents, scores, strict=True)}

    queries = [f"q{i}" for i in range(12)]
    runs = [{query: ranking(int(rng.integers(2, 40))) for query in queries} for _ in range(2)]
    run = {query: ranking(200) for query in queries}
    qrels = {
        query: {f"d{i}": int(rng.integers(1, 4)) for i in rng.choice(N_DOCUMENTS, 20)}
        for query in queries
    }
    return Case(runs, run, qrels)


@pytest.fixture(scope="module")
def case() -> Case:
    return made()


@pytest.fixture(scope="module")
def told(case: Case) -> dict[str, Any]:
    """What ranx says of the case."""
    pytest.importorskip("ranx")
    asked: dict[str, Any] = {"runs": case.runs, "run": case.run, "qrels": case.qrels}
    asked["lacking"] = LACKING
    asked |= {"weights": WEIGHTS, "rrf_k": RRF_K, "measures": list(MEASURES.values())}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        input=json.dumps(asked),
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def side(listed: dict[str, float], names: list[str]) -> SideScores:
    rank = {name: place for place, name in enumerate(listed, start=1)}
    return SideScores(
        np.array([listed.get(name, 0.0) for name in names], np.float32),
        np.array([rank.get(name, 0) for name in names], np.int32),
        np.array([name in listed for name in names], np.bool_),
        0.0,
    )


def fused(case: Case, query: str, fusion: Fusion, weight: float) -> dict[str, float]:
    lists = [run[query] for run in case.runs]
    names = sorted({name for one in lists for name in one})
    scores = fuse(side(lists[0], names), side(lists[1], names), fusion, weight).score
    return dict(zip(names, scores.tolist(), strict=True))


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("missing", ["zero", "exact"])
def test_minmax_sums(case: Case, told: dict[str, Any], weight: float, missing: Any) -> None:
    """All that is known is listed, so both ways with what is missing are ranx's."""
    fusion = Fusion(norm="minmax", missing=missing)
    for query in case.run:
        expected = told[f"wsum {weight}"][query]
        assert fused(case, query, fusion, weight) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("rrf_k", RRF_K)
def test_rrf(case: Case, told: dict[str, Any], rrf_k: int) -> None:
    fusion = Fusion(method="rrf", rrf_k=rrf_k)
    for query in case.run:
        expected = told[f"rrf {rrf_k}"][query]
        assert fused(case, query, fusion, 0.5) == pytest.approx(expected, abs=1e-12)


@dataclass(frozen=True)
class Fixed:
    """A system that knows its answers."""

    answers: dict[str, dict[str, float]]
    name: str = "fixed"
    size_bytes: int = 1

    def answer(self, queries: Sequence[Query], k: int, progress: Progress) -> SystemRun:
        run: Run = {
            query.query_id: [
                ScoredDoc(query.query_id, doc_id, score)
                for doc_id, score in self.answers[query.query_id].items()
            ]
            for query in queries
        }
        return SystemRun(run, [1.0] * len(queries))


def test_measures(case: Case, told: dict[str, Any]) -> None:
    queries = [Query(query, "text") for query in case.run]
    (result,) = evaluate([Fixed(case.run)], queries, case.qrels, list(MEASURES))
    assert 0 < result.metrics["nDCG@10"] < 1
    for name, theirs in MEASURES.items():
        expected = told["measures"][theirs]
        assert result.by_query[name] == pytest.approx(expected, abs=1e-6), name
        mean = float(np.mean(list(expected.values())))
        assert result.metrics[name] == pytest.approx(mean, abs=1e-6)


def test_runs_of_other_queries_are_fused(told: dict[str, Any]) -> None:
    """By hand; equal scores are made to fall, the greater id first."""
    rrf = {"a": 1 / 61 + 1 / 63, "b": 1 / 62 + 1 / 62, "d": 1 / 61, "c": 1 / 63}
    isr = {"a": 2 * (1 + 1 / 9), "b": 2 * (1 / 4 + 1 / 4), "d": 1.0, "c": 1 / 9}
    expected = {
        "rrf": rrf,
        "isr": isr,
        "sum": {"b": 1.5, "d": 1.0, "a": 1.0, "c": 0.0},
        "mnz": {"b": 3.0, "a": 2.0, "d": 1.0, "c": 0.0},
        "max": {"d": 1.0, "b": 1.0, "a": 1.0, "c": 0.0},
    }
    for method, scores in expected.items():
        hits = told[method]["q1"]
        order = sorted(sorted(scores, reverse=True), key=lambda doc_id: -np.float32(scores[doc_id]))
        assert [doc_id for doc_id, _ in hits] == order, method
        assert dict(map(tuple, hits)) == pytest.approx(scores, rel=1e-6), method
        assert [doc_id for doc_id, _ in told[method]["q2"]] == ["a", "b"], method
        assert [doc_id for doc_id, _ in told[method]["q3"]] == ["x"], method
        tied = [f"d{i}" for i in (*range(179, 100, -2), *range(178, 99, -2))]
        assert [doc_id for doc_id, _ in told[method]["q4"]] == tied, method
