"""Checkpoints that are whole or not there, the best model, early stopping, figures on the way."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lsr.errors import InputError, StorageError
from lsr.training.config.yaml_file import config_of
from lsr.training.loop.best_model import BestModel
from lsr.training.loop.metrics_log import plot_curves, read_metrics
from lsr.training.loop.run import train_model
from lsr.training.loop.trainer import last_checkpoint, training_arguments
from lsr.training.losses.candidate_loss import CandidateLoss
from lsr.training.models.sparse_encoder import open_model
from tests.support.tiny_models import WORDS, tiny_base

TEXTS = [" ".join(WORDS[n : n + 8]) for n in range(20, 90, 5)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def given(base: Path, tmp_path: Path) -> dict[str, Any]:
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"query": text[:9], "positive": text} for text in TEXTS]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {
        "output": str(tmp_path / "run"),
        "encoder": {"base": str(base), "max_document_tokens": 32},
        "warm_start": "never",
        "guard": {"max_spread": 1e9, "min_terms": 0},
        "checkpoint_every": 2,
        "stages": [
            {
                "data": {"sources": [{"path": str(pairs)}]},
                "losses": [{"kind": "infonce"}],
                "optim": {"steps": 6, "queries": 4, "lr": 1e-3},
            }
        ],
    }


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    (folder / "qrels").mkdir(parents=True)
    for name, lines in (
        ("corpus", [{"_id": f"d{n}", "text": text} for n, text in enumerate(TEXTS)]),
        ("queries", [{"_id": "q", "text": TEXTS[0]}]),
    ):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td0\t1\n")
    return folder


def test_a_full_disk_leaves_the_checkpoint_before(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated: a real full disk cannot be had here. The write after the weights fails."""
    save = torch.save
    written: list[Any] = []

    def full(value: object, path: Any, *rest: Any) -> None:
        if str(path).endswith("loss.pt"):
            written.append(path)
            if len(written) == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
        save(value, path, *rest)

    monkeypatch.setattr("torch.save", full)
    with pytest.raises(StorageError, match="checkpoint-4 cannot be written .*No space.*run again"):
        train_model(config_of(given, (), "test"))
    stage = tmp_path / "run/1-train"
    assert [path.name for path in sorted(stage.glob("checkpoint-*"))] == ["checkpoint-2"]
    assert last_checkpoint(stage) == stage / "checkpoint-2"
    monkeypatch.undo()
    assert train_model(config_of(given, (), "test")).steps == 6


def test_a_checkpoint_without_its_mark_is_not_used(tmp_path: Path) -> None:
    for number, whole in ((2, True), (10, True), (12, False)):
        folder = tmp_path / f"checkpoint-{number}"
        folder.mkdir()
        if whole:
            (folder / "complete").touch()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert last_checkpoint(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("wanted", "machine", "halves"),
    [
        ("auto", "bf16", True),
        ("auto", "fp32", False),
        ("bf16", "fp32", True),
        ("fp32", "bf16", False),
    ],
)
def test_half_precision_by_itself_only_where_the_machine_computes_in_it(
    given: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
    machine: str,
    halves: bool,
) -> None:
    monkeypatch.setattr("lsr.training.loop.trainer.resolved_precision", lambda precision: machine)
    given["stages"][0]["optim"]["precision"] = wanted
    config = config_of(given, [], "test")
    optim = config.stages[0].optim
    assert training_arguments(config, optim, tmp_path, evaluating=False).bf16 is halves


def test_the_best_model_is_kept(tmp_path: Path) -> None:
    best, model = BestModel(tmp_path), torch.nn.Linear(2, 1)
    assert best.restore(model) is None
    assert not best.offer(model, 1, -1.0), "above the FLOPS cap"
    for step, score, better in ((2, 0.3, True), (3, 0.2, False), (4, 0.3, False), (5, 0.4, True)):
        with torch.no_grad():
            model.weight.fill_(step)
        assert BestModel(tmp_path).offer(model, step, score) is better
    with torch.no_grad():
        model.weight.fill_(9)
    assert BestModel(tmp_path).restore(model) == 5
    assert model.weight.tolist() == [[5, 5]]


