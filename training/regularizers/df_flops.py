"""DF-FLOPS: FLOPS of which terms in many documents take most (Porco et al., SIGIR 2025).

sum_t ( a(DF_t / |C|) mean_d |w_dt| )^2 with the generalised logistic
a(x) = 1 / (1 + (x^(log_alpha 2) - 1)^beta): 0 at x = 0, a half at x = alpha, 1 at x = 1, the
steeper the larger beta. Document frequencies are estimated while training.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lsr.errors import InputError
from lsr.training.regularizers.flops import flops_of_mean, mean_activations

__all__ = ["DocumentFrequencies", "df_activation", "df_flops"]

TINY_SHARE = 1e-12
"""Below it a term counts as being in no document."""


def df_activation(df_share: Tensor, alpha: float = 0.1, beta: float = 10.0) -> Tensor:
    """The generalised logistic of document frequency, from 0 to 1, of the same shape.

    Args:
        df_share: share of documents that have the term, from 0 to 1.
        alpha: the share at which it is a half, above 0 and below 1.
        beta: steepness, above 0.

    Raises:
        InputError: alpha or beta is out of its range.
    """
    if not 0 < alpha < 1:
        raise InputError(f"alpha of DF-FLOPS is {alpha}: give a share above 0 and below 1.")
    if not 0 < beta < math.inf:
        raise InputError(f"beta of DF-FLOPS is {beta}: give a number above 0.")
    share = df_share.to(torch.promote_types(df_share.dtype, torch.float32))
    power = share.clamp(TINY_SHARE, 1.0) ** (math.log(2) / math.log(alpha))
    return 1 / (1 + (power - 1).clamp(min=0) ** beta)


def df_flops(
    weights: Tensor,
    df_share: Tensor,
    column_weights: Tensor | None = None,
    alpha: float = 0.1,
    beta: float = 10.0,
    *,
    n_documents: int | None = None,
) -> Tensor:
    """DF-FLOPS of a batch: sum_t cw_t (a(df_share_t) mean_d |w_dt|)^2.

    Args:
        weights: [D, C].
        df_share: [C], share of documents that have each term; no gradient flows to it.
        column_weights: [C]; None for ones.
        alpha, beta: see `df_activation`.
        n_documents: see `lsr.training.regularizers.mean_activations`.

    Returns:
        A scalar, float32 or float64.

    Raises:
        InputError: alpha or beta is out of its range.
    """
    activation = df_activation(df_share.detach(), alpha, beta)
    return flops_of_mean(mean_activations(weights, n_documents) * activation, column_weights)


class DocumentFrequencies(nn.Module):
    """A running estimate of each term's document frequency, from the batches of training.

    Each batch adds its documents, and those of before count `decay` times. A term that no batch
    has held yet is taken to be in every document, which makes DF-FLOPS of it plain FLOPS.

    Attributes:
        with_term: float32 [V], decayed number of documents that had the term.
        seen: float32 [V], decayed number of documents that were looked at for it.
    """

    with_term: Tensor
    seen: Tensor

    def __init__(self, n_terms: int, decay: float = 0.99) -> None:
        """
        Args:
            n_terms: size of the vocabulary, V.
            decay: from 0, the last batch alone, to 1, all batches alike.

        Raises:
            InputError: decay is out of its range.
        """
        super().__init__()
        if not 0 <= decay <= 1:
            raise InputError(f"decay of document frequencies is {decay}: give one from 0 to 1.")
        self.decay = decay
        self.register_buffer("with_term", torch.zeros(n_terms))
        self.register_buffer("seen", torch.zeros(n_terms))

    @torch.no_grad()
    def update(self, weights: Tensor, columns: Tensor | None = None) -> None:
        """Count a batch.

        Args:
            weights: [D, C], or [D, V] without `columns`; zero is absence.
            columns: int64 [C], different vocabulary numbers; other terms stay as they are.
        """
        at = slice(None) if columns is None else columns
        active = (weights != 0).sum(dim=0).to(self.with_term.dtype)
        self.with_term[at] = self.decay * self.with_term[at] + active
        self.seen[at] = self.decay * self.seen[at] + weights.shape[0]

    def share(self, columns: Tensor | None = None) -> Tensor:
        """Estimated share of documents that have each term, from 0 to 1.

        Args:
            columns: int64 [C], vocabulary numbers; None for all.

        Returns:
            float32 [C], or [V].
        """
        at = slice(None) if columns is None else columns
        seen = self.seen[at]
        return torch.where(seen > 0, self.with_term[at] / seen.clamp(min=1e-9), 1.0)
