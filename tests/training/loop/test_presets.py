"""Every preset learns: sixty steps on pairs rank new documents better than the start does.

Documents are of eight words of a topic among words that are everywhere; queries are of two words of
the topic's other half or of both, and of one that is everywhere. So there is something to learn for
models that weight a text's own words, and for those that add others.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lsr.training.config.presets import PRESETS
from lsr.training.config.yaml_file import config_of
from lsr.training.loop.evaluator import EvaluationSet, evaluate_model
from lsr.training.loop.run import train_model
from lsr.training.models.finished_base import side_kinds
from lsr.training.models.sparse_encoder import needs_this_package, open_model
from tests.support.tiny_models import WORDS, tiny_base

TOPICS = [WORDS[first : first + 6] for first in range(32, 92, 6)]
NOISE = WORDS[92:104]
LEARNING_RATES = {"epic": 2e-2}
"""Of a network of random weights, which makes no difference between terms at first."""

Texts = list[tuple[str, str]]


def _pairs(n: int, seed: int) -> Texts:
    """Queries and the documents that answer them."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(n):
        topic = TOPICS[number % len(TOPICS)]
        words = [*rng.choice(topic, 3, replace=False), *rng.choice(NOISE, 6, replace=False)]
        query = [*rng.choice(topic, 2, replace=False), *rng.choice(NOISE, 2, replace=False)]
        made.append((" ".join(rng.permutation(query)), " ".join(rng.permutation(words))))
    return made


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    lines = [{"query": query, "positive": text} for query, text in _pairs(240, 1)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BEIR folder: every document of a query's topic answers it."""
    folder = tmp_path_factory.mktemp("sets") / "topics"
    (folder / "qrels").mkdir(parents=True)
    made = _pairs(60, 2)
    texts = [{"_id": f"d{n}", "text": text} for n, (_, text) in enumerate(made)]
    queries = [{"_id": f"q{n}", "text": query} for n, (query, _) in enumerate(made)]
    for name, lines in (("corpus", texts), ("queries", queries)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    n_topics = len(TOPICS)
    judged = [
        f"q{q}\td{d}\t1\n" for q in range(60) for d in range(60) if q % n_topics == d % n_topics
    ]
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(judged))
    return folder


@pytest.mark.parametrize("preset", PRESETS)
def test_it_learns(base: Path, rows: Path, held_out: Path, tmp_path: Path, preset: str) -> None:
    made: dict[str, Any] = {
        "preset": preset,
        "output": str(tmp_path / "run"),
        "encoder": {"base": str(base), "max_document_tokens": 32},
        "guard": {"max_spread": 1e9, "min_terms": 0},
        "warm_start": "never",
        "evaluation": {"sets": [str(held_out)], "every": 100},
        "checkpoint_every": 100,
        "stages": [
            {
                "data": {"sources": [{"path": str(rows)}]},
                "teachers": [{"kind": "bm25"}],
                "optim": {"steps": 60, "queries": 16, "lr": LEARNING_RATES.get(preset, 5e-3)},
            }
        ],
    }
    outcome = train_model(config_of(made, (), "test"))
    start = evaluate_model(
        open_model(tmp_path / "run/0-start/encoder"), EvaluationSet.read(held_out, None)
    )
    end = outcome.figures[0]
    assert end.metrics["nDCG@10"] > start.metrics["nDCG@10"]
    model = open_model(outcome.model)
    assert side_kinds(model) == tuple(
        PRESETS[preset]["encoder"][side]["kind"] for side in ("query", "document")
    )
    card = (outcome.model / "README.md").read_text()
    assert ("no network" in card) == (side_kinds(model)[0] == "table")
    assert ("trust_remote_code=True" in card) == needs_this_package(model)
    with torch.inference_mode():
        weights = model.encode_document(["cat dog fish star moon"], convert_to_tensor=True)
    assert float(weights.to_dense().min()) >= 0
