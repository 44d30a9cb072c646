"""Estimates of runs: every part is named, more work costs more, what is cached costs nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsr.training.config.yaml_file import config_of
from lsr.training.loop.run import train_model
from lsr.training.planning.estimate import Estimate, estimate_run
from tests.support.tiny_models import WORDS, tiny_base

TOPICS = [WORDS[first : first + 8] for first in range(20, 100, 8)]
PARTS = [
    "opening",
    "warm start",
    "teacher 1 (bm25)",
    "teacher 2 (dense)",
    "mining",
    "training",
    "evaluation while training",
    "evaluation at the end",
    "saving",
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("models") / "base", masked_lm=False)


def given(base: Path, folder: Path, **stage: Any) -> dict[str, Any]:
    rows = [
        {"query": " ".join(some[n : n + 3]), "positive": " ".join([*some, WORDS[n]])}
        for n in range(2)
        for some in TOPICS
    ]
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {
        "output": str(folder / "run"),
        "cache": str(folder / "cache"),
        "encoder": {"base": str(base), "max_document_tokens": 32},
        "warm_start": {"steps": 4, "active_terms": 20, "masked_lm_steps": 2},
        "guard": {"max_spread": 1e9, "min_terms": 0},
        "stages": [
            {
                "data": {
                    "sources": [{"path": str(path)}],
                    "validation_share": 0.2,
                    "group_size": 2,
                    "mining": {"teacher": "ensemble", "per_query": 2},
                },
                "teachers": [{"kind": "bm25"}, {"kind": "dense", "model": str(base)}],
                "scores": {"lexical_terms": {"weight": 2.0}},
                "optim": {"steps": 4, "queries": 4, "candidates": 3, "sampled_columns": 40},
            }
            | stage
        ],
    }


def ticking() -> Callable[[], float]:
    """A clock that goes on by a second whenever it is asked."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1.0
        return now

    return clock


def seconds(found: Estimate) -> dict[str, float | None]:
    return {part.name: part.seconds for part in found.parts}


def test_every_part_is_named_and_more_work_costs_more(base: Path, tmp_path: Path) -> None:
    some = given(base, tmp_path)
    first = estimate_run(config_of(some, (), "test"), clock=ticking())
    assert list(seconds(first)) == PARTS
    assert all((value or 0) > 0 for value in seconds(first).values())
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "cache").exists()
    more = config_of(some, ["optim.steps=40", "warm_start.steps=40"], "test")
    before, after = seconds(first), seconds(estimate_run(more, clock=ticking()))
    for name in ("training", "warm start"):
        assert (after[name] or 0) > 2 * (before[name] or 0)
    for name in ("opening", "mining", "teacher 2 (dense)"):
        assert after[name] == before[name]
    lines = first.lines()
    assert "stage train: 16 rows" in lines[0]
    assert any(line.startswith("on this machine (") for line in lines)
    assert not any("0 minutes" in line or "about 1 " in line for line in lines)


def test_what_teachers_made_before_costs_nothing(base: Path, tmp_path: Path) -> None:
    some = given(base, tmp_path)
    train_model(config_of(some, ["optim.steps=1"], "test"))
    again = config_of(some, [f"output={tmp_path / 'again'}"], "test")
    found = {part.name: part for part in estimate_run(again, clock=ticking()).parts}
    assert found["teacher 2 (dense)"].seconds == 0
    assert "0 queries, 0 documents; 32 texts are in the cache" in found["teacher 2 (dense)"].what
    assert "negatives are in the cache" in found["mining"].what
    assert found["training"].seconds
    stages = [some["stages"][0], {"name": "two", "teachers": some["stages"][0]["teachers"]}]
    both = config_of(some | {"stages": stages, "cache": None}, (), "test")
    both = both.model_copy(update={"output": str(tmp_path / "both")})
    costs = seconds(estimate_run(both, clock=ticking()))
    assert costs["train: teacher 2 (dense)"] != 0
    assert costs["two: teacher 2 (dense)"] == 0, "the stage before has made it"


def test_a_run_that_needs_nothing_costs_nothing_there(base: Path, tmp_path: Path) -> None:
    some = given(base, tmp_path, scores={}, teachers=[], losses=[{"kind": "infonce"}])
    some["stages"][0]["data"] = {"sources": some["stages"][0]["data"]["sources"]}
    found = seconds(estimate_run(config_of(some | {"warm_start": "never"}, (), "test")))
    assert list(found) == [name for name in PARTS if "teacher" not in name]
    for name in ("warm start", "mining", "evaluation while training", "evaluation at the end"):
        assert found[name] == 0


def test_models_that_are_not_at_hand_are_named(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("lsr.training.planning.estimate.STAND_IN", str(base))
    teachers = [{"kind": "bm25"}, {"kind": "dense", "model": "nobody/nothing"}]
    some = given(base, tmp_path, teachers=teachers)
    some["stages"][0]["data"]["mining"] = None
    found = estimate_run(config_of(some, (), "test"))
    assert seconds(found)["teacher 2 (dense)"] is None
    assert "without what is not estimated" in "\n".join(found.lines())
    assert any("teacher 2 (dense): the model 'nobody/nothing' is not on" in n for n in found.notes)
    some["encoder"]["base"] = "nobody/else"
    found = estimate_run(config_of(some, (), "test"))
    assert seconds(found)["training"] is None
    assert seconds(found)["teacher 1 (bm25)"]
    assert any("the base: the model 'nobody/else' is not on" in note for note in found.notes)


@pytest.mark.parametrize(
    "stage",
    [
        {"losses": [{"kind": "term_recall"}]},
        {"optim": {"steps": 2, "queries": 3, "full_head": True, "freeze_backbone": True}},
        {"regularizer": {"kind": "df_flops"}, "optim": {"steps": 2, "recompute": True}},
    ],
)
def test_steps_of_every_kind_are_timed(base: Path, tmp_path: Path, stage: dict[str, Any]) -> None:
    some = given(base, tmp_path, **stage)
    some["stages"][0]["data"]["mining"] = {"teacher": "student", "per_query": 2}
    found = seconds(estimate_run(config_of(some, (), "test"), clock=ticking()))
    assert found["training"]
    assert found["mining"]
