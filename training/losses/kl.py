"""Kullback-Leibler divergence of the student's distribution from the teachers'.

KL(p || q) = sum_d p_d (log p_d - log q_d), with q = softmax of the student's scores over the
candidates; p comes from `lsr.training.losses.ensemble.targets` (Geng et al. 2024).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsr.training.losses.rows import log_probabilities, mean_where, precise

__all__ = ["kl", "kl_rows"]


def kl_rows(known: Tensor) -> Tensor:
    """Rows that count, bool [Q]: those with at least two known candidates."""
    return known.sum(dim=1) >= 2


def kl(
    scores: Tensor,
    target_probabilities: Tensor,
    known: Tensor,
    *,
    n_total: Tensor | float | None = None,
) -> Tensor:
    """Mean over rows of KL(target || softmax(scores)), in nats.

    Args:
        scores: the student's, [Q, D], over its temperature.
        target_probabilities: [Q, D], each row's sum over known candidates is 1.
        known: bool [Q, D], which candidates count.
        n_total: what the sum over rows is divided by; None: the rows of `kl_rows`.

    Returns:
        A scalar, float32 or float64.
    """
    p = precise(target_probabilities).masked_fill(~known, 0.0)
    divergence = torch.special.xlogy(p, p) - p * log_probabilities(scores, known)
    return mean_where(divergence.sum(dim=1), kl_rows(known), n_total)
