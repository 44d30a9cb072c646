"""One plan through four doors: Python, `lsr search`, `lsr eval` and REST give the same ranking.

    python -m bench.engine.entries [--json FILE] [--queries 300]

SciFact's test queries, ten hits each. Python: `CollectionReader.search`. `lsr search`: the command
itself, called in this process with `--json`; the model is kept between calls, as 300 processes
would load it 300 times. `lsr eval`: a process of its own with its own index; its run file is read.
REST: a real server in a process of its own.
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
from typer.testing import CliRunner

from bench.engine.exact import data_folder
from lsr.cli.app import app
from lsr.datasets.open import open_judged_corpus
from lsr.datasets.trec import read_run
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.dense import DEFAULT_DENSE_MODEL, open_dense_encoder
from lsr.evaluation.evaluate import judged_queries
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.retrieval.plan import plan_from
from lsr.types import Query

SETTINGS: dict[str, dict[str, Any]] = {
    "hybrid": {"mode": "hybrid"},
    "prf:both": {"mode": "hybrid", "prf": {"interpolate": "both"}},
}
"""Plans by the names that `lsr eval` has for them."""

Hits = dict[str, list[tuple[str, float]]]
K = 10
TOLERANCE = 1e-6


def by_python(collection: CollectionReader, queries: list[Query], given: dict[str, Any]) -> Hits:
    plan = plan_from(given)
    return {
        query.query_id: [
            (hit.document.doc_id, hit.score)
            for hit in collection.search(query.text, k=K, plan=plan).hits
        ]
        for query in queries
    }


def by_command(index: Path, queries: list[Query], given: dict[str, Any]) -> Hits:
    options = ["--mode", "hybrid", "-k", str(K), "--json", "--no-verify"]
    options += ["--prf", given["prf"]["interpolate"]] if "prf" in given else []
    hits: Hits = {}
    for query in queries:
        done = CliRunner().invoke(app, ["search", str(index), query.text, *options])
        if done.exit_code:
            raise RuntimeError(done.output)
        found = json.loads(done.stdout)["hits"]
        hits[query.query_id] = [(hit["doc_id"], hit["score"]) for hit in found]
    return hits


def by_evaluation(source: Path, queries: list[Query], work: Path) -> dict[str, Hits]:
    command = [str(Path(sys.executable).with_name("lsr")), "eval", str(source)]
    command += ["--systems", ",".join(SETTINGS), "--set", "window=100", "--run-dir", str(work)]
    subprocess.run([*command, "--json", str(work / "report.json")], check=True, stderr=sys.stderr)
    hits: dict[str, Hits] = {}
    for name in SETTINGS:
        run = read_run(work / f"{source.name}.{name}.trec")
        hits[name] = {
            query.query_id: [(hit.doc_id, hit.score) for hit in run[query.query_id][:K]]
            for query in queries
        }
    return hits


def by_rest(index: Path, queries: list[Query]) -> dict[str, Hits]:
    command = [str(Path(sys.executable).with_name("lsr")), "serve", str(index), "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        line = server.stderr.readline()
        while line and "http://" not in line:
            line = server.stderr.readline()
        address = next(word for word in line.split() if word.startswith("http://"))
        path = f"{address.rstrip('/')}/v1/collections/{index.name}/search"
        hits: dict[str, Hits] = {name: {} for name in SETTINGS}
        with httpx.Client(timeout=300) as client:
            for name, given in SETTINGS.items():
                for query in queries:
                    body = {"text": query.text, "limit": K, "snippet": False, **given}
                    answer = client.post(path, json=body)
                    answer.raise_for_status()
                    found = answer.json()["hits"]
                    hits[name][query.query_id] = [(hit["doc_id"], hit["score"]) for hit in found]
        return hits
    finally:
        server.terminate()
        server.wait(30)


def compared(one: Hits, other: Hits) -> dict[str, float]:
    """Queries with the same ids in order, and the greatest difference of scores."""
    same = [query for query, hits in one.items() if _ids(hits) == _ids(other[query])]
    gaps = [
        abs(mine[1] - theirs[1])
        for query in same
        for mine, theirs in zip(one[query], other[query], strict=True)
    ]
    return {"same": len(same), "of": len(one), "greatest_gap": max(gaps, default=0.0)}


def _ids(hits: list[tuple[str, float]]) -> list[str]:
    return [doc_id for doc_id, _ in hits]


def main() -> None:
    """Compare, and print JSON or write it to a file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--queries", type=int, default=300)
    options = parser.parse_args()
    source = (data_folder() / "eval" / "scifact").resolve()
    corpus = open_judged_corpus(str(source))
    queries = judged_queries(list(corpus.queries()), corpus.qrels("test"))[: options.queries]
    figures: dict[str, Any] = {}
    kept = patch(
        "lsr.index.collection.retrievers.open_dense_encoder", functools.cache(open_dense_encoder)
    )
    with kept, tempfile.TemporaryDirectory(prefix="lsr-entries-") as folder:
        work = Path(folder)
        build_collection(
            corpus.documents(),
            work / "scifact",
            sparse=Bm25Encoder(),
            dense=open_dense_encoder(DEFAULT_DENSE_MODEL),
            vector_cache=Path.home() / ".cache" / "lsr" / "vectors",
        )
        collection = CollectionReader.open(work / "scifact")
        print("lsr eval", file=sys.stderr, flush=True)
        evaluated = by_evaluation(source, queries, work)
        print("REST", file=sys.stderr, flush=True)
        served = by_rest(work / "scifact", queries)
        for name, given in SETTINGS.items():
            print(f"Python and lsr search: {name}", file=sys.stderr, flush=True)
            reference = by_python(collection, queries, given)
            figures[name] = {
                "lsr search": compared(reference, by_command(work / "scifact", queries, given)),
                "lsr eval": compared(reference, evaluated[name]),
                "REST": compared(reference, served[name]),
            }
        collection.close()
    text = json.dumps(figures, indent=2) + "\n"
    if options.json:
        options.json.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
