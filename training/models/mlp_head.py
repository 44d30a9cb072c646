"""Heads that weight a text's own tokens, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding
from torch import nn

from lsr.training.models.activations import Activation, Saturation, activate, check_activation
from lsr.training.models.mlm_head import Head

__all__ = ["ColumnTable", "MlpHead", "own_tokens", "pooled_by_term", "without_others"]

Features = dict[str, Any]


class MlpHead(Head):
    """DeepCT's and uniCOIL's head: a linear layer weights each token (Lin and Ma 2021).

        w(t) = max over positions i of term t of f(h_i . a + c); 0 where t does not occur

    Special tokens have no weight. With the activation identity (DeepCT) weights may be negative
    while they are learned; a model that is used has 0 in their place. A new head gives tokens a
    logit of about 1, so that none starts where relu has no gradient.

    Args:
        hidden_size: H of the network.
        width: V, terms of the vocabulary.
        special_ids: numbers of special tokens.
    """

    config_keys = ["hidden_size", "width", "special_ids", "activation", "saturation"]  # noqa: RUF012

    def __init__(
        self,
        hidden_size: int,
        width: int,
        special_ids: Sequence[int],
        activation: Activation = "relu",
        saturation: Saturation = "log1p",
    ) -> None:
        super().__init__()
        check_activation(activation, saturation)
        self.hidden_size = hidden_size
        self.width = width
        self.special_ids = sorted(special_ids)
        self.activation: Activation = activation
        self.saturation: Saturation = saturation
        self.linear = nn.Linear(hidden_size, 1)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.ones_(self.linear.bias)

    def weights(self, features: Features) -> torch.Tensor:
        """See `Head`."""
        h = features["token_embeddings"]
        logits = self.linear(h.to(self.linear.weight.dtype)).squeeze(-1).float()
        weights = activate(logits, self.activation, self.saturation)
        if self.activation == "identity" and not self.training:
            weights = torch.relu(weights)  # learned without a bound, searched from 0 on
        own = own_tokens(features, self.special_ids)
        pooled = pooled_by_term(weights, features["input_ids"], own, self.width)
        return without_others(pooled, features.get("columns"))

    def get_embedding_dimension(self) -> int:
        """Terms of the vocabulary."""
        return self.width


class ColumnTable(SparseStaticEmbedding):
    """`SparseStaticEmbedding` that gives only `columns` where these are asked for."""

    def forward(self, features: Features, **options: object) -> Features:  # noqa: ARG002
        """Set `sentence_embedding`: shape (B, C), or (B, V) without columns."""
        features = super().forward(features)
        weights = features["sentence_embedding"]
        features["sentence_embedding"] = without_others(weights, features.get("columns"))
        return features


def own_tokens(features: Features, special_ids: Sequence[int]) -> torch.Tensor:
    """Mask of the positions that hold a token of the text itself; bool, shape (B, L)."""
    ids: torch.Tensor = features["input_ids"]
    mask: torch.Tensor = features["attention_mask"]
    special = torch.tensor(special_ids, dtype=ids.dtype, device=ids.device)
    return (mask != 0) & ~torch.isin(ids, special)


def pooled_by_term(
    weights: torch.Tensor, ids: torch.Tensor, own: torch.Tensor, width: int
) -> torch.Tensor:
    """The largest of `weights` (B, L) over the positions of each term; 0 without any; (B, V)."""
    places = torch.where(own, ids, width)  # a column of its own for the rest
    pooled = weights.new_zeros((ids.shape[0], width + 1))
    pooled = pooled.scatter_reduce(1, places, weights, "amax", include_self=False)
    return pooled[:, :width]


def without_others(weights: torch.Tensor, columns: torch.Tensor | None) -> torch.Tensor:
    """Only `columns` of (B, V), in their order; all when None."""
    return weights if columns is None else weights.index_select(1, columns)
