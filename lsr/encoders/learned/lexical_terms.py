"""A document's own words, weighed by BM25, beside what a learned model makes of it.

    score(q, d) = sum over tokens of table(t) learned(t, d)  +  weight BM25(q, d)

One sparse vector: the terms of the model, then the stems of the collection's words, which an
analyzer finds in the whole text, also where the network reads only the beginning. A query has
both too, and needs no network still. Words that a model's vocabulary lacks, such as names and
codes, are found as BM25 finds them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lsr.encoders.analysis import LATEST
from lsr.errors import InputError
from lsr.sparse import CSR

__all__ = ["LexicalTerms", "side_by_side"]


@dataclass(frozen=True)
class LexicalTerms:
    """Weighting of a document's own words.

    The defaults were chosen on the collections cacm, time and vaswani
    (docs/experiments/2026-11-22-own-words-as-stems.md).

    Attributes:
        weight: of the BM25 score; 0 for none.
        k1, b: as in BM25, b from 0 to 1.
        language: of the stemmer and the stop words, as `lsr.encoders.analysis` names it.
        analysis: the version of the rules that make terms of text, as in `Analyzer`; what was
            written before there were two has the first.

    Raises:
        InputError: a number is out of its range, or there is no such version.
    """

    weight: float = 8.0
    k1: float = 1.2
    b: float = 0.75
    language: str = "english"
    analysis: int = 1

    def __post_init__(self) -> None:
        for name, fits in {
            "weight": self.weight >= 0,
            "k1": self.k1 > 0,
            "b": 0 <= self.b <= 1,
        }.items():
            if not fits or not np.isfinite(getattr(self, name)):
                raise InputError(
                    f"own terms: {name} is {getattr(self, name)}; weight is 0 or more, k1 above "
                    "0, and b from 0 to 1"
                )
        if self.analysis not in range(1, LATEST + 1):
            raise InputError(
                f"own terms: analysis is {self.analysis}; give a version from 1 to {LATEST}"
            )

    def to_dict(self) -> dict[str, Any]:
        """The fields as the hash of an encoder has them: without the analysis if it is the first.

        So it was before there were two.
        """
        fields = asdict(self)
        if self.analysis == 1:
            del fields["analysis"]
        return fields


def side_by_side(learned: CSR, own: CSR) -> CSR:
    """Rows of both as one: terms of `own` follow those of `learned`.

    Args:
        learned: shape (n_rows, n). own: shape (n_rows, m).

    Returns:
        Shape (n_rows, n + m).
    """
    n_terms = learned.n_terms + own.n_terms
    indptr = learned.indptr + own.indptr
    terms = np.empty(learned.nnz + own.nnz, np.int32)
    weights = np.empty(len(terms), np.float32)
    is_own = np.zeros(len(terms) + 1, np.int8)  # 1 where a run of own terms starts, -1 at its end
    np.add.at(is_own, indptr[:-1] + np.diff(learned.indptr), 1)
    np.add.at(is_own, indptr[1:], -1)
    mask = np.cumsum(is_own[:-1], dtype=np.int32).astype(bool)
    terms[mask], terms[~mask] = own.terms + learned.n_terms, learned.terms
    weights[mask], weights[~mask] = own.weights, learned.weights
    return CSR(indptr, terms, weights, n_terms)
