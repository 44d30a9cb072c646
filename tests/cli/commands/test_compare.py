"""`lsr compare` and `lsr eval`: the same figures of the same runs, what is printed, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lsr.cli.app import app
from lsr.datasets.runs import open_run
from lsr.errors import UnavailableError
from lsr.evaluation.compare.fusion import check_fusion
from lsr.types import Run
from tests.support.markdown import ROOT

LIBRARY = ROOT / "data" / "library"


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [*map(str, words)])


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Two systems' runs, and what `lsr eval` said of them."""
    folder = tmp_path_factory.mktemp("runs")
    for name, k1 in (("near", 0.9), ("far", 0.0)):
        words = ("--k1", k1, "--b", 0.9, "--run-dir", folder / name, "--json", folder / "a.json")
        assert run("eval", LIBRARY, "--systems", "bm25", *words).exit_code == 0
        (folder / name / "library.bm25.trec").rename(folder / f"{name}.trec")
    given = [f"--run={name}={folder}/{name}.trec" for name in ("near", "far")]
    result = run("eval", LIBRARY, *given, "--significance", "--markdown", folder / "a.md")
    assert result.exit_code == 0, result.output
    json_file = folder / "eval.json"
    assert run("eval", LIBRARY, *given, "--json", json_file).exit_code == 0
    (folder / "said.txt").write_text(result.stdout)
    return folder, json.loads(json_file.read_text())["collections"][0]


