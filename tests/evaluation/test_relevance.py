"""Relevance on real collections: BM25's published figures, and the model that comes along."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lsr.datasets.beir import BeirFolder
from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.learned.encoder import LearnedOptions, open_learned
from lsr.encoders.protocols import Encoder
from lsr.evaluation.evaluate import RetrieverSystem, evaluate, judged_queries
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("LSR_DATA", ROOT.parent / "shared" / "data")) / "eval"


def _judged(name: str) -> BeirFolder:
    if not (DATA / name).is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{DATA / name} is missing, and CI must have it")
        pytest.skip(f"no {DATA / name}; set LSR_DATA to a folder with eval/{name}")
    return BeirFolder(DATA / name)


@pytest.mark.parametrize(
    ("name", "analysis", "expected"),
    [
        ("scifact", 1, 0.679),  # as published, by nearly this analysis
        ("nfcorpus", 1, 0.322),
        ("scifact", 2, 0.690),
        ("nfcorpus", 2, 0.320),
    ],
)
def test_bm25_reaches_its_figure(name: str, analysis: int, expected: float, tmp_path: Path) -> None:
    corpus = _judged(name)
    build_collection(corpus.documents(), tmp_path / name, sparse=Bm25Encoder(analysis=analysis))
    collection = CollectionReader.open(tmp_path / name)
    qrels = corpus.qrels("test")
    queries = judged_queries(list(corpus.queries()), qrels)
    system = RetrieverSystem("bm25", collection.sparse, 0)
    (result,) = evaluate([system], queries, qrels, ["nDCG@10"])
    assert result.metrics["nDCG@10"] == pytest.approx(expected, abs=0.005)


def test_the_network_of_the_shipped_model_finds_more_than_bm25(tmp_path: Path) -> None:
    """On a part of medline that encodes in seconds: five queries, what answers them, and others."""
    corpus = _judged("medline")
    qrels = dict(sorted(corpus.qrels("test").items())[:5])
    wanted = {doc_id for grades in qrels.values() for doc_id in grades}
    everything = list(corpus.documents())
    part = [each for n, each in enumerate(everything) if each.doc_id in wanted or n % 25 == 0]
    queries = judged_queries(list(corpus.queries()), qrels)
    encoders: dict[str, Encoder] = {
        "bm25": Bm25Encoder(),
        "network": open_learned("doc-mini", LearnedOptions("int8", lexical_weight=0.0)),
    }
    found = {}
    for name, encoder in encoders.items():
        build_collection(part, tmp_path / name, sparse=encoder)
        system = RetrieverSystem(name, CollectionReader.open(tmp_path / name).sparse, 0)
        (result,) = evaluate([system], queries, qrels, ["nDCG@10"])
        found[name] = result.metrics["nDCG@10"]
    assert found["network"] > found["bm25"] + 0.01
