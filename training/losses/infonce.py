"""InfoNCE: cross-entropy of the labelled positive among all candidates.

For a query with scores s and positive +: -log( exp(s_+) / sum_d exp(s_d) ), van den Oord et al.
(2018); with candidates of other queries, in-batch negatives of SPLADE (Formal et al. 2021).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsr.training.losses.rows import log_probabilities, mean_where

__all__ = ["infonce", "infonce_rows"]


def _at_positives(positives: Tensor, known: Tensor) -> Tensor:
    columns = torch.arange(known.shape[1], device=known.device)
    return positives[:, None] == columns


def infonce_rows(positives: Tensor, known: Tensor) -> Tensor:
    """Rows that count, bool [Q]: those with a positive and another candidate."""
    others = known & ~_at_positives(positives, known)
    return (positives >= 0) & others.any(dim=1)


def infonce(
    scores: Tensor, positives: Tensor, known: Tensor, *, n_total: Tensor | float | None = None
) -> Tensor:
    """Mean over rows of -log softmax(scores) at the positive.

    Args:
        scores: the student's, [Q, D], over its temperature.
        positives: int64 [Q], the column of each row's positive; -1 where there is none.
        known: bool [Q, D], which candidates count; a labelled positive always does.
        n_total: what the sum over rows is divided by; None: the rows of `infonce_rows`.

    Returns:
        A scalar, float32 or float64.
    """
    positive = _at_positives(positives, known)
    log_probability = log_probabilities(scores, known | positive)
    loss = -log_probability.masked_fill(~positive, 0.0).sum(dim=1)
    return mean_where(loss, infonce_rows(positives, known), n_total)
