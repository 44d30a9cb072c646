"""`lsr train`, `lsr adapt` and `lsr expand`, as people type them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from lsr.cli.app import app
from lsr.encoders.learned.encoder import open_learned
from lsr.encoders.learned.lexical_terms import LexicalTerms
from lsr.encoders.learned.recommended import SearchDefaults
from lsr.training.config.train import EncoderConfig
from lsr.training.data.training_data import TrainingData
from lsr.training.loop.adapt import adapt_model, collection_training_data
from tests.support.command_line import done, refused
from tests.support.tiny_models import WORDS, tiny_base

TEXTS = [
    ". ".join(" ".join(WORDS[n : n + 6]) for n in range(a, a + 12, 6)) for a in range(20, 90, 3)
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "corpus.jsonl"
    lines = [json.dumps({"_id": f"d{n}", "text": text}) for n, text in enumerate(TEXTS)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def config(base: Path, tmp_path: Path) -> Path:
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"query": text[:12], "positive": text} for text in TEXTS]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    path = tmp_path / "config.yaml"
    path.write_text(
        f"""
output: {tmp_path / "run"}
encoder: {{base: "{base}", max_document_tokens: 32}}
warm_start: never
guard: {{max_spread: 1.0e+9}}
stages:
  - data: {{sources: [{{path: "{pairs}"}}]}}
    losses: [{{kind: infonce}}]
    optim: {{steps: 3, queries: 4}}
