"""Term recall: a document's own terms weigh as often as queries use them (DeepCT, Dai and Callan).

The recall of a term in a document is the share of its queries that have the term. The loss is
the squared error of the weights from it, over the document's own tokens.
"""

from __future__ import annotations

from torch import Tensor

from lsr.training.losses.rows import mean_where, precise

__all__ = ["term_recall"]


def term_recall(
    weights: Tensor, recall: Tensor, present: Tensor, *, n_total: Tensor | float | None = None
) -> Tensor:
    """Mean of (weight - recall)^2 over the documents' own terms.

    Args:
        weights: the student's document weights, [D, C].
        recall: [D, C], from 0 to 1; it is read where `present`.
        present: bool [D, C], whether the term occurs in the document and its recall is known.
        n_total: what the sum is divided by; None: the number of terms present.

    Returns:
        A scalar, float32 or float64.
    """
    w = precise(weights).masked_fill(~present, 0.0)
    y = precise(recall).masked_fill(~present, 0.0)
    return mean_where((w - y).square(), present, n_total)
