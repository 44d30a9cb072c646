"""Small folders of dense models of every kind, with random weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.tiny_models import tiny_base

__all__ = ["KINDS", "dense_model_folder"]

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


def config_of(folder: Path) -> dict[str, Any]:
    """What the model's folder says of prompts and similarity."""
    content: dict[str, Any] = json.loads(
        (folder / "config_sentence_transformers.json").read_text("utf-8")
    )
    return content