def test_figures_are_those_of_eval(evaluated: tuple[Path, Any], tmp_path: Path) -> None:
    folder, said = evaluated
    words = (folder / "near.trec", folder / "far.trec", "--qrels", LIBRARY)
    files = ("--html", tmp_path / "c.html", "--markdown", tmp_path / "c.md")
    result = run("compare", *words, *files, "--json", "-")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    for mine, theirs in zip(told["runs"], said["systems"], strict=True):
        assert mine["by_query"] == theirs["by_query"]
        assert mine["metrics"] == theirs["metrics"]
        assert mine["against_baseline"].get("t-test", {}) == theirs["against_baseline"]
    assert told["runs"][0]["metrics"] != told["runs"][1]["metrics"]
    assert (tmp_path / "c.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "c.md").read_text().startswith("# Comparison on library (test)")


def test_what_is_printed(evaluated: tuple[Path, Any]) -> None:
    folder, said = evaluated
    words = (folder / "near.trec", f"x={folder}/far.trec", "--qrels", LIBRARY)
    result = run("compare", *words, "--baseline", "x", "--differences", 2)
    assert result.exit_code == 0, result.output
    assert "against x by query: paired t-test, corrected by Holm" in result.stdout
    assert "p (Holm)" in result.stdout
    assert "queries that differ most from x by nDCG@10" in result.stdout
    assert "text" in result.stdout
    plain = run("compare", *words, "--format", "csv")
    assert plain.stdout.splitlines()[0].startswith("judgements,run,queries,nDCG@10")
    alone = run("compare", folder / "near.trec", "--qrels", LIBRARY / "qrels" / "test.tsv")
    assert alone.exit_code == 0
    assert "against" not in alone.stdout
    eval_said = (folder / "said.txt").read_text()
    assert "against near by query: paired t-test, corrected by Holm" in eval_said
    first = said["systems"][1]["against_baseline"]["nDCG@10"]
    assert f"{first['wins']}/{first['ties']}/{first['losses']}" in eval_said
    assert f" {first['p_holm']:.3g} " in eval_said


def test_texts_are_printed_as_they_are(evaluated: tuple[Path, Any], tmp_path: Path) -> None:
    """Brackets are no markup, and nothing moves the cursor."""
    folder, _ = evaluated
    judged = (LIBRARY / "qrels" / "test.tsv").read_text().splitlines()[1:]
    ids = dict.fromkeys(line.split("\t")[0] for line in judged)
    texts = "".join(f"{query_id}\t[/b] \x1b[2J {'long ' * 20}\n" for query_id in ids)
    (tmp_path / "queries.tsv").write_text(texts)
    words = (folder / "near.trec", f"[x]={folder}/far.trec", "--qrels", LIBRARY)
    result = run("compare", *words, "--queries", tmp_path / "queries.tsv")
    assert result.exit_code == 0, result.output
    assert "[/b]  [2J long long" in result.stdout
    assert "\x1b" not in result.stdout
    assert "…" in result.stdout
    assert "│ [x] " in result.stdout


def test_fused(
    evaluated: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has what was measured; ranx itself is held elsewhere, as it compiles for long."""
    folder, _ = evaluated

    def first(runs: list[Run], method: str) -> Run:
        return runs[0]

    monkeypatch.setattr("lsr.cli.commands.compare.fuse_runs", first)
    monkeypatch.setattr("lsr.cli.commands.compare.check_fusion", lambda *_: None)
    words = (folder / "far.trec", folder / "near.trec", "--qrels", LIBRARY, "--json", "-")
    result = run("compare", *words, "--fuse", "rrf", "--trec", tmp_path / "new" / "f.trec")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)["runs"]
    assert [each["name"] for each in told] == ["far", "near", "rrf"]
    assert told[2]["metrics"] == told[0]["metrics"]
    fused = open_run(tmp_path / "new" / "f.trec")
    assert fused == open_run(folder / "far.trec")
    assert result.stderr.startswith("fusing 2 runs by rrf; ranx compiles first")


def test_fusion_needs_ranx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ranx", None)
    with pytest.raises(UnavailableError, match="fusion of runs needs ranx, which is not in"):
        check_fusion("rrf", 2)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["near.trec", "--test", "t-test"], "--test is of runs beside a baseline, and there is on"),
        (["near.trec", "--differences", "3"], "--differences is of runs beside a baseline"),
        (["near.trec", "--queries", "q.tsv"], "--queries is of runs beside a baseline"),
        (["near.trec", "--fuse", "rrf"], "fusion by rrf needs two runs at least"),
        (["near.trec", "far.trec", "--fuse", "no"], "there is no fusion 'no'; choose rrf, isr"),
        (["near.trec", "rrf=far.trec", "--fuse", "rrf"], "a run is called rrf, as the fused one"),
        (["near.trec", "far.trec", "--trec", "x"], "none is asked for; give --fuse METHOD"),
        (["near.trec", "far.trec", "--json", "near.trec"], "is read or written already"),
        (["near.trec", "far.trec", "--json", "x", "--html", "x"], "is read or written already"),
        (["near.trec", "far.trec", "--json", "-", "--format", "csv"], "both write to standard"),
        (["near.trec", "far.trec", "--format", "no"], "there is no format 'no'"),
        (["near.trec", "far.trec", "--format", "csv", "--differences", "3"], "without the queries"),
        (["near.trec", "far.trec", "--plot", "x.foo"], "a plot can be"),
        (["near.trec", "far.trec", "--test", ","], "--test names no test; choose t-test"),
        (["near.trec", "far.trec", "--baseline", "x"], "the baseline x is not among the runs"),
        (["near.trec", "far.trec", "--split", "no"], "no judgements for split 'no'"),
        (["near.trec", "far.trec", "--queries", "none.tsv"], "no such file"),
        (["near.trec", "near.trec"], "is to be compared with itself"),
    ],
)
def test_refusals(
    evaluated: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch, options: list[str], sentence: str
) -> None:
    monkeypatch.chdir(evaluated[0])
    before = {path.name: path.stat().st_mtime_ns for path in Path().iterdir()}
    result = run("compare", *options, "--qrels", LIBRARY)
    assert result.exit_code == 2, result.output
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert {path.name: path.stat().st_mtime_ns for path in Path().iterdir()} == before


def test_eval_refuses_significance_where_nothing_is_printed() -> None:
    result = run("eval", LIBRARY, "--systems", "bm25", "--significance", "--json", "-")
    assert result.exit_code == 2
    assert "--significance prints a table" in result.stderr
