"""EPIC's heads (MacAvaney et al. 2020): importance of terms, expansion and quality of documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from lsr.training.models.activations import activate
from lsr.training.models.mlm_head import MlmHead, first_tokens
from lsr.training.models.mlp_head import MlpHead

__all__ = ["EpicDocumentHead", "EpicQueryHead"]

Features = dict[str, Any]

TERMS = 1024
"""Columns of logits at a time, in both directions."""


class EpicQueryHead(MlpHead):
    """Importance of the query's own terms: log(1 + softplus(h_i . a + c))."""

    config_keys = ["hidden_size", "width", "special_ids"]  # noqa: RUF012

    def __init__(self, hidden_size: int, width: int, special_ids: Sequence[int]) -> None:
        super().__init__(hidden_size, width, special_ids, "softplus", "log1p")


class EpicDocumentHead(MlmHead):
    """Expansion times the importance of what is expanded, times quality.

        w(t) = sigmoid(h_1 . q + r) max over positions i of s(h_i . a + c) s(h_i E_t + b_t),
        s(x) = log(1 + softplus(x))

    Two factors depend on the position, so the maximum cannot be taken of logits: products are
    made for some terms at a time, and again in the backward pass.

    Args:
        hidden_size: H of the network.
    """

    config_keys = ["hidden_size"]  # noqa: RUF012

    def __init__(self, hidden_size: int) -> None:
        super().__init__("softplus", "log1p", "max")
        self.hidden_size = hidden_size
        self.importance = nn.Linear(hidden_size, 1)
        self.quality = nn.Linear(hidden_size, 1)

    def weights(self, features: Features) -> torch.Tensor:
        """See `Head`."""
        first = first_tokens(features["token_embeddings"], features["attention_mask"])
        quality = torch.sigmoid(self.quality(first.to(self.quality.weight.dtype)).float())
        return quality * self.term_weights(features)

    def term_weights(self, features: Features) -> torch.Tensor:
        """Weights of all terms, or of `columns`, without quality; float32."""
        weight: torch.Tensor = self.decoder.weight
        bias: torch.Tensor | None = self.decoder.bias
        columns, h = features.get("columns"), features["token_embeddings"]
        if columns is not None:
            weight = weight.index_select(0, columns)
            bias = None if bias is None else bias.index_select(0, columns)
        logits = self.importance(h.to(self.importance.weight.dtype)).float()
        real = (features["attention_mask"] != 0).unsqueeze(-1)
        importance = activate(logits, self.activation, self.saturation) * real
        biases = [None] * -(-len(weight) // TERMS) if bias is None else bias.split(TERMS)
        pieces = [
            checkpoint(self._pooled, h, importance, some, their_bias, use_reentrant=False)
            for some, their_bias in zip(weight.split(TERMS), biases, strict=True)
        ]
        return torch.cat(pieces, dim=1)

    def _pooled(
        self,
        h: torch.Tensor,
        importance: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
    ) -> torch.Tensor:
        logits = functional.linear(h.to(weight.dtype), weight, bias).float()
        return (activate(logits, self.activation, self.saturation) * importance).amax(1)
