"""Runs that learn from the scores of their rows; and what is refused before a run begins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.stats import kendalltau
from typer.testing import CliRunner

from lsr.cli.app import app
from lsr.errors import InputError
from lsr.training.config.yaml_file import config_of
from lsr.training.loop.metrics_log import read_metrics
from lsr.training.loop.run import train_model
from lsr.training.models.sparse_encoder import open_model
from tests.support.tiny_models import WORDS, tiny_base

TOPICS = [WORDS[first : first + 8] for first in range(20, 100, 8)]
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("models") / "base")


def scored_lists(n: int = 12) -> Rows:
    """Five texts a query, in an order that nothing but the scores tells."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(n):
        words = TOPICS[number % len(TOPICS)]
        texts = [" ".join([*rng.choice(words, 5), *rng.choice(WORDS, 4)]) for _ in range(5)]
        scores = 2 * rng.permutation(5) + rng.uniform(0, 1, 5).round(2)
        query = " ".join(rng.choice(words, 3, replace=False))
        rows.append({"query": query, "docs": texts, "scores": scores.tolist()})
    return rows


def as_margins(rows: Rows) -> Rows:
    """The same as n-tuples: the best text, the others, and by how much it is better."""
    found = []
    for row in rows:
        order = np.argsort(row["scores"])[::-1]
        best, *others = (row["docs"][place] for place in order)
        margins = [row["scores"][order[0]] - row["scores"][place] for place in order[1:]]
        names = {f"negative_{n}": text for n, text in enumerate(others, start=1)}
        found.append({"query": row["query"], "positive": best, **names, "label": margins})
    return found


def config(base: Path, folder: Path, rows: Rows, **stage: Any) -> dict[str, Any]:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {
        "output": str(folder / "run"),
        "encoder": {"base": str(base), "max_document_tokens": 32},
        "warm_start": "never",
        "guard": {"max_spread": 1e9, "min_terms": 0},
        "stages": [
            {
                "data": {"sources": [{"path": str(path)}]},
                "regularizer": {"kind": "none"},
                "optim": {"steps": 60, "queries": 12, "candidates": 5, "lr": 5e-3},
            }
            | stage
        ],
    }


@pytest.mark.parametrize(("loss", "layout"), [("kl", "lists"), ("margin_mse", "margins")])
def test_the_order_of_the_scores_is_learned(
    base: Path, tmp_path: Path, loss: str, layout: str
) -> None:
    """Without any other teacher: Kendall's tau of the model's order with that of the rows."""
    lists = scored_lists()
    rows = lists if layout == "lists" else as_margins(lists)
    ensemble = {"normalization": "none", "scale": 0.5, "label_share": 0.0}
    given = config(base, tmp_path, rows, losses=[{"kind": loss}], ensemble=ensemble)
    losses: list[float] = []
    outcome = train_model(
        config_of(given, (), "test"),
        report=lambda _, done, total, figures: losses.append(figures["loss"]),
    )
    assert losses[0] > 0
    assert float(read_metrics(tmp_path / "run/metrics.jsonl")[0]["loss"]) > 0
    assert outcome.notes == []
    model = open_model(outcome.model)
    agreement = []
    for row in lists:
        query = model.encode_query([row["query"]], convert_to_sparse_tensor=False)
        texts = model.encode_document(row["docs"], convert_to_sparse_tensor=False)
        scores = (query @ texts.T)[0].tolist()
        agreement.append(kendalltau(scores, row["scores"]).statistic)
    assert np.mean(agreement) > 0.8


def test_notes_are_told_before_a_stage_is_trained_and_are_in_its_outcome(
    base: Path, tmp_path: Path
) -> None:
    pairs = [{"query": " ".join(words[:2]), "positive": " ".join(words)} for words in TOPICS]
    told: list[str] = []
    optim = {"steps": 2, "queries": 4}
    rows = [*scored_lists(6), *({**pair, "colour": "red"} for pair in pairs)]
    given = config(base, tmp_path, rows, optim=optim, teachers=[{"kind": "bm25"}])
    outcome = train_model(config_of(given, (), "test"), notice=told.append)
    assert told == outcome.notes
    assert told == ["rows: fields that are not understood, and not used: 'colour' (10 of 16 rows)"]
    assert train_model(config_of(given, (), "test"), notice=told.append).notes == told


