"""Losses that a student learns from: one a file, each a pure function on tensors.

Scores are [Q, D]: queries of a batch by its different documents, all candidates of all queries.
`known` says which pairs count. A row without anything to learn contributes nothing, and a batch
of such rows gives 0 with gradient 0.

Each loss is a mean, of rows, pairs or tokens. A batch in parts, of one process or of several, is
summed: give each part `n_total`, the number that counts in the whole batch, from the function
that is named beside the loss; the parts' values and gradients then add up to the whole's.
"""

from __future__ import annotations

from lsr.training.losses.infonce import infonce, infonce_rows
from lsr.training.losses.kl import kl, kl_rows
from lsr.training.losses.margin_mse import margin_mse, margin_pairs
from lsr.training.losses.term_recall import term_recall

__all__ = [
    "infonce",
    "infonce_rows",
    "kl",
    "kl_rows",
    "margin_mse",
    "margin_pairs",
    "term_recall",
]
