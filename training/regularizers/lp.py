"""Lp: the mean over documents of sum_t |w_dt|^p; at p = 1 the L1 penalty of SNRM and SPLADE.

The p-th root is not taken, so that a sample of columns estimates the whole without bias.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsr.errors import InputError

__all__ = ["lp"]


def lp(
    weights: Tensor,
    column_weights: Tensor | None = None,
    p: float = 1.0,
    *,
    n_documents: int | None = None,
) -> Tensor:
    """Mean over documents of sum_t cw_t |w_dt|^p.

    Args:
        weights: [D, C].
        column_weights: [C]; None for ones.
        p: at least 1: below, the gradient at 0 is not finite.
        n_documents: what the sum is divided by: the whole batch's documents, where `weights` are
            a part of it, so that the parts add up; None: D.

    Returns:
        A scalar, float32 or float64.

    Raises:
        InputError: p is below 1.
    """
    if not 1 <= p < torch.inf:
        raise InputError(f"p of the Lp penalty is {p}: give 1 or more.")
    n = weights.shape[0] if n_documents is None else n_documents
    powers = weights.to(torch.promote_types(weights.dtype, torch.float32)).abs() ** p
    if column_weights is not None:
        powers = powers * column_weights
    return powers.sum() / max(n, 1)
