"""Top-k: a vector's k heaviest terms, the rest 0 (Yang et al. 2021; Nguyen et al. 2023)."""

from __future__ import annotations

import torch
from torch import Tensor

from lsr.errors import InputError

__all__ = ["top_k"]


def top_k(weights: Tensor, k: int) -> Tensor:
    """The k largest weights of each row, and 0 elsewhere, [D, C].

    Of equal weights at the edge the lower columns stay. Gradient flows through those kept.

    Args:
        weights: [D, C], 0 or more.
        k: at least 1; from C on, nothing changes.

    Raises:
        InputError: k is below 1.
    """
    if k < 1:
        raise InputError(f"top_k keeps {k} terms of a document: give 1 or more.")
    if k >= weights.shape[1]:
        return weights
    values = weights.detach()
    edge = torch.topk(values, k, dim=1).values[:, -1:]
    above, equal = values > edge, values == edge
    room = k - above.sum(dim=1, keepdim=True)
    kept = above | (equal & (equal.cumsum(dim=1) <= room))
    return weights.masked_fill(~kept, 0.0)
