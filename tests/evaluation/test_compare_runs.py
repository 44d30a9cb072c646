"""`compare_runs`: figures beside trec_eval and SciPy, what is told, refusals, and reports."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import pytest
from scipy.stats import ttest_rel

import lsr
from lsr.datasets.beir import write_beir
from lsr.datasets.trec import write_qrels, write_run
from lsr.errors import DataError, InputError
from lsr.evaluation.compare.judgements import Judgements
from lsr.evaluation.compare.named_runs import named_paths
from lsr.evaluation.compare.run_comparison import RunComparison, compare_runs
from lsr.evaluation.comparison import holm
from lsr.evaluation.evaluate import DEFAULT_METRICS
from lsr.evaluation.reports.plot import plot_differences
from lsr.evaluation.reports.run_page import runs_as_html
from lsr.evaluation.reports.run_tables import runs_as_markdown, runs_in_one_table
from lsr.types import Document, Qrels, Query, Run, ScoredDoc

N_QUERIES = 30
METRICS = ["nDCG@10", "R@5", "MAP", "P@3"]


def qrels() -> Qrels:
    rng = np.random.default_rng(1)
    return {
        f"q{i}": {f"d{j}": int(rng.integers(-1, 3)) for j in rng.choice(40, 8, replace=False)}
        | {"d0": 1}
        for i in range(N_QUERIES)
    }


def random_run(seed: int) -> dict[str, dict[str, float]]:
    """Twelve hits a query of six scores in 32 bits, so many are equal there."""
    rng = np.random.default_rng(seed)
    return {
        f"q{i}": {
            f"d{j}": float(rng.integers(1, 7)) / 7 + j * 1e-12
            for j in rng.choice(40, 12, replace=False)
        }
        for i in range(N_QUERIES)
    }


RUNS = {name: random_run(seed) for seed, name in enumerate(("base", "one", "two"))}


@pytest.fixture(scope="module")
def found() -> RunComparison:
    texts = {"q0": "<b>&\n[bold] | text"}
    judged = Judgements.of(qrels(), "the <set>")
    judged = Judgements(judged.title, judged.qrels, texts, notes=judged.notes)
    return compare_runs(RUNS, judged, metrics=METRICS, tests=("t-test", "randomization"))


def test_measures_are_those_of_trec_eval(found: RunComparison) -> None:
    measures = [ir_measures.parse_measure(name) for name in METRICS]
    for result in found.results:
        run = RUNS[result.name]
        values: dict[str, dict[str, float]] = {name: {} for name in METRICS}
        names = dict(zip(measures, METRICS, strict=True))
        for each in ir_measures.pytrec_eval.iter_calc(measures, qrels(), run):
            values[names[each.measure]][each.query_id] = each.value
        assert result.by_query == values
        means = ir_measures.pytrec_eval.calc_aggregate(measures, qrels(), run)
        assert [result.metrics[name] for name in METRICS] == pytest.approx(
            [means[measure] for measure in measures], abs=1e-12
        )


def test_p_is_scipys_and_corrected_by_holm(found: RunComparison) -> None:
    base, *others = found.results
    assert found.baseline == "base"
    assert list(found.tests) == ["t-test", "randomization"]
    for metric in METRICS:
        order = sorted(base.by_query[metric])
        values = [[each.by_query[metric][q] for q in order] for each in found.results]
        expected = [float(ttest_rel(each, values[0]).pvalue) for each in values[1:]]
        family = [found.tests["t-test"][each.name][metric] for each in others]
        assert [each.p_value for each in family] == pytest.approx(expected, rel=1e-12)
        assert [each.p_holm for each in family] == holm([each.p_value for each in family])
        for each, mine in zip(family, values[1:], strict=True):
            difference = np.array(mine) - np.array(values[0])
            counts = [(difference > 0).sum(), (difference == 0).sum(), (difference < 0).sum()]
            assert [each.wins, each.ties, each.losses] == counts
            assert sum(counts) == N_QUERIES
    chance = found.tests["randomization"]["one"]["MAP"]
    assert chance.p_value == pytest.approx(found.tests["t-test"]["one"]["MAP"].p_value, abs=0.05)


def test_what_counts_and_what_does_not_is_told() -> None:
    run = dict(RUNS["one"])
    del run["q3"], run["q4"]
    run["other"] = {"d1": 1.0}
    strange = {"q0": {"zz": 1.0}}
    found = compare_runs({"a": run, "b": strange}, qrels(), metrics=["P@3"])
    notes = "\n".join(found.notes)
    below = sum(grade < 0 for grades in qrels().values() for grade in grades.values())
    assert f"the judgements: {below} judgements have grades below 0, which is not" in notes
    assert "a: 1 query of the run is not judged: left out" in notes
    assert "a: 2 judged queries (q3, q4) without hits, counted as 0" in notes
    assert "a: hits of equal scores in 28 of 28 queries count in the order of trec_eval" in notes
    assert "b: no document of the run is judged for its query; is it a run of" in notes
    values = found.results[0].by_query["P@3"]
    assert (len(values), values["q3"], found.n_queries) == (N_QUERIES, 0, N_QUERIES)
    whole = compare_runs({"a": RUNS["one"]}, qrels(), metrics=["P@3"]).results[0]
    assert found.results[0].metrics["P@3"] == pytest.approx(
        whole.metrics["P@3"] - (whole.by_query["P@3"]["q3"] + whole.by_query["P@3"]["q4"]) / 30
    )


def test_queries_that_differ_most(found: RunComparison) -> None:
    listed = found.differing(5)
    sizes = [abs(each.change) for each in listed]
    assert sizes == sorted(sizes, reverse=True)
    values = {result.name: result.by_query["nDCG@10"] for result in found.results}
    largest = max(
        abs(values[name][q] - values["base"][q]) for name in ("one", "two") for q in values["base"]
    )
    assert sizes[0] == largest
    assert listed[0].values == {name: each[listed[0].query_id] for name, each in values.items()}
    everything = found.differing(100)
    assert {each.query_id for each in everything if each.text} == {"q0"}
    same = compare_runs({"a": RUNS["one"], "b": RUNS["one"]}, qrels())
    assert same.differing() == []
    assert same.tests["t-test"]["b"]["MAP"].p_holm == 1
    assert same.metrics == list(DEFAULT_METRICS)


def test_one_run_and_depth() -> None:
    found = compare_runs({"a": RUNS["one"]}, qrels(), metrics=["R@100"])
    assert found.tests == {}
    assert found.differing() == []
    shallow = compare_runs({"a": RUNS["one"]}, qrels(), metrics=["R@100", "R@5"], depth=5)
    assert shallow.results[0].metrics["R@100"] == shallow.results[0].metrics["R@5"]
    assert shallow.results[0].metrics["R@100"] < found.results[0].metrics["R@100"]


def test_refusals(tmp_path: Path) -> None:
    judged = qrels()
    refused: list[tuple[Any, Any, dict[str, Any], str]] = [
        ({}, judged, {}, "there is no run"),
        (RUNS, judged, {"baseline": "no"}, "the baseline no is not among the runs: base, one, two"),
        (RUNS, judged, {"tests": ["z"]}, "no test 'z'; choose t-test, randomization"),
        (RUNS, judged, {"metrics": ["RBP"]}, "nothing that is installed computes RBP; give it a"),
        (RUNS, judged, {"metrics": ["ERR@5"]}, "needs query ids that are numbers"),
        (RUNS, judged, {"depth": 0}, "depth is 0; it must be at least 1"),
        (RUNS, {}, {}, "no document has a grade above 0"),
        (RUNS, {"q1": {"d1": 0, "d2": -1}}, {}, "no document has a grade above 0"),
        (RUNS, {"x": {"d1": 1}}, {}, "base: no query of the run is judged in the judgements"),
        (RUNS, "beir13", {}, "is a suite of 13 collections, and a run is of one"),
        (RUNS, tmp_path / "no", {}, "no such file or folder"),
    ]
    for runs, against, options, sentence in refused:
        with pytest.raises(InputError, match=sentence):
            compare_runs(runs, against, **options)
    (tmp_path / "q.tsv").write_text("query-id\tcorpus-id\tscore\n")
    with pytest.raises(DataError, match="holds no judgements"):
        compare_runs(RUNS, tmp_path / "q.tsv")
    (tmp_path / "q.tsv").write_text("q0 d0\n")
    with pytest.raises(DataError, match=r"line 1: 2 fields where 4 are needed \(query_id 0 doc_id"):
        compare_runs(RUNS, tmp_path / "q.tsv")


def test_names(tmp_path: Path) -> None:
    for name in ("bm25.trec", "a.b.json.gz", "x=y.txt", "r.lz4"):
        (tmp_path / name).write_text("")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "bm25.txt").write_text("")
    given = [str(tmp_path / name) for name in ("bm25.trec", "a.b.json.gz", "x=y.txt", "r.lz4")]
    assert list(named_paths(given)) == ["bm25", "a.b", "x=y", "r"]
    assert named_paths([f"mine={given[0]}"]) == {"mine": tmp_path / "bm25.trec"}
    again = str(tmp_path / "more" / "bm25.txt")
    for bad, sentence in (
        ([given[0], again], "are both called bm25; name them, as first="),
        ([f"m={given[0]}", f"m={again}"], "are both called m"),
        ([given[0], given[0]], "is to be compared with itself"),
        (["m=nowhere"], "m=nowhere: there is no file nowhere"),
        ([str(tmp_path)], "there is no file"),
    ):
        with pytest.raises(InputError, match=sentence):
            named_paths(bad)


def test_a_collection_has_texts_and_leaves_out_the_query_itself(tmp_path: Path) -> None:
    """As in ArguAna; a document that only has a query's id is a hit as any other."""
    documents = [Document("q0", "an argument"), Document("q1", "other words"), Document("d0", "x")]
    queries = [Query("q0", "an argument"), Query("q1", "a question")]
    judged = {"q0": {"d0": 1}, "q1": {"d0": 1}}
    write_beir(tmp_path / "args", documents, queries, {"test": judged})
    run: Run = {
        query_id: [ScoredDoc(query_id, query_id, 2.0), ScoredDoc(query_id, "d0", 1.0)]
        for query_id in judged
    }
    write_run(tmp_path / "run.trec", run, "t")
    found = compare_runs({"r": tmp_path / "run.trec"}, tmp_path / "args", metrics=["P@1"])
    assert found.results[0].by_query["P@1"] == {"q0": 1, "q1": 0}
    assert found.title == "args (test)"
    assert found.texts["q1"] == "a question"
    assert found.notes == ("r: the query itself is a hit in 1 judged query (q0): left out",)
    write_qrels(tmp_path / "q.txt", judged)
    found = compare_runs({"r": tmp_path / "run.trec"}, tmp_path / "q.txt", metrics=["P@1"])
    assert found.results[0].metrics["P@1"] == 0
    assert (
        "a document has the query's own id in 2 judged queries (q0, q1), and counts"
        in found.notes[0]
    )