def test_it_stops_early_and_ends_with_the_best(
    given: dict[str, Any], collection: Path, tmp_path: Path
) -> None:
    """A single query that is answered from the start cannot become better."""
    evaluation = {"sets": [str(collection)], "every": 1, "patience": 2}
    outcome = train_model(config_of(given | {"evaluation": evaluation}, (), "test"))
    assert any("no better score in 2 evaluations, at step 3" in note for note in outcome.notes)
    assert outcome.steps == 3
    again = train_model(config_of(given | {"evaluation": evaluation}, (), "test"))
    assert (again.steps, again.notes) == (outcome.steps, outcome.notes)
    found = json.loads((tmp_path / "run/1-train/best.json").read_text())
    assert found["step"] == 1
    kept = torch.load(tmp_path / "run/1-train/best.pt", weights_only=True)["state"]
    state = open_model(outcome.model).state_dict()
    assert all(torch.equal(kept[name], state[name]) for name in kept)


def test_rows_may_be_held_out_to_evaluate_on(given: dict[str, Any], tmp_path: Path) -> None:
    given["stages"][0]["data"]["validation_share"] = 0.4
    outcome = train_model(config_of(given | {"evaluation": {"every": 3}}, (), "test"))
    assert [each.name for each in outcome.figures] == ["held-out"]
    assert outcome.figures[0].metrics["R@100"] > 0
    metrics = read_metrics(tmp_path / "run/metrics.jsonl")
    assert [line["step"] for line in metrics if "eval_held-out nDCG@10" in line] == [3, 6]
    card = (outcome.model / "README.md").read_text(encoding="utf-8")
    trained = int(card.split("| pairs | ")[1].split(" |")[0])
    assert 0 < trained < len(TEXTS)


def test_a_flops_cap_is_kept_to(given: dict[str, Any], collection: Path, tmp_path: Path) -> None:
    evaluation = {"sets": [str(collection)], "every": 3, "max_flops": 1e-6}
    train_model(config_of(given | {"evaluation": evaluation}, (), "test"))
    assert not (tmp_path / "run/1-train/best.json").exists()


def test_curves_of_a_run(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    lines = [{"stage": "a", "step": n, "loss": 1 / n, "terms": 9.0} for n in range(1, 5)]
    lines.append({"stage": "a", "step": 4, "eval_score": 0.5})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    metrics.write_text(text + '{"stage": "a", "st', encoding="utf-8")
    assert len(read_metrics(metrics)) == 5, "a line that was cut off is left out"
    files = plot_curves(metrics, tmp_path / "plots")
    assert [file.suffix for file in files] == [".png", ".svg"]
    assert all(file.stat().st_size > 1000 for file in files)


def test_training_may_read_less_than_the_model(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    longest = []
    forward = CandidateLoss.forward

    def watched(self: CandidateLoss, model: Any, batch: dict[str, Any]) -> Any:
        longest.append(max(part["input_ids"].shape[1] for part in batch["documents"]))
        return forward(self, model, batch)

    monkeypatch.setattr(CandidateLoss, "forward", watched)
    given["stages"][0]["optim"]["max_document_tokens"] = 6
    outcome = train_model(config_of(given, (), "test"))
    assert set(longest) == {6}
    found = open_model(outcome.model)
    read = found.preprocess([" ".join(["cat"] * 100)], task="document")["input_ids"]
    assert read.shape == (1, 32)


def test_a_symmetric_model_is_trained_over_its_whole_vocabulary(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its queries expand, whatever the config says that a checkpoint would become."""
    symmetric = given | {"output": str(tmp_path / "symmetric")}
    symmetric["encoder"] = given["encoder"] | {"query": {"kind": "mlm"}}
    model = train_model(config_of(symmetric, (), "test")).model
    widths = []
    forward = CandidateLoss.forward

    def watched(self: CandidateLoss, model: Any, batch: dict[str, Any]) -> Any:
        widths.append(batch["columns"])
        return forward(self, model, batch)

    monkeypatch.setattr(CandidateLoss, "forward", watched)
    outcome = train_model(config_of(given | {"encoder": {"base": str(model)}}, (), "test"))
    assert widths == [None] * 6
    assert outcome.steps == 6


def test_the_first_stage_needs_data(given: dict[str, Any]) -> None:
    given["stages"][0]["data"] = None
    with pytest.raises(InputError, match="first stage has no data"):
        train_model(config_of(given, (), "test"))