"""
    )
    return path


def test_a_wrong_key_is_told_before_torch_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("ouput: here\n")
    code = (
        "import sys; from typer.testing import CliRunner; from lsr.cli.app import app\n"
        "for dry in ([], ['--dry-run']):\n"
        "    found = CliRunner().invoke(app, ['train', sys.argv[1], *dry])\n"
        "    assert (found.exit_code, 'torch' in sys.modules) == (2, False), found.output\n"
        "    assert \"did you mean 'output'\" in found.output, found.output"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


def test_a_dry_run_says_what_would_be_and_writes_nothing(config: Path, tmp_path: Path) -> None:
    words = ["train", str(config), "--dry-run", "--set", "optim.steps=7"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "steps: 7" in result.stdout
    assert "max_document_tokens: 32" in result.stdout
    assert f"{len(TEXTS)} rows (pairs {len(TEXTS)})" in result.stderr
    assert "7 steps of 4 queries" in result.stderr
    assert "on this machine (" in result.stderr
    assert "  training: " in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            "stages.0.losses=[{kind: infonec}]",
            "'stages.0.losses.0.kind' is 'infonec': there is no loss of that kind; did you mean",
        ),
        ("encoder.document={kind: mlpp}", "did you mean 'mlp'? known here: table, mlp, mlm"),
        ("regularizer.kind=flop", "did you mean 'flops'?"),
        ("stages.0.teachers=[{model: a}]", "it says no kind"),
    ],
)
def test_a_misspelt_kind_is_told_with_the_nearest(config: Path, setting: str, said: str) -> None:
    for dry in ((), ("--dry-run",)):
        assert said in refused("train", config, "--set", setting, *dry)


def test_training_from_a_file(config: Path, tmp_path: Path) -> None:
    outcome = json.loads(done("train", config, "--json"))
    assert outcome["steps"] == 3
    assert open_learned(outcome["model"]).encode_queries(["cat dog"]).terms.size == 2
    assert "did you mean 'steps'" in refused("train", config, "--set", "optim.stepps=3")


def test_a_finished_model_whose_table_is_learned_now(config: Path, tmp_path: Path) -> None:
    first = json.loads(done("train", config, "--json"))["model"]
    tables = []
    for learned in ("false", "true"):
        words = ("--set", f"encoder.base={first}", "--set", f"output={tmp_path / learned}")
        query = f"encoder.query={{kind: table, learned: {learned}}}"
        outcome = json.loads(done("train", config, *words, "--set", query, "--json"))
        tables.append(np.asarray(open_learned(outcome["model"]).query_weights))
    # drawn to the same texts, whose own it was already
    drawn = np.asarray(open_learned(first).query_weights)
    assert np.allclose(tables[0], drawn, atol=1e-6)
    assert not np.allclose(tables[1], drawn, atol=1e-4)


def test_adapting_to_a_collection(base: Path, corpus: Path, config: Path, tmp_path: Path) -> None:
    trained = json.loads(done("train", config, "--json"))["model"]
    SearchDefaults(lexical_terms=LexicalTerms(weight=0.25)).write(Path(trained))
    words = ("adapt", trained, corpus, tmp_path / "adapted", "--steps", 2, "--dense", "none")
    outcome = json.loads(done(*words, "--set", "optim.queries=4", "--json"))
    assert any("drawn towards the idf" in note for note in outcome["notes"])
    assert SearchDefaults.read(Path(outcome["model"])).lexical_terms == LexicalTerms(weight=0.25)
    written = yaml.safe_load((tmp_path / "adapted" / "config.yaml").read_text())["stages"][0]
    assert written["scores"]["lexical_terms"] is None, "the network forgets beside them"
    assert written["regularizer"]["target_terms"] == 120
    assert written["optim"]["lr"] == 1e-5, "a finished model is not taught anew"
    rows = collection_training_data(str(corpus), EncoderConfig(base=str(base)), 0).pairs
    assert (rows.positives >= 0).all()
    before, after = (open_learned(each) for each in (trained, outcome["model"]))
    tables = [np.asarray(each.query_weights) for each in (before, after)]
    assert not np.array_equal(tables[0], tables[1])
    weights = [each.encode_documents(TEXTS[:3]).weights for each in (before, after)]
    assert weights[0].shape != weights[1].shape or (weights[0] != weights[1]).any()


def test_a_checkpoint_is_taught_faster_than_a_finished_model(
    base: Path, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "fresh"
    small = ("--set", "optim.queries=4", "--set", "warm_start=never")
    done("adapt", base, corpus, out, "--steps", 1, "--dense", "none", *small, "--json")
    optim = yaml.safe_load((out / "config.yaml").read_text())["stages"][0]["optim"]
    assert (optim["lr"], optim["head_lr"]) == (5e-5, 3e-4)


@pytest.mark.parametrize(
    ("settings", "longest"), [((), 15), (("optim.max_document_tokens=10",), 10)]
)
def test_adapting_reads_as_much_of_documents_as_it_is_told(
    base: Path,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: tuple[str, ...],
    longest: int,
) -> None:
    given: list[TrainingData] = []

    def kept(*_: object, training_data: TrainingData, notice: object) -> None:
        given.append(training_data)

    monkeypatch.setattr("lsr.training.loop.adapt.train_model", kept)
    adapt_model(str(base), str(corpus), tmp_path / "out", dense=None, settings=settings)
    assert given[0].lengths.max() == longest


def test_expansions_from_a_file(corpus: Path, tmp_path: Path) -> None:
    found, out = tmp_path / "found.jsonl", tmp_path / "longer.jsonl"
    found.write_text('{"doc_id": "d1", "queries": ["where is the whale", "shark"]}\n')
    done("expand", corpus, out, "--file", found)
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == len(TEXTS)
    assert lines[1]["text"] == TEXTS[1] + " where is the whale shark"
    assert lines[2]["text"] == TEXTS[2]
    found.write_text('{"doc_id": "none", "queries": ["a"]}\n')
    for arguments, said in (
        (("--file", found), "no doc_id is in the corpus"),
        ((), "choose one of"),
        (("--file", found, "--model", "m"), "choose one of"),
    ):
        assert said in refused("expand", corpus, tmp_path / "wrong.jsonl", *arguments)
    assert not list(tmp_path.glob("wrong*"))
