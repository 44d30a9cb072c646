"""BM25 on real collections: the published figures of Anserini's flat index, and our own order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lsr.beir import BeirFolder
from lsr.bm25 import Bm25Encoder
from lsr.evaluation import RetrieverSystem, evaluate, judged_queries
from lsr.index.builder import build_collection
from lsr.index.collection import Collection

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("LSR_DATA", ROOT.parent / "shared" / "data")) / "eval"


@pytest.mark.parametrize(("name", "published_ndcg"), [("scifact", 0.679), ("nfcorpus", 0.322)])
def test_bm25_reaches_the_published_figure(
    name: str, published_ndcg: float, tmp_path: Path
) -> None:
    if not (DATA / name).is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{DATA / name} is missing, and CI must have it")
        pytest.skip(f"no {DATA / name}; set LSR_DATA to a folder with eval/{name}")
    corpus = BeirFolder(DATA / name)
    build_collection(corpus.documents(), tmp_path / name, sparse=Bm25Encoder())
    collection = Collection(tmp_path / name)
    qrels = corpus.qrels("test")
    queries = judged_queries(list(corpus.queries()), qrels)
    system = RetrieverSystem("bm25", collection.sparse, 0)
    (result,) = evaluate([system], queries, qrels, ["nDCG@10"])
    assert result.metrics["nDCG@10"] == pytest.approx(published_ndcg, abs=0.005)
