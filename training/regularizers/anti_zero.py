"""Anti-zero: what keeps all weights from going to 0 together.

1 / m_q^2 + 1 / m_d^2, with m the mean over texts of sum_t w_t, of queries and of documents. The
public SPLADE code has the sum over the batch for it; the mean does not change with its size.
"""

from __future__ import annotations

from torch import Tensor

from lsr.training.regularizers.lp import lp

__all__ = ["anti_zero", "inverse_mass"]

FLOOR = 1e-6
"""Added to m^2, so that a batch of empty vectors has a finite value."""


def inverse_mass(
    weights: Tensor, column_weights: Tensor | None = None, *, n_texts: int | None = None
) -> Tensor:
    """1 / (m^2 + 1e-6), m the mean over texts of sum_t cw_t |w_t|; a scalar.

    Args:
        weights: [B, C], of queries or of documents.
        column_weights: [C]; None for ones.
        n_texts: what m's sum is divided by; None: B.
    """
    return 1 / (lp(weights, column_weights, n_documents=n_texts).square() + FLOOR)


def anti_zero(
    query_weights: Tensor, document_weights: Tensor, column_weights: Tensor | None = None
) -> Tensor:
    """Sum of both sides' `inverse_mass`; a scalar.

    Args:
        query_weights: [Q, V].
        document_weights: [D, C].
        column_weights: [C], of the documents' columns; None for ones.
    """
    return inverse_mass(query_weights) + inverse_mass(document_weights, column_weights)
