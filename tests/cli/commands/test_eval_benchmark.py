"""`lsr eval` over several collections and models: names, means, given runs, and what is kept."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import lsr.evaluation.benchmark
import lsr.evaluation.models
import lsr.index.collection.build
import lsr.index.collection.retrievers
from lsr.cli.app import app
from lsr.datasets.beir import write_beir
from lsr.evaluation.evaluate import SystemResult, evaluate_system
from lsr.evaluation.suites import SUITES, Suite
from lsr.types import Document, EncoderIdentity, Query
from tests.datasets.test_open import Doc, registered
from tests.evaluation.test_tuning import TopicVectors, corpus, judged
from tests.support.learned_models import inference_free, symmetric

CACHE = "cache"


class OtherVectors(TopicVectors):
    """Of another model: half as good, as every second topic is the same to it."""

    identity = EncoderIdentity("dense", "others", "1" * 64)

    def encode_documents(self, texts: Any, progress: Any = None) -> Any:
        vectors = super().encode_documents(texts, progress)
        vectors[:, ::2] = vectors[:, 1::2]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = {
        "all-MiniLM-L6-v2": TopicVectors(),
        "topics": TopicVectors(),
        "others": OtherVectors(),
    }
    for module in (lsr.index.collection.retrievers, lsr.evaluation.models):
        monkeypatch.setattr(module, "open_dense_encoder", lambda name, **_: models[name])
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two collections, topics and pairs, and two learned models, one and two."""
    folder = tmp_path_factory.mktemp("benchmark")
    queries, qrels = judged()
    write_beir(folder / "topics", corpus(), queries, {"test": qrels})
    documents = [Document(f"{text} {n}", text) for n in "ab" for text in ("cat lake", "wolf bear")]
    documents = [Document(d.doc_id.replace(" ", "-"), d.text) for d in documents]
    asked = [Query("q1", "cat"), Query("q2", "bear"), Query("q3", "lake wolf"), Query("q4", "")]
    grades = {"q1": {"cat-lake-a": 1}, "q2": {"wolf-bear-b": 1}, "q3": {"cat-lake-b": 2}}
    write_beir(folder / "pairs", documents, asked, {"test": {**grades, "q4": {"cat-lake-a": 1}}})
    inference_free(folder / "one", seed=0)
    symmetric(folder / "two")
    (folder / "one" / "model").rename(folder / "splade-one")
    (folder / "two" / "model").rename(folder / "splade-two")
    return folder


def run(*words: object) -> Any:
    return CliRunner().invoke(app, ["eval", *map(str, words), "--cache-dir", CACHE])


def report(*words: object) -> Any:
    result = run(*words, "--json", "-")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def by_name(collection: Any) -> dict[str, Any]:
    return {system["name"]: system["metrics"] for system in collection["systems"]}


def test_several_models_are_each_what_they_are_alone(root: Path) -> None:
    one, two = root / "splade-one", root / "splade-two"
    kinds = "learned,learned:hybrid,learned:prf:*,prf:post,dense"
    (both,) = report(
        *(root / "pairs", "--systems", kinds, "--sparse", one, "--sparse", two),
        *("--dense", "topics", "--dense", "others", "--precision", "fp32"),
    )["collections"]
    found = by_name(both)
    assert len(found) == 2 + 4 + 2 * (3 * 2 + 1) + 2 + 2
    words = ("--sparse", two, "--dense", "others", "--precision", "fp32")
    (alone,) = report(root / "pairs", "--systems", kinds, *words)["collections"]
    for name, figures in by_name(alone).items():
        several = name.replace("learned", "splade-two")
        if name not in ("learned", "learned:prf:sparse"):
            several = "others" if name == "dense" else f"{several}+others"
        assert found[several] == figures, name
    assert [note.partition(":")[0] for note in both["notes"] if "retrieval FLOPS" in note] == [
        "splade-one",
        "splade-two",
    ]
    costs = {each["name"]: (each["terms"], each["flops"]) for each in both["systems"]}
    assert costs["splade-one"][0] > 0 < costs["splade-two"][1]
    assert costs["splade-one:prf:sparse"] == (costs["splade-one"][0], None)
    assert costs["topics"] == costs["prf:post+topics"] == (None, None)


