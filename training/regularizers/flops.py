"""FLOPS: the expected cost of a search, smoothed (Paria et al. 2020), and what it stands for.

sum_t ( mean_d |w_dt| )^2 over the vocabulary: terms that many documents have cost the most. The
number of active terms and the retrieval FLOPS are what comes of it; they have no gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "active_terms",
    "column_means",
    "flops",
    "flops_of_mean",
    "free_terms",
    "mean_activations",
    "position_means",
    "retrieval_flops",
    "with_others",
]


def mean_activations(weights: Tensor, n_documents: int | None = None) -> Tensor:
    """Mean absolute weight of each column, [C], float32 or float64.

    Args:
        weights: [D, C].
        n_documents: what the sum is divided by: the whole batch's documents, where `weights` are
            a part of it, so that the parts' means add up; None: D.
    """
    n = weights.shape[0] if n_documents is None else n_documents
    dtype = torch.promote_types(weights.dtype, torch.float32)
    return weights.abs().sum(dim=0, dtype=dtype) / max(n, 1)


def position_means(weights: Tensor, positions: Tensor) -> Tensor:
    """Mean absolute weight of each column at each candidate position, [K, C], float32 or float64.

    Args:
        weights: [D, C].
        positions: int64 [Q, K]: the document at each position of each query, -1 where there is
            none, which counts as an empty one. A document may be at several places.
    """
    dtype = torch.promote_types(weights.dtype, torch.float32)
    there = positions >= 0
    share = weights.new_zeros((positions.shape[1], len(weights)), dtype=dtype)
    each = torch.full_like(positions[there], 1, dtype=dtype) / max(len(positions), 1)
    share.index_put_((there.nonzero()[:, 1], positions[there]), each, accumulate=True)
    with torch.autocast(weights.device.type, enabled=False):
        return share @ weights.abs().to(dtype)


def with_others(own: Tensor, whole: Tensor) -> Tensor:
    """`whole` by value, with the gradient of `own` alone.

    Args:
        own: `mean_activations` of this part, with `n_documents` of the whole batch.
        whole: the sum of all parts' means; it needs no gradient.
    """
    return own + (whole - own).detach()


def flops_of_mean(mean: Tensor, column_weights: Tensor | None = None) -> Tensor:
    """FLOPS from means, [C] or [K, C]: the sum of cw_t mean_t^2, a scalar."""
    squares = mean.square()
    return (squares if column_weights is None else squares * column_weights).sum()


def flops(
    weights: Tensor, column_weights: Tensor | None = None, *, positions: Tensor | None = None
) -> Tensor:
    """FLOPS of a batch: sum_t cw_t (mean_d |w_dt|)^2.

    With `positions` it is the sum over candidate positions of FLOPS of the documents there, as
    OpenSearch's trainer takes it: sum_k sum_t cw_t (mean_q |w_qkt|)^2. Where no document is in the
    batch twice, that is between K and K^2 times the value without: K where all positions have the
    same means, K^2 where no two have a term in common.

    Args:
        weights: [D, C].
        column_weights: [C]; None for ones.
        positions: int64 [Q, K], see `position_means`; None for the whole batch at once.

    Returns:
        A scalar, float32 or float64.
    """
    return flops_of_mean(column_means(weights, positions), column_weights)


def column_means(weights: Tensor, positions: Tensor | None) -> Tensor:
    """`position_means` [K, C], or without positions `mean_activations` [C]."""
    if positions is None:
        return mean_activations(weights)
    return position_means(weights, positions)


def active_terms(weights: Tensor, column_weights: Tensor | None = None) -> Tensor:
    """Non-zero terms of each document over the vocabulary, estimated; float32 [D], no gradient.

    Args:
        weights: [D, C].
        column_weights: [C]; None for ones, and then the count is exact.
    """
    active = (weights.detach() != 0).float()
    return active.sum(dim=1) if column_weights is None else active @ column_weights.float()


def free_terms(weights: Tensor, column_weights: Tensor | None, threshold: float) -> Tensor:
    """Weights with documents of few terms set to 0, so that a penalty does not push them.

    The l0 mask of Geng et al. (2025): documents with no more than `threshold` active terms
    contribute nothing, while the number of documents that a mean is over stays the same.

    Args:
        weights: [D, C].
        column_weights: [C]; None for ones.
        threshold: terms, over the vocabulary.
    """
    pushed = active_terms(weights, column_weights) > threshold
    return weights.masked_fill(~pushed[:, None], 0.0)


def retrieval_flops(query_share: Tensor, document_share: Tensor) -> Tensor:
    """Postings met per query and document: sum_t P(t in q) P(t in d), a scalar.

    Args:
        query_share: [C], the share of queries that have the term.
        document_share: [C], the share of documents that have it.
    """
    dtype = torch.promote_types(query_share.dtype, torch.float32)
    return (query_share.to(dtype) * document_share.to(dtype)).sum()