class _Page(HTMLParser):
    """Tags and texts; nothing may be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not {name for name, _ in attrs} & {"src", "href", "onload"}
        self.tags.append(tag)
        if tag not in ("meta", "rect", "line"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "line"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_and_escaped(found: RunComparison) -> None:
    page = _Page()
    html = runs_as_html(found, 100)
    page.feed(html)
    assert page.open == []
    assert {"script", "link", "img", "b"}.isdisjoint(page.tags)
    assert "<b>& [bold] | text" in page.text
    assert "Comparison on the <set>" in page.text
    assert "url(" not in html
    moved = [each for values in found.sorted_changes().values() for each in values if each]
    assert page.tags.count("rect") == len(moved)
    for result in found.results:
        assert f"{result.metrics['nDCG@10']:.4f}" in page.text
    alone = runs_as_html(compare_runs({"<i>": RUNS["one"]}, qrels()), 10)
    assert "&lt;i&gt;: nDCG@10 by query" in alone


def test_tables_and_json(found: RunComparison, tmp_path: Path) -> None:
    told = json.loads(json.dumps(found.as_dict(3)))
    one = told["runs"][1]
    assert one["against_baseline"]["randomization"]["MAP"]["wins"] > 0
    assert told["runs"][0]["against_baseline"] == {}
    assert len(told["differing"]) == 3
    markdown = runs_as_markdown(found, 100)
    assert r"| <b>& [bold] \| text |" in markdown
    assert "t-test p (Holm) | randomization p | randomization p (Holm) | wins/ties/losses |" in (
        markdown
    )
    rows = list(csv.DictReader(io.StringIO(runs_in_one_table(found, "csv"))))
    assert [row["run"] for row in rows] == list(RUNS)
    assert rows[0]["MAP t-test p"] == ""
    p_holm = found.tests["t-test"]["two"]["MAP"].p_holm
    assert float(rows[2]["MAP t-test p_holm"]) == p_holm
    header, _, base, line, _ = runs_in_one_table(found, "markdown").splitlines()
    assert header.endswith("| wins/ties/losses | t-test p (Holm) | randomization p (Holm) |")
    assert base.endswith("|  |  |  |")
    assert f"| {found.tests['t-test']['one']['nDCG@10'].p_holm:.3g} |" in line
    assert runs_in_one_table(found, "latex").startswith(r"\begin{tabular}{lrrrrrrr}")
    strange = compare_runs({"a$x_$": RUNS["one"], "b": RUNS["two"]}, qrels())
    plot_differences(strange, tmp_path / "p.svg")
    assert "<!-- b on the judgements -->" in (tmp_path / "p.svg").read_text()


def test_the_front_door_has_it() -> None:
    assert lsr.compare_runs is compare_runs
    assert lsr.RunComparison is RunComparison
