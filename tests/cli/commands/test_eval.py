"""`lsr eval` with fusion and feedback: every system, how tuned is tuned, the plot, and refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import lsr.evaluation.models
import lsr.evaluation.tuning
import lsr.index.collection.retrievers
from lsr.cli.app import app
from lsr.datasets.beir import write_beir
from lsr.encoders.bm25 import Bm25Encoder
from lsr.evaluation.system_names import PLANS
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.retrieval.plan import plan_from
from lsr.types import Qrels
from tests.evaluation.test_tuning import TopicVectors, corpus, judged

OURS = list(PLANS)


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> TopicVectors:
    made = TopicVectors()
    for module in (lsr.index.collection.retrievers, lsr.evaluation.models):
        monkeypatch.setattr(module, "open_dense_encoder", lambda name, **_: made)
    few = tuple(step._replace(choices=step.choices[:1]) for step in lsr.evaluation.tuning._STEPS)
    monkeypatch.setattr(lsr.evaluation.tuning, "_STEPS", few)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Judged queries of even topics are the split test, of odd ones dev."""
    path = tmp_path_factory.mktemp("eval") / "topics"
    queries, qrels = judged()
    halves: dict[str, Qrels] = {"test": {}, "dev": {}}
    for name, grades in qrels.items():
        halves["dev" if int(name[1:].split(".")[0]) % 2 else "test"][name] = grades
    write_beir(path, corpus(), queries, halves)
    return path


@pytest.fixture(scope="module")
def unsplit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("eval") / "whole"
    queries, qrels = judged()
    write_beir(path, corpus(), queries, {"test": qrels})
    return path


@pytest.fixture(scope="module")
def opened(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectionReader]:
    path = tmp_path_factory.mktemp("eval") / "index"
    build_collection(corpus(), path, sparse=Bm25Encoder(), dense=TopicVectors())
    collection = CollectionReader.open(path)
    yield collection
    collection.close()


def run(*words: object) -> Any:
    return CliRunner().invoke(app, ["eval", *map(str, words)])


def report(*words: object) -> Any:
    result = run(*words, "--json", "-")
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)["collections"]
    return found


def test_every_system(folder: Path, tmp_path: Path, opened: CollectionReader) -> None:
    """Each system's run is what its plan gives in Python, and its figures follow."""
    names = ",".join(OURS)
    plot, runs = tmp_path / "cost.svg", tmp_path / "runs"
    markdown = tmp_path / "report.md"
    found = report(
        folder, "--systems", names, "--depth", 100, "--plot", plot, "--run-dir", runs,
        "--markdown", markdown, "--cache-dir", tmp_path / "cache",
    )  # fmt: skip
    assert [system["name"] for system in found["systems"]] == OURS
    texts = {query.query_id: query.text for query in judged()[0]}
    for system in found["systems"]:
        name = system["name"]
        assert 0 <= system["metrics"]["nDCG@10"] <= 1
        assert system["stage_ms"]["fuse"] > 0
        assert ("encode_dense" in system["stage_ms"]) == (name not in ("bm25", "prf:sparse"))
        assert ("feedback" in system["stage_ms"]) == name.startswith("prf:")
        plan = plan_from(PLANS[name])
        for line in (runs / f"topics.{name}.trec").read_text().splitlines()[:40]:
            query_id, _, doc_id, rank, score, tag = line.split()
            answer = opened.search(texts[query_id], k=100, plan=plan)
            hit = answer.hits[int(rank) - 1]
            assert (hit.document.doc_id, tag) == (doc_id, name)
            assert hit.score == pytest.approx(float(score), abs=1e-5)
    first, *others = found["systems"]
    assert first["against_baseline"] == {}
    for system in others:
        compared = system["against_baseline"]["nDCG@10"]
        assert compared["wins"] + compared["ties"] + compared["losses"] == found["n_queries"]
    drawn = plot.read_text()
    assert all(f"<!-- {name} -->" in drawn for name in OURS)
    assert "Milliseconds a query, mean, by stage" in markdown.read_text()


def test_settings_change_every_system(folder: Path, tmp_path: Path) -> None:
    cache = ("--cache-dir", tmp_path / "cache")
    plain = report(folder, "--systems", "hybrid,prf:both", *cache)
    changed = report(
        folder, "--systems", "hybrid,prf:both", "--set", "fusion.weight_sparse=1", *cache
    )
    sparse = report(folder, "--systems", "bm25", *cache)
    values = [system["by_query"]["nDCG@10"] for system in changed["systems"]]
    assert values[0] != plain["systems"][0]["by_query"]["nDCG@10"]
    assert values[0] == values[1] == sparse["systems"][0]["by_query"]["nDCG@10"]


