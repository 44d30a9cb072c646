"""Small folders of dense models of every kind, with random weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.tiny_models import tiny_base

__all__ = ["DENSE_CODE", "KINDS", "dense_model_folder", "dense_with_own_code", "naming_own_code"]

DENSE_CODE = """
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel


class NewConfig(BertConfig):
    model_type = "new-and-small"


class NewModel(BertModel):
    config_class = NewConfig

    def forward(self, *args, **kwargs):
        found = super().forward(*args, **kwargs)
        found.last_hidden_state = found.last_hidden_state * 2
        return found


class NewForMaskedLM(BertForMaskedLM):
    config_class = NewConfig

    def forward(self, *args, **kwargs):
        found = super().forward(*args, **kwargs)
        found.logits = found.logits * 2
        return found


class NewForSequenceClassification(BertForSequenceClassification):
    config_class = NewConfig
"""

KINDS: Mapping[str, Mapping[str, Any]] = {
    "prompts": {"prompts": {"query": "find ", "document": "read this . "}, "similarity": "dot"},
    "dot": {"pooling": "cls", "similarity": "dot"},
    "cls": {"pooling": "cls", "prompts": {"query": "where is "}},
    "matryoshka": {"prompts": {"query": "find "}, "dimensions": 12, "similarity": "dot"},
    "plain": {},
    "normalising": {"normalises": True, "prompts": {"query": "find ", "document": "the "}},
}
"""What each kind of model has that others have not; a plain one is a checkpoint of transformers."""


def dense_model_folder(folder: Path, kind: str) -> Path:
    """A model of that kind, of 32 dimensions, and 64 tokens at most, saved in `folder`."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    base = tiny_base(folder / "base", masked_lm=False, spread=0.3)
    if kind == "plain":
        return base
    told = KINDS[kind]
    modules: list[Any] = [Transformer(str(base)), Pooling(32, told.get("pooling", "mean"))]
    if told.get("normalises"):
        modules.append(Normalize())
    SentenceTransformer(
        modules=modules,
        prompts=dict(told.get("prompts", {})),
        similarity_fn_name=told.get("similarity"),
        truncate_dim=told.get("dimensions"),
        device="cpu",
    ).save(str(folder / "model"))
    return folder / "model"


def dense_with_own_code(folder: Path) -> Path:
    """A model whose network's code lies beside it, and doubles vectors; they meet by dot."""
    return naming_own_code(dense_model_folder(folder, "dot"))


def naming_own_code(model: Path) -> Path:
    """A folder with a BERT, which now names classes of its own, in `modeling.py` beside it."""
    config = json.loads((model / "config.json").read_text())
    (architecture,) = config["architectures"]
    heads = ("Model", "ForMaskedLM", "ForSequenceClassification")
    config |= {
        "model_type": "new-and-small",
        "architectures": [architecture.replace("Bert", "New")],
        "auto_map": {
            "AutoConfig": "modeling.NewConfig",
            **{f"AutoModel{head.removeprefix('Model')}": f"modeling.New{head}" for head in heads},
        },
    }
    (model / "config.json").write_text(json.dumps(config))
    (model / "modeling.py").write_text(DENSE_CODE)
    return model


def config_of(folder: Path) -> dict[str, Any]:
    """What the model's folder says of prompts and similarity."""
    content: dict[str, Any] = json.loads(
        (folder / "config_sentence_transformers.json").read_text("utf-8")
    )
    return content
