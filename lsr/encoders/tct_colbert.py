"""Vectors as TCT-ColBERT's authors make them (Lin et al., RepL4NLP 2021), a recipe of its own.

A text stands behind `[CLS] [Q] ` or `[CLS] [D] `, and nothing closes it. A query is filled with
[MASK] to 36 tokens, and cut there. The vector is the mean of what follows the four tokens of the
mark, those of the fill included. Reaches torch when a model is made so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.dense_recipe import (
    DOCUMENT_MARK,
    MASK,
    QUERY_MARK,
    QUERY_TOKENS,
    TCT_COLBERT,
    filled,
)
from lsr.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor, nn

__all__ = ["marked_mean", "mean_vectors"]

MARK_TOKENS = 4


def marked_mean(model: SentenceTransformer, name: str, dimension: int) -> nn.Module:
    """The pooling: the mean of all tokens but the first four.

    Raises:
        InputError: in the model's tokens the marks are not four, or it has no [MASK].
    """
    import torch

    tokenizer: Any = model.tokenizer
    for mark in (QUERY_MARK, DOCUMENT_MARK):
        if len(tokenizer(mark, add_special_tokens=False)["input_ids"]) != MARK_TOKENS:
            raise InputError(
                f"the dense model {name!r} has not {MARK_TOKENS} tokens for {mark!r}, as "
                f"{TCT_COLBERT} needs; choose another pooling"
            )
    if tokenizer.mask_token != MASK:
        raise InputError(
            f"the dense model {name!r} has no token {MASK}, with which {TCT_COLBERT} fills "
            "queries; choose another pooling"
        )

    class MarkedMean(torch.nn.Module):
        pooling_mode = TCT_COLBERT
        embedding_dimension = dimension

        def get_embedding_dimension(self) -> int:
            return dimension

        def get_config_dict(self) -> dict[str, Any]:
            return {"pooling_mode": TCT_COLBERT}

        def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
            tokens = features["token_embeddings"][:, MARK_TOKENS:]
            kept = features["attention_mask"][:, MARK_TOKENS:, None].to(tokens.dtype)
            mean = (tokens * kept).sum(1) / kept.sum(1).clamp(min=1e-9)
            return {**features, "sentence_embedding": mean}

    return MarkedMean()


def mean_vectors(
    model: SentenceTransformer, texts: list[str], mark: str, *, unit: bool
) -> NDArray[np.float32]:
    """Vectors of texts behind a mark, shape (n_texts, dimension).

    Args:
        unit: whether they are brought to unit length.
    """
    import torch

    most = model.max_seq_length
    if mark == QUERY_MARK:
        texts, most = [filled(text) for text in texts], min(QUERY_TOKENS, most or QUERY_TOKENS)
    tokenizer: Any = model.tokenizer
    features = tokenizer(
        [mark + text for text in texts],
        add_special_tokens=False,
        truncation=most is not None,
        max_length=most,
        padding=True,
        return_tensors="pt",
    ).to(model.device)
    with torch.inference_mode():
        vectors = model(dict(features))["sentence_embedding"].float()
    vectors = vectors[:, : model.get_embedding_dimension()]
    if unit:
        vectors = torch.nn.functional.normalize(vectors, p=2, dim=1)
    return np.asarray(vectors.cpu().numpy(), np.float32)
