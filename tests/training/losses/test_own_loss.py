"""Losses of other packages: the example of the documentation, installed; faults told by name."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lsr.errors import InputError, LsrError, ModelError
from lsr.training.config.yaml_file import config_of
from lsr.training.loop.metrics_log import read_metrics
from lsr.training.loop.run import train_model
from lsr.training.losses.own_loss import CheckedLoss, RankingLoss
from tests.support.markdown import ROOT, Page
from tests.support.tiny_models import WORDS, tiny_base

DOCS = Page.read(ROOT / "docs/training.md")


def installed(folder: Path, module: str, code: str, losses: dict[str, str]) -> None:
    """A package as pip leaves it: a module, and a folder of what it is."""
    (folder / f"{module}.py").write_text(code, encoding="utf-8")
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    lines = "".join(f"{name} = {place}\n" for name, place in losses.items())
    (info / "entry_points.txt").write_text(f"[lsr.losses]\n{lines}", encoding="utf-8")


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    base = tiny_base(tmp_path / "base", spread=0.3)
    texts = [" ".join(WORDS[n : n + 8]) for n in range(20, 90, 5)]
    rows = [{"query": " ".join(text.split()[:2]), "positive": text} for text in texts]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {
        "output": str(tmp_path / "run"),
        "encoder": {"base": str(base)},
        "warm_start": "never",
        "guard": {"max_spread": 1e9, "min_terms": 0},
        "stages": [
            {
                "data": {"sources": [{"path": str(pairs)}]},
                "regularizer": {"kind": "none"},
                "scores": {"temperature": 0.02},
                "optim": {"steps": 20, "queries": 8, "lr": 1e-3},
            }
        ],
    }


def with_loss(given: dict[str, Any], **loss: Any) -> dict[str, Any]:
    given["stages"][0]["losses"] = [loss]
    return given


def test_the_documented_example_is_installed_and_learned_from(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (toml,) = [tomllib.loads(each) for each in DOCS.blocks("toml")]
    (code,) = [each for each in DOCS.blocks("python") if "class PairwiseHinge" in each]
    site = tmp_path / "site"
    site.mkdir()
    installed(site, "my_losses", code, toml["project"]["entry-points"]["lsr.losses"])
    monkeypatch.syspath_prepend(site)
    right = with_loss(given, kind="pairwise_hinge", weight=0.5, params={"margin": 2.0})
    assert train_model(config_of(right, (), "test")).steps == 20
    lines = read_metrics(tmp_path / "run/metrics.jsonl")
    assert float(lines[-1]["loss"]) < 0.9 * float(lines[0]["loss"]), "it was learned from"
    wrong = with_loss(given, kind="pairwise_hinge", params={"margn": 2.0})
    config = config_of(wrong | {"output": str(tmp_path / "other")}, (), "test")
    with pytest.raises(InputError, match="'pairwise_hinge' cannot be made .* margn .*TypeError"):
        train_model(config)
    with pytest.raises(InputError, match="no loss of that kind; did you mean 'pairwise_hinge'"):
        config_of(with_loss(given, kind="pairwise_hing"), (), "test")


def test_a_broken_package_is_told(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, "broken_losses", "import not_there\n", {"broken": "broken_losses:Loss"})
    monkeypatch.syspath_prepend(tmp_path)
    config = config_of(with_loss(given, kind="broken"), (), "test")
    with pytest.raises(InputError, match="'broken' cannot be loaded from broken_losses:Loss"):
        train_model(config)


def test_a_loss_of_a_file_may_have_parameters(given: dict[str, Any], tmp_path: Path) -> None:
    """They are trained, and twice the same kind is counted twice."""
    (tmp_path / "trial.py").write_text(
        "import torch\n"
        "class Scaled(torch.nn.Module):\n"
        "    def __init__(self, factor):\n"
        "        super().__init__()\n"
        "        self.factor = torch.nn.Parameter(torch.tensor(factor))\n"
        "    def forward(self, scores, targets, labels, known):\n"
        "        assert labels.sum() == len(scores) and known.any() and not targets.any()\n"
        "        return (self.factor * scores - 1.0).square().mean()\n"
    )
    kind = f"file:{tmp_path / 'trial.py'}:Scaled"
    config = with_loss(given, kind=kind, params={"factor": 1.0})
    config["stages"][0]["losses"] *= 2
    config["stages"][0]["optim"]["steps"] = 2
    train_model(config_of(config, (), "test"))
    state = torch.load(tmp_path / "run/1-train/checkpoint-2/loss.pt", weights_only=True)
    found = [float(value) for name, value in state.items() if name.endswith("factor")]
    assert len(found) == 2
    assert all(value != 1.0 for value in found)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ({"kind": "klx"}, "did you mean 'kl'"),
        ({"kind": "nothing_like_it"}, "There are kl, margin_mse, infonce, term_recall"),
        ({"kind": "file:nowhere.py:Loss"}, "there is no file nowhere.py"),
        ({"kind": "file:nowhere.py"}, "file:PATH:NAME"),
        ({"kind": "kl", "params": {}}, "'stages.0.losses.0.kl.params' is not a key"),
        ({"kind": "own", "wieght": 1}, "'stages.0.losses.0.wieght' .* mean 'weight'"),
    ],
)
def test_what_is_no_loss_is_refused(given: dict[str, Any], loss: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        config_of(with_loss(given, **loss), (), "test")


def test_rows_that_say_nothing_are_refused(given: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def make():\n    return lambda *given: given[0].mean()\n")
    lines = [{"query": "cat", "documents": ["a cat", "a dog"], "scores": [1.0, 1.0]}]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = config_of(with_loss(given, kind=f"file:{tmp_path}/a.py:make"), (), "test")
    with pytest.raises(InputError, match="a.py:make has nothing to learn from"):
        train_model(config)


SCORES = torch.ones(2, 3)


class Broken(nn.Module):
    def forward(self, scores: Tensor, *others: Tensor) -> Tensor:
        raise ValueError("no such thing\nand more")


@pytest.mark.parametrize(
    ("loss", "error", "said"),
    [
        (
            Broken(),
            InputError,
            "fails on a batch of 2 queries and 3 documents .ValueError: no",
        ),
        (lambda scores, *_: scores.sum(1), InputError, r"gives a tensor of shape \(2,\); it must"),
        (lambda *_: 0.5, InputError, "gives a float; it must give one number"),
        (lambda scores, *_: scores.detach().sum(), InputError, "gives a number without a gradient"),
        (lambda scores, *_: (scores - scores).sum() / 0, ModelError, "gives nan, which is not fin"),
    ],
)
def test_a_fault_is_told_by_the_name_of_the_loss(
    loss: RankingLoss, error: type[LsrError], said: str
) -> None:
    scores = SCORES.clone().requires_grad_()
    with pytest.raises(error, match=f"the loss 'mine' {said}") as caught:
        CheckedLoss("mine", loss)(scores, SCORES, SCORES > 0, SCORES > 0)
    assert "\n" not in str(caught.value)
