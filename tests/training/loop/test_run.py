"""Whole runs on a tiny random model: trained, resumed, evaluated, saved, searched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SparseEncoder
from transformers import AutoTokenizer

from lsr.encoders.learned.lexical_terms import LexicalTerms
from lsr.encoders.learned.recommended import SearchDefaults
from lsr.errors import InputError, ModelError
from lsr.training.config.train import TrainConfig
from lsr.training.config.yaml_file import config_of
from lsr.training.loop.adapt import adapt_model
from lsr.training.loop.metrics_log import read_metrics
from lsr.training.loop.run import train_model
from lsr.training.loop.run_folder import RunFolder
from lsr.training.models.sparse_encoder import open_model
from tests.support.tiny_models import WORDS, tiny_base

TOPICS = [WORDS[first : first + 8] for first in range(20, 100, 8)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Queries of two words of a topic, answered by texts of the same topic."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    lines = []
    for n in range(60):
        words = TOPICS[n % len(TOPICS)]
        text = " ".join(rng.choice([*words, "the", "of"], 12))
        lines.append({"query": " ".join(rng.choice(words, 2)), "positive": text})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BEIR folder of one document a topic."""
    folder = tmp_path_factory.mktemp("sets") / "topics"
    (folder / "qrels").mkdir(parents=True)
    documents = [{"_id": f"d{n}", "text": " ".join(words)} for n, words in enumerate(TOPICS)]
    queries = [{"_id": f"q{n}", "text": " ".join(words[:3])} for n, words in enumerate(TOPICS)]
    for name, lines in (("corpus", documents), ("queries", queries)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(len(TOPICS)))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    return folder


def config(base: Path, pairs: Path, output: Path, **given: Any) -> TrainConfig:
    stage: dict[str, Any] = {
        "data": {"sources": [{"path": str(pairs)}]},
        "losses": [{"kind": "infonce"}],
        "optim": {"steps": 6, "queries": 6, "lr": 1e-3, "sampled_columns": 60},
    }
    for key, value in given.pop("stage", {}).items():
        stage[key] = {**stage[key], **value} if isinstance(stage.get(key), dict) else value
    made = {
        "output": str(output),
        "encoder": {"base": str(base), "max_document_tokens": 32},
        "guard": {"max_spread": 1e9, "min_terms": 0},
        "checkpoint_every": 3,
        "stages": [stage],
        "warm_start": "never",
    }
    return config_of(made | given, (), "test")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = open_model(folder).state_dict()
    return state


