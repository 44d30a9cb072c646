"""A heterogeneous ensemble of teachers: their scores become one target (Geng et al. 2024).

Each teacher's scores are normalised over a query's candidates, averaged by the teachers' weights,
multiplied with a scale S, and a softmax makes a distribution of them. Nothing has a gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from lsr.errors import InputError
from lsr.training.losses.rows import log_probabilities

__all__ = ["Normalization", "combined", "normalized", "targets"]

Normalization = Literal["min_max", "z_score", "none"]

FLOOR = 1e-6
"""Added to a row's range or deviation."""


@torch.no_grad()
def normalized(scores: Tensor, how: Normalization = "min_max") -> Tensor:
    """One teacher's scores, made comparable within each row.

    min_max: (x - min) / (max - min + 1e-6). z_score: (x - mean) / (deviation + 1e-6), the
    deviation of the row as a whole population. Each over the row's known scores.

    Args:
        scores: [Q, D], NaN where the teacher does not know the pair; infinite counts as unknown.
        how: see above; none leaves them as they are.

    Returns:
        float32 [Q, D], NaN where unknown.

    Raises:
        InputError: there is no such normalisation.
    """
    x = scores.detach().to(torch.float64)
    known = x.isfinite()
    if how == "none" or not x.numel():
        scaled = x
    elif how == "min_max":
        low = x.masked_fill(~known, torch.inf).amin(dim=1, keepdim=True)
        high = x.masked_fill(~known, -torch.inf).amax(dim=1, keepdim=True)
        scaled = (x - low) / (high - low + FLOOR)
    elif how == "z_score":
        n = known.sum(dim=1, keepdim=True).clamp(min=1)
        centred = x - x.masked_fill(~known, 0.0).sum(dim=1, keepdim=True) / n
        square = centred.masked_fill(~known, 0.0).square().sum(dim=1, keepdim=True) / n
        scaled = centred / (square.sqrt() + FLOOR)
    else:
        raise InputError(f"normalisation {how!r} is not known: use min_max, z_score or none.")
    return scaled.float().masked_fill(~known, torch.nan)


@torch.no_grad()
def combined(
    scores: Sequence[Tensor], weights: Sequence[float], how: Normalization = "min_max"
) -> tuple[Tensor, Tensor]:
    """Weighted mean of the teachers' normalised scores, where all of them know the pair.

    A teacher that knows fewer than two pairs of a row, such as a file that has nothing of its
    query, is not heard there, and the others speak for it. Pairs that some teacher who is heard
    does not know are left out before normalising, so that each one's range is of the same
    candidates.

    Args:
        scores: one [Q, D] for each teacher, NaN where it does not know the pair.
        weights: one for each, above 0; their sum does not matter.
        how: see `normalized`.

    Returns:
        The mean, float32 [Q, D], 0 where unknown; and which pairs all that are heard know, bool
        [Q, D].

    Raises:
        InputError: numbers or shapes differ, a weight is not above 0, or there is no teacher.
    """
    if not scores or len(scores) != len(weights):
        raise InputError(
            f"an ensemble of {len(scores)} teachers with {len(weights)} weights: give one weight "
            "for each of at least one teacher."
        )
    if not all(0 < weight < math.inf for weight in weights):
        raise InputError(f"teacher weights {tuple(weights)}: each must be a number above 0.")
    if any(each.shape != scores[0].shape for each in scores):
        shapes = ", ".join(str(tuple(each.shape)) for each in scores)
        raise InputError(f"teachers gave scores of shapes {shapes}: all must be of the same pairs.")
    finite = torch.stack([each.isfinite() for each in scores])
    heard = finite.sum(dim=2) >= 2
    heard |= ~heard.any(dim=0)
    known = (finite | ~heard[:, :, None]).all(dim=0)
    shares = torch.tensor(list(weights), dtype=torch.float64, device=heard.device)[:, None] * heard
    shares = (shares / shares.sum(dim=0)).float()
    total = torch.zeros(scores[0].shape, dtype=torch.float32, device=scores[0].device)
    for each, share, own in zip(scores, shares, heard, strict=True):
        part = share[:, None] * normalized(each.masked_fill(~known, torch.nan), how)
        total += part.masked_fill(~own[:, None], 0.0)
    return total.masked_fill(~known, 0.0), known


@torch.no_grad()
def targets(
    scores: Tensor, known: Tensor, scale: float, label_share: float, positives: Tensor
) -> Tensor:
    """The distribution a student learns: (1 - l) softmax(S * scores) + l * one-hot positive.

    Args:
        scores: of `combined`, [Q, D].
        known: bool [Q, D]; unknown pairs get 0.
        scale: S, above 0.
        label_share: l, from 0 to 1; a row without a positive, or whose positive the teachers do
            not know, is the teachers' alone.
        positives: int64 [Q], the column of each row's positive; -1 where there is none.

    Returns:
        float32 [Q, D]; each row's sum is 1, or 0 where nothing is known.

    Raises:
        InputError: scale or label_share is out of its range.
    """
    if not 0 < scale < math.inf:
        raise InputError(f"scale of the ensemble is {scale}: give a number above 0.")
    if not 0 <= label_share <= 1:
        raise InputError(f"label_share of the ensemble is {label_share}: give one from 0 to 1.")
    probabilities = log_probabilities(scores * scale, known).exp().float()
    probabilities = probabilities.masked_fill(~known, 0.0)
    columns = torch.arange(known.shape[1], device=known.device)
    label = (positives[:, None] == columns) & known
    share = label_share * label.any(dim=1, keepdim=True)
    return (1 - share) * probabilities + share * label
