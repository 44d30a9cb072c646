"""How far a run is, read from its folder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lsr.training.config.train import TrainConfig
from lsr.training.config.yaml_file import config_of
from lsr.training.loop.run_folder import RunFolder
from lsr.training.loop.run_state import RunState


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    stages = [{"name": "first"}, {"name": "second"}, {"name": "third"}]
    return config_of({"output": str(tmp_path / "run"), "stages": stages}, (), "test")


@pytest.fixture
def state(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> RunState:
    """Of a new run, whose models are files that hold a word."""

    def save(model: str, folder: Path) -> None:
        folder.write_text(model, encoding="utf-8")

    monkeypatch.setattr("lsr.training.loop.run_state.save_model", save)
    return again(config)


def again(config: TrainConfig) -> RunState:
    return RunState.read(RunFolder(Path(config.output), config), config.stages)


def model(word: str) -> Any:
    """What stands for a model."""
    return word


def rows(overlap: str = "", **counts: int) -> Any:
    found = SimpleNamespace(sentence=lambda: overlap) if overlap else None
    return SimpleNamespace(overlap=found, counts=lambda: counts)


def test_a_new_run_has_all_stages_before_it(state: RunState) -> None:
    assert list(state.stages_left) == [1, 2, 3]
    assert (state.steps, state.counts, state.notes) == (0, {}, [])


def test_the_starting_model_is_made_once(state: RunState, config: TrainConfig) -> None:
    made: list[str] = []

    def make() -> tuple[Any, str]:
        made.append("new")
        return model("new"), "its head was started"

    for each in (state, again(config)):
        start = each.starting_encoder(make)
        assert start == Path(config.output) / "0-start" / "encoder"
        assert start.read_text() == "new"
        assert each.notes == ["its head was started"]
    assert made == ["new"]


def test_stages_done_are_read_again(state: RunState, config: TrainConfig) -> None:
    state.begin_stage(rows("two texts", pairs=7))
    state.starting_encoder(lambda: (model("new"), None))
    state.finish_stage(model("one"), 5, [])
    found = again(config)
    assert list(found.stages_left) == [2, 3]
    assert found.encoder == Path(config.output) / "1-first" / "encoder"
    assert found.starting_encoder(lambda: (model("never"), None)).read_text() == "one"
    assert (found.steps, found.counts) == (5, {"pairs": 7})
    assert found.notes == ["left out: two texts"]
    found.begin_stage(rows(other=3))
    found.finish_stage(model("two"), 4, ["stage second ended early: enough"])
    found = again(config)
    assert (found.steps, found.counts) == (9, {"other": 3})
    assert found.notes == ["left out: two texts", "stage second ended early: enough"]
    found.begin_stage(rows(other=3))
    found.finish_stage(model("three"), 1, [])
    assert list(again(config).stages_left) == []
    assert again(config).encoder.read_text() == "three"


def test_a_stage_that_is_not_done_is_done_with_all_after_it(
    state: RunState, config: TrainConfig
) -> None:
    for word in ("one", "two"):
        state.finish_stage(model(word), 1, [])
    (Path(config.output) / "1-first" / "done.json").unlink()
    assert list(again(config).stages_left) == [1, 2, 3]
