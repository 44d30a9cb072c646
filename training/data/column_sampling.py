"""Sampling of the terms of the vocabulary that a step needs document weights of.

With a table on the query side, the ranking losses need the terms of the batch's queries alone. The
regularisers need all terms: they get a sample of the others, stratified into the documents' own
tokens, most of which are active, and the rest, with weights that make a sum over the sample an
unbiased estimate of the sum over the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Columns", "choose_columns"]

DOCUMENT_SHARE = 0.35
"""Of the sample, for tokens of the documents. Measured in a first experiment: 400 of 1,200."""


@dataclass(frozen=True)
class Columns:
    """Terms, those of queries first.

    Attributes:
        numbers: int64, shape (C,), different from each other.
        weights: float32, shape (C,): how many terms each stands for.
        n_query: how many come first for being query terms.
    """

    numbers: NDArray[np.int64]
    weights: NDArray[np.float32]
    n_query: int


def choose_columns(
    query_terms: NDArray[np.int64],
    document_terms: NDArray[np.int64],
    n_terms: int,
    sampled: int,
    rng: np.random.Generator,
) -> Columns:
    """All query terms, and a sample of the others.

    Args:
        query_terms, document_terms: of the batch's queries and documents; any order, repeats
            allowed.
        n_terms: the vocabulary's size.
        sampled: how many others to take, at most.
    """
    taken = np.zeros(n_terms, bool)
    queries = np.unique(query_terms)
    taken[queries] = True
    held = np.unique(document_terms)  # in documents, and in no query
    held = held[~taken[held]]
    taken[held] = True
    rest = np.flatnonzero(~taken)
    n_held = min(len(held), max(round(sampled * DOCUMENT_SHARE), sampled - len(rest), 1))
    n_rest = min(len(rest), sampled - n_held)
    if n_rest == 0:  # nothing of it would be counted
        n_rest = min(len(rest), 1)
    some = [
        rng.choice(held, n_held, replace=False),
        rng.choice(rest, n_rest, replace=False),
    ]
    weights = [np.ones(len(queries))]
    weights += [
        np.full(len(part), len(whole) / max(len(part), 1))
        for part, whole in zip(some, (held, rest), strict=True)
    ]
    return Columns(
        np.concatenate([queries, *(np.sort(part) for part in some)]).astype(np.int64),
        np.concatenate(weights).astype(np.float32),
        len(queries),
    )
