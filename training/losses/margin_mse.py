"""MarginMSE: score margins as the teacher has them (Hofstätter et al. 2020).

The mean over negatives of ((s+ - s-) - (t+ - t-))^2, s the student's scores and t the teacher's.
A row without a labelled positive that the teacher knows takes the teacher's best document for it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsr.training.losses.rows import mean_where, precise

__all__ = ["margin_mse", "margin_pairs"]


def _references(teacher_scores: Tensor, positives: Tensor, known: Tensor) -> Tensor:
    """Column of the document that each row's others are compared with, int64 [Q, 1]."""
    labelled = positives.clamp(min=0)[:, None]
    usable = (positives >= 0)[:, None] & known.gather(1, labelled)
    best = teacher_scores.masked_fill(~known, -torch.inf).argmax(dim=1, keepdim=True)
    return torch.where(usable, labelled, best)


def margin_pairs(teacher_scores: Tensor, positives: Tensor, known: Tensor) -> Tensor:
    """Pairs that count, bool [Q, D]: known ones, less each row's reference."""
    if not known.numel():
        return known
    return known.scatter(1, _references(teacher_scores, positives, known), False)


def margin_mse(
    scores: Tensor,
    teacher_scores: Tensor,
    positives: Tensor,
    known: Tensor,
    *,
    n_total: Tensor | float | None = None,
) -> Tensor:
    """Mean over known negatives of the squared difference of margins.

    Args:
        scores: the student's, [Q, D], on the teacher's scale, so over its temperature.
        teacher_scores: [Q, D]; what stands at unknown pairs does not matter, NaN included.
        positives: int64 [Q], the column of each row's positive; -1 where there is none.
        known: bool [Q, D], which pairs count.
        n_total: what the sum over pairs is divided by; None: the pairs of `margin_pairs`.

    Returns:
        A scalar, float32 or float64.
    """
    s = precise(scores).masked_fill(~known, 0.0)
    if not s.numel():
        return s.sum()
    t = precise(teacher_scores).masked_fill(~known, 0.0)
    reference = _references(t, positives, known)
    difference = (s.gather(1, reference) - s) - (t.gather(1, reference) - t)
    return mean_where(difference.square(), margin_pairs(t, positives, known), n_total)
