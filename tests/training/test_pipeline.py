"""From a checkpoint without a head to a searched index: every stage of a run, on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from lsr.training.config.yaml_file import config_of
from lsr.training.loop.run import train_model
from tests.support.command_line import done
from tests.support.tiny_models import WORDS, tiny_base

TOPICS = [WORDS[first : first + 8] for first in range(20, 84, 8)]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny_base(tmp_path / "base", masked_lm=False)


@pytest.fixture
def dense(base: Path, tmp_path: Path) -> Path:
    network = Transformer(str(base))
    model = SentenceTransformer(modules=[network, Pooling(network.get_embedding_dimension())])
    model.save_pretrained(str(tmp_path / "dense"))
    return tmp_path / "dense"


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Eight topics, six documents and three judged queries of each."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "topics"
    (folder / "qrels").mkdir(parents=True)
    documents: list[dict[str, str]] = []
    queries: list[dict[str, str]] = []
    train: list[str] = []
    test: list[str] = []
    for n, words in enumerate(TOPICS):
        for m in range(6):
            text = " ".join(rng.choice([*words, "the", "of"], 10))
            documents.append({"_id": f"d{n}-{m}", "text": text, "title": words[m]})
        for m in range(3):
            queries.append({"_id": f"q{n}-{m}", "text": " ".join(rng.choice(words, 2))})
            rows = train if m else test
            rows += [f"q{n}-{m}\td{n}-{other}\t1" for other in range(6)]
    for name, lines in (("corpus", documents), ("queries", queries)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    for split, rows in (("train", train), ("test", test)):
        text = "\n".join(["query-id\tcorpus-id\tscore", *rows]) + "\n"
        (folder / "qrels" / f"{split}.tsv").write_text(text, encoding="utf-8")
    return folder


def test_the_whole_way(base: Path, dense: Path, collection: Path, tmp_path: Path) -> None:
    optim = {"steps": 8, "queries": 8, "candidates": 3, "lr": 2e-3}
    made = {
        "output": str(tmp_path / "run"),
        "encoder": {"base": str(base), "document": {"kind": "anchored"}, "max_document_tokens": 32},
        "warm_start": {
            "steps": 20,
            "learning_rate": 0.02,
            "active_terms": 40,
            "masked_lm_steps": 2,
        },
        "guard": {"max_spread": 1e9},
        "evaluation": {"sets": [str(collection)], "every": 4, "patience": 9, "probes": ["cat"]},
        "stages": [
            {
                "name": "distil",
                "data": {
                    "sources": [{"path": str(collection)}],
                    "pseudo_queries": 0.3,
                    "group_size": 2,
                    "mining": {"per_query": 3, "last_rank": 12, "margin": None},
                    "evaluation_sets": [str(collection)],
                    "allow_overlap": True,
                },
                "teachers": [{"kind": "bm25"}, {"kind": "dense", "model": str(dense)}],
                "regularizer": {"target_terms": 30, "weight": 0.01},
                "optim": optim,
            },
            {
                "name": "fine-tune",
                "data": {
                    "sources": [{"path": str(collection)}],
                    "mining": {"teacher": "student", "per_query": 3, "last_rank": 12},
                },
                "losses": [{"kind": "infonce"}, {"kind": "margin_mse"}],
                "teachers": [{"kind": "sparse", "model": str(tmp_path / "run/1-distil/encoder")}],
                "optim": optim | {"recompute": True, "micro_batch": 4},
            },
        ],
    }
    outcome = train_model(config_of(made, (), "test"))
    assert outcome.steps == 16
    assert outcome.figures[0].metrics["nDCG@10"] > 0.5
    assert any("head was started" in note for note in outcome.notes)
    assert any("left out" in note for note in outcome.notes)
    assert (tmp_path / "run/plots/curves.svg").is_file()
    card = (outcome.model / "README.md").read_text(encoding="utf-8")
    assert "| topics |" in card

    report = json.loads(
        done("eval", collection, "--sparse", outcome.model, "--systems", "learned", "--json", "-")
    )
    found = json.dumps(report)
    assert f"{outcome.figures[0].metrics['nDCG@10']:.3f}"[:4] in found

    index = tmp_path / "index"
    done("index", "build", collection, index, "--sparse", outcome.model)
    hits = json.loads(done("search", index, " ".join(TOPICS[3][:2]), "-k", 3, "--json"))
    assert {hit["doc_id"].split("-")[0] for hit in hits["hits"]} == {"d3"}
    done("index", "verify", index)
