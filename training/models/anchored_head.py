"""A document's own terms by BM25, plus a learned expansion, in one vector.

With idf as the query's weights, the own terms' part scores documents as BM25 does (Robertson et
al. 1994), so a model starts from there and learns what to add.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn

from lsr.errors import InputError
from lsr.training.models.activations import Activation, Saturation
from lsr.training.models.mlm_head import MlmHead
from lsr.training.models.mlp_head import own_tokens, pooled_by_term, without_others

__all__ = ["AnchoredHead"]

Features = dict[str, Any]


class AnchoredHead(MlmHead):
    """`MlmHead` as expansion, plus a weight for each own term.

        own(t) = own_weight g(t) (k1 + 1) tf / (tf + k1 (1 - b + b len / average_length))

    for terms with idf above `min_idf`, 0 for others. Lengths and tf are in tokens, special ones
    left out. g is 1 or, gated, the largest of softplus(h_i . a + c) over the term's positions,
    which starts as 1.

    Args:
        hidden_size: H of the network.
        width: V, terms of the vocabulary.
        special_ids: numbers of special tokens.
        activation, saturation, pooling: of the expansion.
        average_length: tokens of an average document.

    Attributes:
        idf: float32, shape (V,); it is saved with the model, and zero until set or loaded.
    """

    idf: torch.Tensor
    config_keys = [  # noqa: RUF012
        *MlmHead.config_keys,
        *("hidden_size", "width", "special_ids"),
        *("k1", "b", "own_weight", "gated", "min_idf", "average_length"),
    ]

    def __init__(
        self,
        hidden_size: int,
        width: int,
        special_ids: Sequence[int],
        activation: Activation = "relu",
        saturation: Saturation = "log1p",
        pooling: Literal["max", "sum"] = "max",
        k1: float = 1.2,
        b: float = 0.75,
        own_weight: float = 1.0,
        gated: bool = False,
        min_idf: float = 0.5,
        average_length: float = 256.0,
    ) -> None:
        super().__init__(activation, saturation, pooling)
        if not (k1 > 0 and 0 <= b <= 1 and average_length > 0):
            raise InputError(
                f"k1 {k1}, b {b} and average_length {average_length} give no BM25 weights; k1 and "
                "average_length are above 0, b is between 0 and 1"
            )
        self.hidden_size = hidden_size
        self.width = width
        self.special_ids = sorted(special_ids)
        self.k1 = k1
        self.b = b
        self.own_weight = own_weight
        self.gated = gated
        self.min_idf = min_idf
        self.average_length = average_length
        self.register_buffer("idf", torch.zeros(width))
        if gated:
            self.gate = nn.Linear(hidden_size, 1)
            nn.init.zeros_(self.gate.weight)
            nn.init.constant_(self.gate.bias, math.log(math.e - 1))  # softplus of it is 1

    def weights(self, features: Features) -> torch.Tensor:
        """See `Head`."""
        own = without_others(self.own_weights(features), features.get("columns"))
        return own + self.term_weights(features)

    def own_weights(self, features: Features) -> torch.Tensor:
        """Weights of own terms alone; float32, shape (B, V)."""
        ids: torch.Tensor = features["input_ids"]
        own = own_tokens(features, self.special_ids)
        counts = torch.zeros((ids.shape[0], self.width), device=ids.device)
        counts.scatter_add_(1, ids, own.float())
        length = own.sum(1, keepdim=True) / self.average_length
        saturated = counts / (counts + self.k1 * (1 - self.b + self.b * length)).clamp(min=1e-9)
        weights = self.own_weight * (self.k1 + 1) * saturated * (self.idf > self.min_idf)
        if self.gated:
            h = features["token_embeddings"]
            logits = self.gate(h.to(self.gate.weight.dtype)).squeeze(-1).float()
            opened = nn.functional.softplus(logits)
            weights = weights * pooled_by_term(opened, ids, own, self.width)
        return weights
