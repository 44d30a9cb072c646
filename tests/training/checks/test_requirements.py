"""What `lsr train` refuses before anything is made, as people type it, and in a dry run too."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from lsr.cli.app import app
from lsr.training.checks.model_files import check_model_files
from lsr.training.config.train import EncoderConfig, Mlm
from lsr.training.models.sparse_encoder import make_model, save_model
from tests.support.tiny_models import WORDS, tiny_base

Config = dict[str, Any]
TOPICS = [WORDS[first : first + 8] for first in range(20, 100, 8)]
ROWS: list[dict[str, Any]] = [
    {"query": " ".join(some[:2]), "query_id": f"q{n}", "positive": " ".join(some)}
    for n, some in enumerate(TOPICS)
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("models") / "base")


def config(base: Path, folder: Path) -> Config:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return {
        "output": str(folder / "run"),
        "encoder": {"base": str(base), "max_document_tokens": 32},
        "warm_start": "never",
        "guard": {"max_spread": 1e9, "min_terms": 0},
        "stages": [
            {
                "data": {"sources": [{"path": str(folder / "rows.jsonl")}]},
                "losses": [{"kind": "infonce"}],
                "optim": {"steps": 2, "queries": 4},
            }
        ],
    }


def refusal(given: Config, folder: Path) -> str:
    """The sentence by which a run is refused, and its dry run with the same; nothing is made."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(given))
    before = sorted(folder.rglob("*"))
    said = []
    for words in (["train", str(path)], ["train", str(path), "--dry-run"]):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 2, result.output
        (line,) = [each for each in result.stderr.splitlines() if each.startswith("error: ")]
        said.append(line)
    assert said[0] == said[1]
    assert sorted(folder.rglob("*")) == before
    return said[0]


def teacher(kind: str, **given: str) -> Callable[[Config, Path], None]:
    def change(wanted: Config, folder: Path) -> None:
        told = {name: value.format(folder) for name, value in given.items()}
        wanted["stages"][0]["teachers"] = [{"kind": "bm25"}, {"kind": kind, **told}]

    return change


def placed(**given: Any) -> Callable[[Config, Path], None]:
    def change(wanted: Config, folder: Path) -> None:
        for name, value in given.items():
            wanted[name] = value.format(folder) if isinstance(value, str) else value

    return change


