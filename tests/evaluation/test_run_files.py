"""Run files: ours measured by trec_eval as here, others' read as trec_eval reads them."""

from __future__ import annotations

from pathlib import Path

import ir_measures
import numpy as np
import pytest

from lsr.datasets.beir import BeirFolder, write_beir
from lsr.datasets.trec import read_run, write_run
from lsr.errors import InputError
from lsr.evaluation.evaluate import evaluate_system, parse_metrics
from lsr.evaluation.judged import JudgedCollection, read_judged
from lsr.evaluation.run_files import GivenRun, RunFile, run_path, save_run, untied
from lsr.types import Document, Query, Run, ScoredDoc

N_QUERIES = 20
METRICS = ["nDCG@10", "AP", "RR@10", "R@5"]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> JudgedCollection:
    folder = tmp_path_factory.mktemp("runs") / "birds"
    documents = [Document(f"d{i}", f"text {i}") for i in range(50)]
    queries = [Query(f"q{i}", f"query {i}") for i in range(N_QUERIES)]
    queries.append(Query("mute", " "))
    rng = np.random.default_rng(5)
    qrels = {
        query.query_id: {f"d{i}": 1 for i in rng.choice(50, 5, replace=False)} for query in queries
    }
    write_beir(folder, documents, queries, {"test": qrels})
    read, absent = read_judged(str(folder), BeirFolder(folder))
    assert absent == set()
    return read


def tied_run(collection: JudgedCollection) -> Run:
    """Ten hits a query, of four scores."""
    rng = np.random.default_rng(8)
    run: Run = {}
    for query_id in collection.qrels:
        scores = np.sort(rng.integers(1, 5, 10))[::-1] / 7
        ids = [f"d{i}" for i in rng.choice(50, 10, replace=False)]
        run[query_id] = [ScoredDoc(query_id, d, float(s)) for d, s in zip(ids, scores, strict=True)]
    return run


def trec_eval(collection: JudgedCollection, path: Path) -> dict[str, float]:
    """What trec_eval makes of a file, whatever order its lines have."""
    lines = (line.split() for line in path.read_text().splitlines())
    run = [ir_measures.ScoredDoc(line[0], line[2], float(line[4])) for line in lines]
    measures = [ir_measures.parse_measure(metric) for metric in METRICS]
    values = ir_measures.pytrec_eval.calc_aggregate(measures, collection.qrels, run)
    return {str(measure): float(value) for measure, value in values.items()}


def measured(collection: JudgedCollection, run: Run, name: str = "ours") -> dict[str, float]:
    given = GivenRun(name, run, "", ())
    measures = parse_metrics(METRICS)
    return evaluate_system(given, collection.queries, collection.qrels, measures).metrics


def test_trec_eval_measures_our_files_as_we_do(
    collection: JudgedCollection, tmp_path: Path
) -> None:
    run = tied_run(collection)
    ours = measured(collection, run)
    save_run(tmp_path, "birds", "ours", run)
    assert trec_eval(collection, run_path(tmp_path, "birds", "ours")) == pytest.approx(ours)
    write_run(tmp_path / "tied.trec", run, "ours")
    assert trec_eval(collection, tmp_path / "tied.trec") != pytest.approx(ours)


def test_scores_fall_and_stay_what_they_were() -> None:
    scores = [3.0, 3.0, 3.0, 3.0 - 1e-9, 2.0, 0.0, 0.0]
    hits = [ScoredDoc("q", f"d{i}", score) for i, score in enumerate(scores)]
    (fallen,) = untied({"q": hits}).values()
    assert [hit.doc_id for hit in fallen] == [hit.doc_id for hit in hits]
    values = np.array([hit.score for hit in fallen])
    assert (np.diff(values.astype(np.float32)) < 0).all()
    assert values == pytest.approx(scores, abs=1e-6)
    assert untied({"q": hits[:1] + hits[4:6]})["q"] == hits[:1] + hits[4:6]
    assert untied({"q": []}) == {"q": []}


def test_given_files_are_measured_as_trec_eval_measures_them(
    collection: JudgedCollection, tmp_path: Path
) -> None:
    write_run(tmp_path / "theirs.trec", tied_run(collection), "theirs")
    given = GivenRun.read(RunFile.parse(f"theirs={tmp_path}/theirs.trec"), collection, 10)
    assert measured(collection, given.run) == pytest.approx(
        trec_eval(collection, tmp_path / "theirs.trec")
    )
    (note,) = given.notes
    assert note.startswith("theirs: hits of equal scores in 21 of 21 queries count in the order of")


def test_what_a_file_lacks_and_has_too_much_is_named(
    collection: JudgedCollection, tmp_path: Path
) -> None:
    run = {query_id: hits[:3] for query_id, hits in untied(tied_run(collection)).items()}
    run["other"] = [ScoredDoc("other", "d1", 1.0)]
    del run["mute"], run["q3"], run["q5"]
    write_run(tmp_path / "a.trec", run, "a")
    given = GivenRun.read(RunFile("a", f"{tmp_path}/a.trec"), collection, 1000)
    assert given.notes == (
        "a: 1 judged query (mute) without hits, counted as 0",
        "a: a.trec has at most 3 hits a query, where 1,000 count",
        "a: 1 query of a.trec is not judged: left out",
    )
    measures = parse_metrics(["R@5"])
    result = evaluate_system(given, collection.queries, collection.qrels, measures)
    assert result.notes == ("a: 2 judged queries (q3, q5) without hits, counted as 0",)
    assert (result.by_query["R@5"]["q3"], result.by_query["R@5"]["mute"]) == (0, 0)
    assert len(result.by_query["R@5"]) == N_QUERIES + 1
    assert (result.median_ms, result.size_bytes) == (None, None)
    run = {"other": run["other"]}
    write_run(tmp_path / "a.trec", run, "a")
    with pytest.raises(InputError, match=r"no query of .*a.trec is judged in birds"):
        GivenRun.read(RunFile("a", f"{tmp_path}/a.trec"), collection, 1000)


def test_paths(tmp_path: Path) -> None:
    for bad in ("x", "=x", "x=", "a b=x", "a/b=x"):
        with pytest.raises(InputError, match="write NAME=PATH"):
            RunFile.parse(bad)
    one = RunFile.parse(f"splade={tmp_path}/run.trec")
    with pytest.raises(InputError, match="is no file"):
        one.check(["birds"])
    with pytest.raises(InputError, match=r"one file for 2 collections; write {dataset} where"):
        one.check(["birds", "fish"])
    each = RunFile.parse(f"splade={tmp_path}/{{dataset}}.splade.trec")
    save_run(tmp_path, "birds", "splade", {"q": [ScoredDoc("q", "d", 2.0)]})
    each.check(["birds"])
    assert each.doc_ids("birds") == {"d"}
    assert list(read_run(each.path("birds"))) == ["q"]
