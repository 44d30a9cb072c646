"""IDF-aware FLOPS (Geng et al. 2024), in its explicit form.

A query is binary times IDF: s(q, d) = sum_t idf_t w_dt. FLOPS of w is then the IDF-aware penalty,
as ranking pulls a term up by its IDF while the penalty pushes all alike. Where the IDF is folded
into the documents instead, u = idf * w with a binary query, the same penalty reads
sum_t ( mean_d u_dt / idf_t )^2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsr.training.regularizers.flops import column_means, flops_of_mean

__all__ = ["idf_flops"]


def idf_flops(
    scaled_weights: Tensor,
    idf: Tensor,
    column_weights: Tensor | None = None,
    *,
    positions: Tensor | None = None,
) -> Tensor:
    """IDF-aware FLOPS of documents that hold their IDF: sum_t cw_t (mean_d u_dt / idf_t)^2.

    Equal to `flops(w)` for u = idf * w.

    Args:
        scaled_weights: u = idf * w, [D, C].
        idf: [C], 0 or more; a term of IDF 0 is taken as it is, as of IDF 1.
        column_weights: [C]; None for ones.
        positions: int64 [Q, K], see `lsr.training.regularizers.flops`.

    Returns:
        A scalar, float32 or float64.
    """
    divisor = torch.where(idf > 0, idf, torch.ones_like(idf))
    return flops_of_mean(column_means(scaled_weights, positions) / divisor, column_weights)
