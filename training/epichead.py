"""EPIC's heads (MacAvaney et al. 2020): importance of query terms, expansion of documents.

Both sides follow the paper in their formulas but for one part: the importance of a document's own
tokens, which multiplies the logits of each position there, is left to the logits themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from lsr.training.mlmhead import MlmHead, first_tokens
from lsr.training.mlphead import MlpHead

__all__ = ["EpicDocumentHead", "EpicQueryHead"]

Features = dict[str, Any]


class EpicQueryHead(MlpHead):
    """Importance of the query's own terms: log(1 + softplus(h_i . a + c))."""

    config_keys = ["hidden_size", "width", "special_ids"]  # noqa: RUF012

    def __init__(self, hidden_size: int, width: int, special_ids: Sequence[int]) -> None:
        super().__init__(hidden_size, width, special_ids, "softplus", "log1p")


class EpicDocumentHead(MlmHead):
    """Expansion times quality.

        w(t) = sigmoid(h_1 . q + r) max over positions i of log(1 + softplus(h_i E_t + b_t))

    Args:
        hidden_size: H of the network.
    """

    config_keys = ["hidden_size"]  # noqa: RUF012

    def __init__(self, hidden_size: int) -> None:
        super().__init__("softplus", "log1p", "max")
        self.hidden_size = hidden_size
        self.quality = nn.Linear(hidden_size, 1)

    def forward(self, features: Features) -> Features:
        """Set `sentence_embedding`; see `Head`."""
        first = first_tokens(features["token_embeddings"], features["attention_mask"])
        quality = torch.sigmoid(self.quality(first.to(self.quality.weight.dtype)).float())
        features["sentence_embedding"] = quality * self.term_weights(features)
        return features