def logged(run: Path) -> list[dict[str, float | str]]:
    """Lines of a run's metrics, without how long they took."""
    lines = read_metrics(run / "metrics.jsonl")
    return [{k: v for k, v in line.items() if k != "steps_per_second"} for line in lines]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_trains_and_leaves_what_it_says(
    base: Path, pairs: Path, collection: Path, tmp_path: Path
) -> None:
    evaluation = {"sets": [str(collection)], "every": 3, "probes": ["the cat sees a dog"]}
    wanted = config(base, pairs, tmp_path / "run", evaluation=evaluation)
    outcome = train_model(wanted)
    assert outcome.steps == 6
    assert outcome.figures[0].metrics["nDCG@10"] > 0.5
    assert outcome.figures[0].terms > 0
    card = (outcome.model / "README.md").read_text(encoding="utf-8")
    assert "/tmp/" not in card
    assert str(outcome.model.parent.parent) not in card
    assert "| topics |" in card
    assert "max_document_tokens: 32" in card
    state = sorted((tmp_path / "run").glob("*/checkpoint-*/trainer_state.json"))[-1]
    history = json.loads(state.read_text(encoding="utf-8"))["log_history"]
    assert any(
        {"loss", "terms", "retrieval_flops", "lambda"} <= logged.keys() for logged in history
    )
    metrics = (tmp_path / "run/metrics.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in metrics.splitlines()]
    assert {line["step"] for line in lines} >= {3, 6}
    assert any("eval_topics nDCG@10" in line for line in lines)
    stock = SparseEncoder(str(outcome.model))
    query = stock.encode_query(["cat dog"], convert_to_sparse_tensor=False)
    assert int((query > 0).sum()) == 2
    assert train_model(wanted).figures == outcome.figures, "run again, it is done already"


@pytest.mark.parametrize("temperature", ["auto", "learned"])
def test_resumed_it_ends_with_the_same_model(
    base: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temperature: str
) -> None:
    """To the bit: batches, dropout, optimizer, lambda and its controller, temperature."""
    stage = {
        "teachers": [{"kind": "bm25"}],
        "scores": {"temperature": temperature},
        "regularizer": {"target_terms": 20, "weight": 0.01},
        "optim": {"candidates": 3, "steps": 8},
    }
    monkeypatch.setattr("lsr.training.loop.callbacks.EVERY", 2)
    straight = train_model(config(base, pairs, tmp_path / "straight", stage=stage))
    broken = config(base, pairs, tmp_path / "broken", stage=stage)

    def interrupt(stage: str, done: int, total: int, figures: object) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_model(broken, report=interrupt)
    again = train_model(broken)
    metrics = logged(tmp_path / "broken")
    assert [line["step"] for line in metrics] == [1, 2, 4, 6, 8], "no step twice"
    assert metrics == logged(tmp_path / "straight")
    assert float(metrics[0]["loss"]) > 0
    assert same(weights(straight.model), weights(again.model))
    assert not same(weights(straight.model), weights(tmp_path / "broken/0-start/encoder"))


def test_resumed_it_is_as_patient_as_before(
    base: Path, pairs: Path, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluations without a better score are counted over the interruption."""
    scores = iter([0.5, 0.4, 0.3, 0.2])
    monkeypatch.setattr("lsr.training.loop.stage._figures", lambda *_: {"score": next(scores)})
    evaluation = {"sets": [str(collection)], "every": 1, "patience": 2}
    given = config(base, pairs, tmp_path / "run", evaluation=evaluation, checkpoint_every=2)

    def interrupt(stage: str, done: int, total: int, figures: object) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_model(given, report=interrupt)
    outcome = train_model(given)
    assert outcome.steps == 3
    assert "no better score in 2 evaluations, at step 3" in outcome.notes[0]


def test_resumed_in_its_second_stage_it_ends_with_the_same_model(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    data = {"sources": [{"path": str(pairs)}], "validation_share": 0.2}
    optim = {"steps": 4, "queries": 6, "lr": 1e-3, "sampled_columns": 60}
    losses = [{"kind": "infonce"}]
    stages = [
        {"name": "one", "data": data, "losses": losses, "optim": optim},
        {"name": "two", "losses": losses, "optim": optim | {"steps": 8}},
    ]
    straight = train_model(config(base, pairs, tmp_path / "straight", stages=stages))
    broken = config(base, pairs, tmp_path / "broken", stages=stages)

    def interrupt(stage: str, done: int, total: int, figures: object) -> None:
        if (stage, done) == ("two", 5):
            raise KeyboardInterrupt

    seen: list[tuple[str, int]] = []
    with pytest.raises(KeyboardInterrupt):
        train_model(broken, report=interrupt)
    again = train_model(broken, report=lambda stage, done, *_: seen.append((stage, done)))
    assert seen[0] == ("two", 4), "the first stage is not done again"
    assert (straight.steps, straight.notes) == (again.steps, again.notes)
    assert straight.figures == again.figures
    assert same(weights(straight.model), weights(again.model))


def test_the_tokenizer_is_opened_once(
    base: Path, pairs: Path, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    class Counted:
        @staticmethod
        def from_pretrained(folder: str, **options: bool) -> Any:
            opened.append(folder)
            return AutoTokenizer.from_pretrained(folder, **options)

    monkeypatch.setattr("lsr.training.loop.initial_model.AutoTokenizer", Counted)
    stage = {
        "data": {"sources": [{"path": str(pairs)}]},
        "losses": [{"kind": "infonce"}],
        "optim": {"steps": 1, "queries": 4},
    }
    stages = [stage | {"name": name} for name in ("one", "two")]
    made = train_model(
        config(base, pairs, tmp_path / "run", idf=str(collection), stages=stages)
    ).model
    assert opened == [str(base)]
    opened.clear()
    train_model(config(made, pairs, tmp_path / "more", idf=str(collection), stages=stages))
    assert [Path(folder).parent for folder in opened] == [made]
    opened.clear()
    adapt_model(str(made), str(collection), tmp_path / "adapted", steps=1, dense=None)
    assert [Path(folder).parent for folder in opened] == [made]


def test_a_run_killed_at_its_first_file_starts_again(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    left = tmp_path / "run" / ".config.yaml.7.unfinished"
    left.parent.mkdir()
    left.write_text("stages:")
    for _ in range(2):
        RunFolder(tmp_path / "run", config(base, pairs, tmp_path / "run"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(InputError, match="something other than a run"):
        RunFolder(tmp_path / "other", config(base, pairs, tmp_path / "other"))


@pytest.mark.parametrize(("kind", "target"), [("flops", 1.0), ("flops", 400.0), ("none", None)])
def test_a_target_that_is_missed_is_told(
    base: Path, pairs: Path, tmp_path: Path, kind: str, target: float | None
) -> None:
    settings = {"kind": kind, "target_terms": target, "warmup": 0.0}
    wanted = config(base, pairs, tmp_path / "run", stage={"regularizer": settings})
    told: list[str] = []
    outcome = train_model(wanted, notice=told.append)
    written = (tmp_path / "run/metrics.jsonl").read_text(encoding="utf-8")
    assert ("lambda" in written) == (kind != "none")
    if target is None:
        assert (told, outcome.notes) == ([], [])
        return
    assert f"target of {target:g} may be out of reach" in told[0], "at the start"
    beginning, note = outcome.notes
    assert [beginning] == told
    assert note.startswith("stage train missed its target: documents had ")
    assert f"where {target:.4g} were asked for, " in note
    assert note.endswith("more" if target == 1.0 else "fewer")


def test_another_config_does_not_continue_a_run(base: Path, pairs: Path, tmp_path: Path) -> None:
    RunFolder(tmp_path / "run", config(base, pairs, tmp_path / "run"))
    with pytest.raises(InputError, match="a run of another config .*seed"):
        train_model(config(base, pairs, tmp_path / "run", seed=3))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    with pytest.raises(InputError, match="something other than a run"):
        train_model(config(base, pairs, tmp_path / "notes"))


def test_runs_share_what_teachers_made(base: Path, pairs: Path, tmp_path: Path) -> None:
    stage = {
        "teachers": [{"kind": "bm25"}, {"kind": "dense", "model": str(base)}],
        "optim": {"steps": 2},
        "scores": {"lexical_terms": {"weight": 2.0}},
    }
    cache = tmp_path / "cache"
    for name in ("one", "two"):
        given = config(base, pairs, tmp_path / name, stage=stage, cache=str(cache))
        train_model(given)
        files = {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}
        assert files
        assert not (tmp_path / name / "cache").exists()
        if name == "one":
            before = files
    assert files == before
    use = {"idf": "corpus", "min_idf": 0.5, "lexical_terms": {"weight": 3}}
    plain = config(
        base, pairs, tmp_path / "plain", stage=stage | {"scores": {}}, search_defaults=use
    )
    train_model(plain)
    said = SearchDefaults.read(tmp_path / "plain" / "model")
    assert said == SearchDefaults("corpus", 0.5, LexicalTerms(weight=3))
    with pytest.raises(InputError, match=r"search_defaults.lexical_terms.weigth"):
        config(base, pairs, tmp_path / "wrong", search_defaults={"lexical_terms": {"weigth": 3}})
    same_weights = same(weights(tmp_path / "plain" / "model"), weights(tmp_path / "two" / "model"))
    assert not same_weights  # own terms are part of what is learned
    assert same(weights(tmp_path / "one" / "model"), weights(tmp_path / "two" / "model"))


def test_it_stops_when_it_goes_wrong(base: Path, pairs: Path, tmp_path: Path) -> None:
    stage = {"optim": {"lr": 1e9, "steps": 30, "warmup": 0.0, "max_grad_norm": 1e9}}
    guard = {"min_terms": 5, "max_terms": 150, "after": 2, "max_spread": 1e9}
    wanted = config(base, pairs, tmp_path / "run", stage=stage, guard=guard)
    with pytest.raises(ModelError, match="at step"):
        train_model(wanted)
    assert not (tmp_path / "run/model").exists()