REFUSED: dict[str, tuple[Callable[[Config, Path], None], str]] = {
    "no such folder": (
        teacher("dense", model="{}/none"),
        r"stage train, teacher 2 \(dense\): there is no model '.*/none' on this machine",
    ),
    "no such sparse encoder": (
        teacher("sparse", model="./none"),
        r"stage train, teacher 2 \(sparse\): there is no model './none'",
    ),
    "half a model": (
        teacher("cross_encoder", model="{}/network"),
        r"teacher 2 \(cross_encoder\): the folder of the model '.*/network' has no tokenizer and "
        "no weights",
    ),
    "no such scores": (
        teacher("score_file", path="{}/nothing.jsonl"),
        r"stage train, teacher 2 \(score_file\): .*nothing.jsonl",
    ),
    "scores of another run": (
        teacher("score_file", path="{}/scores.jsonl"),
        r"stage train, teacher 2 \(score_file\): .*: 0 of 1 scores are of a query and a document",
    ),
    "output below a file": (placed(output="{}/file/run"), r"output: .*/file/run cannot be written"),
    "cache below a file": (placed(cache="{}/file/c"), r"cache: .*/file/c cannot be written"),
    "no such base": (
        placed(encoder={"base": "/none/at/all"}),
        "the base: there is no model '/none/at/all'",
    ),
    "no such evaluation set": (placed(evaluation={"sets": ["/none/at/all"]}), "/none/at/all"),
    "empty probe": (placed(evaluation={"probes": ["heart", " "]}), "evaluation.probes has a text"),
    "unknown reporter": (placed(report_to=["tensorbord"]), "there is no reporter 'tensorbord'"),
    "reporter not installed": (placed(report_to=["wandb"]), "wandb is not installed; run: pip"),
    "no hub id": (placed(push_to_hub="a/b/c"), "push_to_hub: 'a/b/c' is no hub id"),
    "no token": (placed(push_to_hub="me/mine"), "push_to_hub: there is no token"),
    "no such corpus": (placed(idf="/none/at/all"), "/none/at/all"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_config_names_is_there_or_refused(
    base: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsr.training.checks.requirements.get_token", lambda: None)
    monkeypatch.setattr(
        "lsr.training.checks.requirements.get_available_reporting_integrations", list
    )
    monkeypatch.chdir(tmp_path)
    given = config(base, tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "scores.jsonl").write_text('{"query_id": "q1", "doc_id": "d", "score": 1}\n')
    (tmp_path / "network").mkdir()
    (tmp_path / "network" / "config.json").write_text("{}")
    change, message = REFUSED[name]
    change(given, tmp_path)
    said = refusal(given, tmp_path)
    assert re.search(message, said), said


def test_a_hub_model_that_cannot_be_asked_for_stops_a_run(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry run names it, and estimates without it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    given = config(base, tmp_path)
    teacher("dense", model="nobody/nothing")(given, tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(given))
    message = "stage train, teacher 2 (dense): the model 'nobody/nothing' is not on this machine"
    run = CliRunner().invoke(app, ["train", str(path)])
    assert (run.exit_code, run.stderr.count(message)) == (2, 1)
    dry = CliRunner().invoke(app, ["train", str(path), "--dry-run"])
    assert (dry.exit_code, dry.stderr.count(message)) == (0, 1)
    assert not (tmp_path / "run").exists()


def test_scores_on_the_hub_are_fetched_and_checked(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run before its first step, and of a dry run, as when the teacher is opened."""
    scores = tmp_path / "scores.jsonl"
    scores.write_text('{"query_id": "q1", "doc_id": "d", "score": 1}\n')
    fetched: list[str] = []

    def fetch(repository: str, file: str, repo_type: str) -> str:
        fetched.append(f"{repository}/{file} {repo_type}")
        return str(scores)

    monkeypatch.setattr("lsr.training.data.hub_files.hf_hub_download", fetch)
    given = config(base, tmp_path)
    teacher("score_file", path="hf:o/n/scores.jsonl")(given, tmp_path)
    assert "0 of 1 scores are of a query and a document" in refusal(given, tmp_path)
    assert set(fetched) == {"o/n/scores.jsonl dataset"}


def test_a_base_that_contradicts_the_encoder_is_refused(base: Path, tmp_path: Path) -> None:
    finished = make_model(EncoderConfig(base=str(base), query=Mlm(), document=Mlm()), None)
    save_model(finished, tmp_path / "finished")
    given = config(base, tmp_path)
    given["encoder"] = {"base": str(tmp_path / "finished"), "query": {"kind": "mlp"}}
    assert "mlp" in refusal(given, tmp_path)


def test_a_disk_that_is_too_small_is_refused(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = config(base, tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: _Usage())
    said = refusal(given, tmp_path)
    assert "needs about" in said
    assert "1.0 MB are free; free some space" in said
    small = given | {"checkpoints_kept": 2}
    many = given | {"checkpoints_kept": 9}
    sizes = []
    for each in (small, many):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(each))
        result = CliRunner().invoke(app, ["train", str(tmp_path / "config.yaml")])
        sizes.append(float(result.stderr.split("needs about ")[1].split(" ")[0]))
    assert sizes[1] > 2 * sizes[0]


class _Usage:
    free = 1_000_000


def test_a_model_folder_is_whole_or_named(base: Path, tmp_path: Path) -> None:
    assert check_model_files(str(base), "the base") is None
    assert check_model_files("doc-mini", "the base") is None