def test_a_grid_is_one_system_a_setting(folder: Path, tmp_path: Path) -> None:
    """Each with the figures of its plan, marked as a grid, and found again."""
    words = (
        folder, "--systems", "dense,prf:both", "--prf-depth", "1,4", "--prf-method",
        "average,rocchio", "--prf-alpha", "0,.4", "--cache-dir", tmp_path / "cache",
        "--results", tmp_path / "results",
    )  # fmt: skip
    found = report(*words)
    names = [system["name"] for system in found["systems"]]
    assert names == [
        "dense", "prf:both:average:k1", "prf:both:average:k4", "prf:both:rocchio:k1:a0",
        "prf:both:rocchio:k1:a0.4", "prf:both:rocchio:k4:a0", "prf:both:rocchio:k4:a0.4",
    ]  # fmt: skip
    assert any("are a grid" in note for note in found["notes"])
    alone = report(
        folder, "--systems", "prf:both", "--set", "prf.depth=4", "--set", "prf.dense.alpha=0.4",
        "--set", "prf.dense.beta=0.6", "--cache-dir", tmp_path / "cache",
    )  # fmt: skip
    assert not any("are a grid" in note for note in alone["notes"])
    assert found["systems"][-1]["metrics"] == alone["systems"][0]["metrics"]
    assert len({system["metrics"]["MAP"] for system in found["systems"]}) > 2
    again = run(*words, "--format", "csv")
    assert "measured before" in again.stderr
    assert again.stdout.count("prf:both:") >= 6


def test_a_setting_is_chosen_elsewhere(folder: Path, tmp_path: Path) -> None:
    grid = ("--systems", "dense,prf:dense", "--prf-depth", "1,3,9", "--metrics", "MAP,nDCG@10")
    cache = ("--cache-dir", tmp_path / "cache")
    elsewhere = report(folder, "--split", "dev", *grid, *cache)
    best = max(elsewhere["systems"][1:], key=lambda system: system["metrics"]["MAP"])
    result = run(folder, *grid, *cache, "--choose-on", f"{folder}#dev", "--json", "-")
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)["collections"]
    assert found["split"] == "test"
    assert [system["name"] for system in found["systems"]] == ["dense", best["name"]]
    (note,) = (note for note in found["notes"] if "was chosen" in note)
    assert note.startswith(f"{best['name']} was chosen for prf:dense among 3 settings on topics")
    assert "by MAP" in note


def test_tuned_on_another_split(folder: Path, tmp_path: Path) -> None:
    found = report(folder, "--systems", "hybrid,tuned", "--cache-dir", tmp_path / "cache")
    (note,) = found["notes"]
    assert note.startswith("tuned on 18 queries of dev: kept ")
    assert "held out: default 0." in note
    hybrid, tuned = (system["metrics"]["nDCG@10"] for system in found["systems"])
    assert tuned > hybrid


def test_tuned_without_another_split_never_sees_its_query(
    unsplit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen_on: list[set[int]] = []
    tune = lsr.evaluation.tuning.Tuner.tune

    def watched(self: Any, places: Any = None, *, folds: int = 5) -> Any:
        chosen_on.append(set(places.tolist()))
        return tune(self, places, folds=folds)

    monkeypatch.setattr(lsr.evaluation.tuning.Tuner, "tune", watched)
    found = report(unsplit, "--systems", "tuned", "--cache-dir", tmp_path / "cache")
    (note,) = found["notes"]
    assert note.startswith("tuned by cross-validation in 5 folds")
    everything = set(range(found["n_queries"]))
    held_out = [everything - places for places in chosen_on]
    assert len(held_out) == 5
    assert set().union(*held_out) == everything
    assert sum(map(len, held_out)) == len(everything)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--systems", "prf:all"],
            "not a system: prf:all; choose from bm25, dense, prf:dense, hybrid",
        ),
        (["--systems", "bm25", "--prf-depth", "3"], "--prf-depth is of systems like prf:both"),
        (["--systems", "prf:pre", "--prf-depth", "99"], "--prf-depth has whole numbers from 1"),
        (["--systems", "prf:pre", "--choose-on", "dl19"], "--choose-on has nothing to choose from"),
        (
            ["--systems", "prf:pre", "--prf-depth", "3", "--choose-on", "beir13"],
            "beir13 is a suite of 13 collections; name one of them",
        ),
        (["--systems", "tuned", "--tune-split", "test"], "test is what is evaluated"),
        (["--systems", "tuned", "--tune-split", "no"], "has no split 'no'; there are: dev, test"),
        (["--systems", "hybrid", "--set", "fusion.norm=l2"], "fusion.norm is 'l2'; choose tmm"),
        (["--systems", "bm25", "--plot", "cost.txt"], "cost.txt: a plot can be "),
    ],
)
def test_refusals(folder: Path, tmp_path: Path, options: list[str], sentence: str) -> None:
    result = run(folder, *options, "--cache-dir", tmp_path / "cache")
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_a_collection_that_is_reported_does_not_choose(folder: Path, tmp_path: Path) -> None:
    grid = ("--systems", "prf:pre", "--prf-depth", "1,3", "--cache-dir", tmp_path / "cache")
    for choose_on in (str(folder), f"{folder}#test"):
        result = run(folder, *grid, "--choose-on", choose_on)
        assert result.exit_code == 2
        assert "is reported too, and a value chosen on a collection says nothing" in result.stderr
    options = ("--choose-on", f"{folder}#dev", "--baseline", "prf:pre:k3")
    result = run(folder, *grid, *options)
    assert result.exit_code == 2
    assert "is one setting of a grid" in result.stderr
