"""Regularizers that keep document vectors sparse: one a file, each a pure function on tensors.

Weights are [D, C]: documents by columns, 0 or more. C is the vocabulary or a sample of it;
`column_weights` [C] make a sum over columns an estimate of the sum over the vocabulary (a column
drawn with probability p weighs 1 / p), and None stands for ones. Every penalty is of the mean
over documents, so lambda means the same at every batch size; FLOPS of candidate positions is of
means over queries, and grows with the number of positions.

A batch in parts, of one process or of several: with `n_documents` of the whole batch,
`mean_activations` of the parts add up to the whole's, [C], and `flops_of_mean` of that sum is the
whole's penalty. For gradients, each part takes `flops_of_mean(with_others(own, whole))`: its
value is the whole's, and its gradient is the whole's with respect to its own weights. The parts'
gradients are then added, not averaged. `lp` is a plain sum: parts with `n_documents` add up.
"""

from __future__ import annotations

from lsr.training.regularizers.anti_zero import anti_zero, inverse_mass
from lsr.training.regularizers.df_flops import DocumentFrequencies, df_activation, df_flops
from lsr.training.regularizers.flops import (
    active_terms,
    flops,
    flops_of_mean,
    free_terms,
    mean_activations,
    position_means,
    retrieval_flops,
    with_others,
)
from lsr.training.regularizers.idf_flops import idf_flops
from lsr.training.regularizers.lp import lp
from lsr.training.regularizers.top_k import top_k

__all__ = [
    "DocumentFrequencies",
    "active_terms",
    "anti_zero",
    "df_activation",
    "df_flops",
    "flops",
    "flops_of_mean",
    "free_terms",
    "idf_flops",
    "inverse_mass",
    "lp",
    "mean_activations",
    "position_means",
    "retrieval_flops",
    "top_k",
    "with_others",
]
