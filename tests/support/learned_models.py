"""Tiny learned sparse models of random weights, saved as sentence-transformers saves them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support.tiny_models import tiny_base, tiny_tokenizer

__all__ = ["TEXTS", "inference_free", "symmetric"]

TEXTS = [
    "The cat sat by the lake, the cat!",
    "",
    "a wolf and a bear in the forest " * 9,
    "x",
    "King, queen (war) and PEACE.",
    "red green blue mountain zebra",
]


def inference_free(folder: Path, *, seed: int = 0, twice: bool = False) -> Path:
    """A router: a table for queries, a masked language model with SPLADE pooling for documents."""
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import (
        Router,
        SparseStaticEmbedding,
        SpladePooling,
        Transformer,
    )

    tokenizer = tiny_tokenizer()
    weights = np.random.default_rng(seed).uniform(0.1, 3.0, len(tokenizer)).astype(np.float32)
    weights[:5] = 0
    document = Transformer(str(tiny_base(folder / "base", seed=seed)), transformer_task="fill-mask")
    router = Router.for_query_document(
        query_modules=[
            SparseStaticEmbedding(tokenizer=tokenizer, weight=torch.tensor(weights), frozen=True)
        ],
        document_modules=[
            document,
            SpladePooling("max", activation_function="log1p_relu" if twice else "relu"),
        ],
    )
    SparseEncoder(modules=[router], similarity_fn_name="dot").save_pretrained(str(folder / "model"))
    return folder / "model"


def symmetric(folder: Path) -> Path:
    """SPLADE: one network for both sides."""
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import SpladePooling, Transformer

    network = Transformer(str(tiny_base(folder / "base")), transformer_task="fill-mask")
    model = SparseEncoder(modules=[network, SpladePooling("sum")], similarity_fn_name="dot")
    model.save_pretrained(str(folder / "model"))
    return folder / "model"
