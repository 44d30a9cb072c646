"""A test collection, a run and its measures, from Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import lsr
from lsr.datasets.open import open_judged_corpus
from lsr.datasets.trec import write_run
from lsr.errors import DataError, InputError
from lsr.evaluation.evaluate import PlanSystem, evaluate_system, parse_metrics
from lsr.progress import no_progress

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "data" / "library"
METRICS = ["nDCG@10", "RR@10", "R@3"]


def test_the_figures_are_those_of_an_evaluation(tmp_path: Path) -> None:
    library = lsr.read_test_collection(LIBRARY)
    index = lsr.build(library.documents, tmp_path / "library", sparse="bm25")
    found = lsr.evaluate(index.rank(library.queries), library.qrels, metrics=METRICS)
    reader = index.reader
    system = PlanSystem("bm25", reader.hybrid, reader.segment.doc_ids, lsr.SearchPlan(), 0)
    expected = evaluate_system(system, library.queries, library.qrels, parse_metrics(METRICS))
    assert dict(found) == expected.metrics
    assert found.by_query == expected.by_query
    assert found.n_queries == len(library.qrels)
    assert system.answer(library.queries, 5, no_progress).run.keys() == found.by_query["R@3"].keys()


def test_what_a_test_collection_holds() -> None:
    library = lsr.read_test_collection(LIBRARY)
    corpus = open_judged_corpus(str(LIBRARY))
    assert list(library.documents) == list(corpus.documents()) == list(library.documents)
    assert library.qrels == corpus.qrels("test")
    assert {query.query_id for query in library.queries} <= library.qrels.keys()
    assert repr(library).endswith(f"split test, {len(library.queries)} judged queries)")
    with pytest.raises(DataError, match="no judgements for split 'nothing'; there are: "):
        lsr.read_test_collection(LIBRARY, "nothing")
    with pytest.raises(InputError, match="irds:x has its split in its id"):
        lsr.read_test_collection("irds:x", "test")


def test_equal_scores_count_as_they_stand() -> None:
    qrels = {"q": {"b": 1}}
    stands = {"q": {"b": 1.0, "a": 1.0, "c": 1.0}}
    assert lsr.evaluate(stands, qrels, metrics=["RR"])["RR"] == 1
    turned = {"q": dict(reversed(stands["q"].items()))}
    assert lsr.evaluate(turned, qrels, metrics=["RR"])["RR"] == 1 / 3
    as_run = {"q": [lsr.ScoredDoc("q", doc_id, 1.0) for doc_id in ("a", "b")]}
    assert lsr.evaluate(as_run, qrels, metrics=["RR"])["RR"] == 1 / 2
    unsorted = {"q": {"c": 1.0, "b": 9.0}}
    assert lsr.evaluate(unsorted, qrels, metrics=["RR"])["RR"] == 1


def test_a_file_of_a_run_and_a_folder_of_judgements(tmp_path: Path) -> None:
    library = lsr.read_test_collection(LIBRARY)
    query_id, grades = next(iter(library.qrels.items()))
    run = {query_id: [lsr.ScoredDoc(query_id, next(iter(grades)), 2.0)]}
    write_run(tmp_path / "run.trec", run, "mine")
    found = lsr.evaluate(tmp_path / "run.trec", LIBRARY, metrics=["RR@10"])
    assert found["RR@10"] == 1 / len(library.qrels)
    assert "without hits, counted as 0" in " ".join(found.notes)
    assert lsr.evaluate(run, str(LIBRARY), metrics=["RR@10"]) == found


def test_what_cannot_be_measured() -> None:
    with pytest.raises(InputError, match="not a measure: nonsense"):
        lsr.evaluate({"q": {"a": 1.0}}, {"q": {"a": 1}}, metrics=["nonsense"])
    with pytest.raises(InputError, match="no query of the run is judged"):
        lsr.evaluate({"other": {"a": 1.0}}, {"q": {"a": 1}})
    with pytest.raises(DataError, match="nan, which is not a finite number"):
        lsr.evaluate({"q": {"a": float("nan")}}, {"q": {"a": 1}})
    found = lsr.evaluate({"q": {"a": 1.0}}, {"q": {"a": 1}})
    assert list(found) == ["nDCG@10", "R@100", "MAP", "MRR@10"]
    with pytest.raises(KeyError):
        found["RR"]