PAIR = {"query": "cat dog", "positive": "the cat sees a dog"}
FLAT = {"query": "cat dog", "docs": ["cat", "dog"], "scores": [1, 1]}
REFUSED: dict[str, tuple[Rows, dict[str, Any], str]] = {
    "kl": ([PAIR], {}, "the loss kl needs scores to learn from"),
    "margin_mse": (
        [PAIR],
        {"losses": [{"kind": "infonce"}, {"kind": "margin_mse"}]},
        "the loss margin_mse needs scores to learn from",
    ),
    "equal scores": ([FLAT], {}, "their scores are all equal"),
    "scores that are not finite": (
        [{"query": "cat dog", "docs": ["cat", "dog"], "scores": [1, 1e39]}],
        {},
        "1e+39 is not a finite number",
    ),
    "scores of another length": (
        [PAIR, {"query": "cat dog", "docs": ["cat", "dog", "cow"], "scores": [1, 2]}],
        {},
        "rows.jsonl, line 2",
    ),
    "labels": (
        [{"query": "cat dog", "docs": ["cat", "dog"], "scores": [1, 2]}],
        {"losses": [{"kind": "infonce"}]},
        "the loss infonce needs labelled positives",
    ),
    "mining": (
        [PAIR],
        {"losses": [{"kind": "infonce"}], "mining": {"teacher": "bm25"}},
        "mined by bm25, which is not among the stage's teachers",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_run_with_nothing_to_learn_from_is_refused(base: Path, tmp_path: Path, name: str) -> None:
    """Before anything is made, and in a dry run too."""
    rows, stage, message = REFUSED[name]
    given = config(base, tmp_path, rows, **{k: v for k, v in stage.items() if k != "mining"})
    if "mining" in stage:
        given["stages"][0]["data"]["mining"] = stage["mining"]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(given))
    for words in (["train", str(path)], ["train", str(path), "--dry-run"]):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 2
        assert message in result.stderr
        assert not (tmp_path / "run").exists()


def test_a_later_stage_is_looked_at_first(base: Path, tmp_path: Path) -> None:
    given = config(base, tmp_path, [PAIR], losses=[{"kind": "infonce"}])
    given["stages"].append({"name": "second", "losses": [{"kind": "margin_mse"}]})
    with pytest.raises(InputError, match="stage second: the loss margin_mse needs scores"):
        train_model(config_of(given, (), "test"))
    given["stages"][1]["losses"] = [{"kind": "term_recall"}]
    given["encoder"]["query"] = {"kind": "mlm"}
    with pytest.raises(InputError, match="stage second: the loss term_recall needs a table"):
        train_model(config_of(given, (), "test"))
    assert not (tmp_path / "run").exists()


def test_a_dry_run_names_teachers_and_what_is_not_used(base: Path, tmp_path: Path) -> None:
    rows = [*scored_lists(3), {**FLAT, "rank": 3}]
    given = config(base, tmp_path, rows, teachers=[{"kind": "bm25"}], losses=[{"kind": "kl"}])
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**given, "preset": "unicoil"}))
    result = CliRunner().invoke(app, ["train", str(path), "--dry-run"])
    assert result.exit_code == 0, result.output
    said = result.stderr.splitlines()
    assert "  teachers: bm25, rows" in said
    assert said[-3:] == [
        "note: rows: fields that are not understood, and not used: 'rank' (1 of 4 rows)",
        f"note: stage train: unicoil weighs the terms of expanded documents, and "
        f"{given['stages'][0]['data']['sources'][0]['path']} is not said to have them; make them "
        "by `lsr expand CORPUS OUT --model` or `--tilde` (docT5query, TILDE), for training and for "
        "search, and set expanded: true beside path",
        "note: stage train: 1 of 4 rows with scores have no order (all equal, or one alone), and "
        "nothing is learned of these scores",
    ]