def test_naming_a_model_measures_it(root: Path) -> None:
    (found,) = report(root / "pairs", "--dense", "others")["collections"]
    assert list(by_name(found)) == ["bm25", "dense"]
    words = ("--dense", "topics", "--dense", "others", "--baseline", "others")
    (found,) = report(root / "pairs", *words)["collections"]
    assert list(by_name(found)) == ["bm25", "topics", "others"]
    assert found["baseline"] == "others"
    compared = [bool(system["against_baseline"]) for system in found["systems"]]
    assert compared == [True, True, False]


def test_means_and_the_table(root: Path) -> None:
    words = (root / "topics", root / "pairs", "--systems", "bm25,dense,prf:sparse")
    told = report(*words, "--metrics", "nDCG@10,RR@10")
    topics, pairs = told["collections"]
    for system in told["mean"]["systems"]:
        halves = [by_name(each)[system["name"]]["RR@10"] for each in (topics, pairs)]
        assert system["metrics"]["RR@10"] == pytest.approx(sum(halves) / 2)
    means = {system["name"]: system for system in told["mean"]["systems"]}
    terms = [each["systems"][0]["terms"] for each in (topics, pairs)]
    assert means["bm25"]["terms"] == pytest.approx(sum(terms) / 2)
    assert means["dense"]["terms"] is None
    counts = [means["dense"][each]["nDCG@10"] for each in ("wins", "ties", "losses")]
    assert sum(counts) == 2
    assert means["bm25"]["wins"] == {}

    printed = run(*words, "--metrics", "nDCG@10,RR@10", "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert [(row["collection"], row["system"]) for row in rows] == [
        (collection, system)
        for collection in ("topics", "pairs", "mean")
        for system in ("bm25", "dense", "prf:sparse")
    ]
    assert float(rows[6]["RR@10"]) == means["bm25"]["metrics"]["RR@10"]
    dense = topics["systems"][1]["against_baseline"]["nDCG@10"]
    assert float(rows[1]["nDCG@10 p_holm"]) == dense["p_holm"] >= dense["p_value"]
    assert int(rows[1]["nDCG@10 losses"]) == dense["losses"]
    markdown = run(*words, "--format", "markdown").stdout.splitlines()
    assert markdown[0].startswith("| collection | system | nDCG@10 |")
    assert len(markdown) == 2 + 9
    latex = run(*words, "--format", "latex").stdout
    assert latex.startswith("\\begin{tabular}{ll")
    assert latex.count("\\midrule") == 3
    assert "topics (test) & bm25 & " in latex
    assert "mean of 2 collections" in run(*words).stdout


