"""Inverse document frequencies in a model's own tokens: how rare each term of a vocabulary is.

    idf(t) = ln(1 + (N - df(t) + 0.5) / (df(t) + 0.5))

as in Robertson and Spärck Jones (1976), with the 1 under the logarithm that Lucene adds so that no
weight is negative. A query of an inference-free model is the set of its tokens, each weighing its
idf (Geng et al. 2024).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError

__all__ = ["SHRINKAGE", "CorpusFrequencies", "document_frequencies", "idf_table", "shrunk_idf"]

SHRINKAGE = 500.0
"""Documents at which the collection's own frequencies count as much as the model's. By nDCG@10 on
cacm (3,204 documents) and time (423): 500 is within .003 and .015 of the collection's own table,
the model's .020 and .023 below it (docs/experiments/2026-11-22-own-terms-idf-windows.md)."""


class CorpusFrequencies(NamedTuple):
    """In how many documents of a collection each term occurs.

    Attributes:
        df: int64, shape (n_terms,).
        n_documents: of the collection.
    """

    df: NDArray[np.int64]
    n_documents: int

    @classmethod
    def none(cls, n_terms: int) -> CorpusFrequencies:
        """Those of a collection without documents."""
        return cls(np.zeros(n_terms, np.int64), 0)

    def plus(self, indptr: NDArray[np.int64], tokens: NDArray[np.int64]) -> CorpusFrequencies:
        """With these documents too, as `document_frequencies` takes them.

        Tokens from `n_terms` on are left out.
        """
        n_terms = len(self.df)
        more = document_frequencies(indptr, np.minimum(tokens, n_terms), n_terms + 1)
        return CorpusFrequencies(self.df + more[:-1], self.n_documents + len(indptr) - 1)


def document_frequencies(
    indptr: NDArray[np.int64], tokens: NDArray[np.integer], n_terms: int
) -> NDArray[np.int64]:
    """In how many documents each term occurs.

    Args:
        indptr: shape (n_documents + 1,); document i has `tokens[indptr[i]:indptr[i + 1]]`.
        tokens: term numbers below `n_terms`, in any order, repeated or not.

    Returns:
        Shape (n_terms,).

    Raises:
        InputError: a token is outside the vocabulary.
    """
    if len(tokens) and not 0 <= tokens.min() <= tokens.max() < n_terms:
        raise InputError(f"a token is outside 0..{n_terms - 1}; count with the model's tokenizer")
    rows = np.repeat(np.arange(len(indptr) - 1, dtype=np.int64), np.diff(indptr))
    keys = np.sort(rows * n_terms + tokens)
    first = np.ones(len(keys), bool)
    first[1:] = keys[1:] != keys[:-1]
    return np.bincount(keys[first] % max(n_terms, 1), minlength=n_terms).astype(np.int64)


def idf_table(df: NDArray[np.integer], n_documents: int) -> NDArray[np.float32]:
    """The weight of each term, shape of `df`.

    A term that no document has gets the greatest weight of those that occur, so that it is not
    believed to be rarer than anything seen; without any document all weigh 1.

    Raises:
        InputError: a frequency is negative or above the number of documents.
    """
    if len(df) and not 0 <= df.min() <= df.max() <= n_documents:
        raise InputError(f"a document frequency is outside 0..{n_documents}; count again")
    if not n_documents or not df.any():
        return np.ones(len(df), np.float32)
    counts = np.maximum(df, df[df > 0].min()).astype(np.float64)
    table = np.log1p((n_documents - counts + 0.5) / (counts + 0.5))
    return np.asarray(table, np.float32)


def shrunk_idf(
    df: NDArray[np.integer],
    n_documents: int,
    model: NDArray[np.float32],
    strength: float = SHRINKAGE,
) -> NDArray[np.float32]:
    """The collection's table, shrunk towards the model's: (n * own + s * model) / (n + s).

    Args:
        df: shape (n_terms,), of the collection.
        model: shape (n_terms,); what weighs 0 or less here (special tokens) stays as it is.
        strength: s, in documents; 0 for the collection's table alone.

    Raises:
        InputError: the shapes differ, or `strength` is negative.
    """
    if df.shape != model.shape:
        raise InputError(f"{len(df):,} frequencies for {len(model):,} weights; give one each")
    if not strength >= 0:
        raise InputError(f"the strength of shrinkage is {strength}; it must be 0 or more")
    if n_documents + strength == 0:
        return model.astype(np.float32)
    share = n_documents / (n_documents + strength)
    own = share * idf_table(df, n_documents) + (1 - share) * model
    return np.where(model > 0, own, model).astype(np.float32)
