"""Rows of candidates of which some do not count."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["log_probabilities", "mean_where", "precise"]


def precise(values: Tensor) -> Tensor:
    """The same numbers as float32, or float64 if they are: what losses are added up in."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def log_probabilities(scores: Tensor, known: Tensor) -> Tensor:
    """Log softmax of each row over its known entries, and 0 elsewhere.

    Args:
        scores: [Q, D], any float; what stands at unknown entries does not matter, NaN included.
        known: bool [Q, D]; a row may have none.
    """
    some = known.any(dim=1, keepdim=True)
    filled = precise(scores).masked_fill(~known, 0.0)
    filled = filled.masked_fill(some & ~known, -torch.inf)
    return torch.log_softmax(filled, dim=1).masked_fill(~known, 0.0)


def mean_where(values: Tensor, counted: Tensor, n_total: Tensor | float | None) -> Tensor:
    """Sum of the counted values, over their number or over `n_total`; 0 where none counts.

    Args:
        values: finite floats.
        counted: bool, of the same shape.
    """
    n = counted.sum().clamp(min=1) if n_total is None else n_total
    return values.masked_fill(~counted, 0.0).sum() / n