def test_a_suite_is_measured_by_its_own_measures(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered("lsr-tests/suite", [Doc("d1", "what it is", "Title"), Doc("d2", "what else", "")])
    monkeypatch.setitem(SUITES, "tiny", Suite(("lsr-tests/suite",), ("RR@10", "R(rel=2)@1000")))
    told = report("tiny", root / "pairs", "--systems", "bm25")
    suite, pairs = told["collections"]
    assert (suite["dataset"], suite["split"]) == ("lsr-tests-suite", "")
    assert by_name(suite)["bm25"] == {"RR@10": 1.0, "R(rel=2)@1000": 1.0}
    assert list(by_name(pairs)["bm25"]) == ["nDCG@10", "R@100", "MAP", "MRR@10"]
    assert told["mean"]["systems"][0]["metrics"] == {}
    (chosen,) = report("tiny", "--systems", "bm25", "--metrics", "P@1")["collections"]
    assert by_name(chosen)["bm25"] == {"P@1": 1.0}
    refused = run("tiny", "--systems", "bm25", "--split", "test")
    assert refused.exit_code == 2
    assert "--split test: irds:lsr-tests/suite has its split in its id" in refused.stderr


def test_a_saved_run_given_back_has_the_same_figures(root: Path) -> None:
    """The documents of pairs come twice, so equal scores are everywhere."""
    folders = (root / "topics", root / "pairs")
    measured = report(*folders, "--systems", "bm25", "--run-dir", "runs")["collections"]
    result = run(*folders, "--run", "again=runs/{dataset}.bm25.trec", "--json", "-")
    given = json.loads(result.stdout)["collections"]
    for ours, theirs in zip(measured, given, strict=True):
        assert theirs["systems"][0]["name"] == "again"
        assert theirs["systems"][0]["by_query"] == ours["systems"][0]["by_query"]
        assert theirs["systems"][0]["median_ms"] is None
    assert "equal scores" not in result.stderr
    both = run(root / "pairs", "--systems", "bm25", "--run", "again=runs/pairs.bm25.trec")
    assert both.exit_code == 0
    assert "pairs: 1 judged query (q4) has no text: counted as 0" in both.stderr


def test_results_are_kept_and_found_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (root / "topics", root / "pairs", "--systems", "bm25,hybrid,dense", "--results", "kept")
    measured: list[str] = []

    def watched(system: Any, *given: Any, **options: Any) -> SystemResult:
        if len(measured) == 4:
            raise KeyboardInterrupt
        result = evaluate_system(system, *given, **options)
        measured.append(system.name)
        return result

    monkeypatch.setattr(lsr.evaluation.benchmark, "evaluate_system", watched)
    stopped = run(*words, "--json", "part.json")
    assert stopped.exit_code == 130
    assert "the report has the 1 collections that were measured" in stopped.stderr
    (only,) = json.loads((tmp_path / "part.json").read_text())["collections"]
    assert len(only["systems"]) == 3
    assert len(list((tmp_path / "kept").glob("*.json"))) == 4
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    models = {"all-MiniLM-L6-v2": TopicVectors()}
    for module in (lsr.index.collection.retrievers, lsr.evaluation.models):
        monkeypatch.setattr(module, "open_dense_encoder", lambda name, **_: models[name])

    resumed = run(*words, "--json", "whole.json")
    assert resumed.exit_code == 0, resumed.output
    assert "topics: measured before, and taken from kept: bm25, hybrid, dense" in resumed.stderr
    assert "pairs: measured before, and taken from kept: bm25\n" in resumed.stderr
    whole = json.loads((tmp_path / "whole.json").read_text())
    assert whole["collections"][0] == only
    assert len(list((tmp_path / "kept").glob("*.json"))) == 6

    fresh = report(*words[:4])
    for ours, theirs in zip(fresh["collections"], whole["collections"], strict=True):
        assert by_name(ours) == by_name(theirs)
    changed = run(*words, "--set", "window=7", "--k1", "1.2")
    assert "topics: measured before, and taken from kept" not in changed.stderr
    assert len(list((tmp_path / "kept").glob("*.json"))) == 12


def test_kept_results_need_what_is_asked_for(root: Path, tmp_path: Path) -> None:
    words = (root / "pairs", "--systems", "bm25", "--results", "kept")
    run(*words)
    with_runs = run(*words, "--run-dir", "runs")
    assert "measured before" not in with_runs.stderr
    assert "measured before" in run(*words, "--run-dir", "runs").stderr
    (tmp_path / "runs" / "pairs.bm25.trec").write_text("")
    assert "measured before" not in run(*words, "--run-dir", "runs").stderr
    (file,) = (tmp_path / "kept").iterdir()
    file.write_text(file.read_text().replace('"terms": ', '"terms": 1'))
    damaged = run(*words)
    assert f"warning: kept/{file.name} cannot be used (its checksum differs)" in damaged.stderr
    assert "measured before" in run(*words).stderr
    other = tmp_path / "pairs"
    shutil.copytree(root / "pairs", other)
    with (other / "qrels" / "test.tsv").open("a") as stream:
        stream.write("q1\tcat-lake-b\t1\n")
    assert "measured before" not in run(other, *words[1:]).stderr


def test_hybrids_look_as_far_as_a_search_does(root: Path) -> None:
    words = (root / "topics", "--systems", "hybrid,bm25", "--metrics", "nDCG@10,R@120")
    plain = run(*words, "--json", "-")
    assert (
        "hybrid: fusion looks at the best 100 of each side, as in a search; for R@120 set more"
        in plain.stderr
    )
    same, wider = (report(*words, "--set", f"window={n}") for n in (100, 1000))
    hybrids = [by_name(each["collections"][0])["hybrid"] for each in (same, wider)]
    assert by_name(json.loads(plain.stdout)["collections"][0])["hybrid"] == hybrids[0]
    assert "as in a search" not in str(wider["collections"][0]["notes"])


def test_language(tmp_path: Path) -> None:
    folder = tmp_path / "katzen"
    documents = [Document("a", "Die Katzen"), Document("b", "Ein Hecht")]
    write_beir(folder, documents, [Query("q", "Katze")], {"test": {"q": {"a": 1}}})
    german, none = (
        report(folder, "--systems", "bm25", "--language", each)["collections"][0]
        for each in ("german", "none")
    )
    assert by_name(german)["bm25"]["R@100"] == 1
    assert by_name(none)["bm25"]["R@100"] == 0
    assert none["notes"] == ["bm25: 1 judged query (q) without hits, counted as 0"]


REFUSED: list[tuple[list[str], str]] = [
    (["nowhere"], "nowhere: no such file or folder, and no suite; give"),
    (["--sparse", "splade-two"], "splade-two"),
    (["--sparse", "bm25"], "bm25 is a system, so write --systems bm25"),
    (["--baseline", "dense"], "--baseline dense is none of the systems: bm25, learned"),
    (["--metrics", "nDCG@10,MAP,AP"], "MAP and AP are the same measure"),
    (["--format", "html"], "there is no format 'html'; choose markdown, latex, csv"),
    (["--format", "csv", "--json", "-"], "both write to standard output"),
    (["--json", "."], ". is a folder; name a file"),
    (["--run-dir", "a-file"], "a-file is a file; name a folder"),
    (["--results", "/proc/nowhere"], "/proc/nowhere cannot be written"),
    (["--markdown", "/proc/nowhere/a.md"], "/proc/nowhere/a.md cannot be written"),
    (["--run", "x=none.trec"], "--run x: none.trec is no file"),
    (["--run", "x=strange.trec"], "2 documents of strange.trec are not in pairs, such as 'no-1'"),
    (["--run", "x=unjudged.trec"], "no query of unjudged.trec is judged in pairs"),
    (["--run", "x=broken.trec"], "broken.trec, line 1: 5 fields where 6 are needed"),
    (["--run", "bm25=unjudged.trec", "--systems", "bm25"], "two systems are called bm25"),
    (["--systems", "dense", "--k1", "0"], "--k1 is of systems like bm25, and there is none among"),
    (["--systems", "bm25", "--idf", "model"], "--idf is of systems like learned"),
    (["--tune-queries", "5"], "--tune-queries is of systems like tuned"),
    (["--systems", "tuned"], "pairs: 3 judged queries of test are too few to tune on"),
    (["--systems", "bm25,lucene-bm25", "--language", "german"], "lucene-bm25 analyses English"),
    (["--systems", "bm25", "--language", "klingon"], "no stemmer"),
    (["--systems", "bm25", "--b", "2"], "b is 2.0"),
    (["--split", "dev"], "no judgements for split 'dev'; there are: test"),
]


@pytest.mark.parametrize(("words", "sentence"), REFUSED)
def test_what_cannot_be_done_is_refused_before_anything_is_encoded(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], sentence: str
) -> None:
    """The first collection is fine, and none of it is encoded."""
    built: list[object] = []
    monkeypatch.setattr(lsr.index.collection.build, "build_collection", built.append)
    (tmp_path / "a-file").write_text("")
    (tmp_path / "strange.trec").write_text("q1 Q0 no-1 1 2.0 x\nq1 Q0 no-2 2 1.0 x\n")
    (tmp_path / "unjudged.trec").write_text("other Q0 cat-lake-a 1 2.0 x\n")
    (tmp_path / "broken.trec").write_text("q1 Q0 cat-lake-a 1 x\n")
    before = sorted(tmp_path.iterdir())
    result = run(root / "pairs", *words)
    assert result.exit_code == 2, result.output
    assert sentence in result.stderr
    assert result.stderr.count("\n") <= 1 + result.stderr.count("reading")
    assert result.stdout == ""
    assert built == []
    assert sorted(tmp_path.iterdir()) == before


def test_a_bad_second_collection_is_refused_before_the_first_is_encoded(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[object] = []
    monkeypatch.setattr(lsr.index.collection.build, "build_collection", built.append)
    broken = tmp_path / "broken"
    shutil.copytree(root / "pairs", broken)
    (broken / "corpus.jsonl").write_text('{"_id": "a b", "text": "x"}\n')
    told = run(root / "topics", broken, "--systems", "bm25", "--run-dir", "runs")
    assert "'a b' is empty or holds a blank" in told.stderr
    shutil.copytree(root / "topics", tmp_path / "other" / "topics")
    told = run(root / "topics", tmp_path / "other" / "topics", "--systems", "bm25")
    assert "two collections are called topics" in told.stderr
    (broken / "corpus.jsonl").write_text("{\n")
    told = run(root / "topics", broken, "--systems", "bm25")
    assert "corpus.jsonl, line 1" in told.stderr
    assert built == []
