"""A document's own words, weighed by BM25, beside what a learned model makes of it.

    score(q, d) = sum over tokens of table(t) learned(t, d)  +  weight BM25(q, d)

One sparse vector: the terms of the model, then the stems of the collection's words, which an
analyzer finds in the whole text, also where the network reads only the beginning. A query has
both too, and needs no network still. Words that a model's vocabulary lacks, such as names and
codes, are found as BM25 finds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.analysis import LATEST
from lsr.encoders.learned.tokenizer import WordPieces
from lsr.errors import InputError
from lsr.passages.passage import PassagedText
from lsr.sparse import CSR

__all__ = ["LexicalTerms", "of_whole_texts", "side_by_side", "with_own_tokens"]

PART_SHARE = 0.5
"""Of the weight of own words: taken from a whole text of many passages, whose parts have theirs."""
OWN_SHARE = 1 / 7
"""Of the same: for a token that a passage of such a text holds itself."""
OWN_SATURATION = 0.6
"""k1 of such tokens."""
MANY_PASSAGES = 32
"""Beyond the first; of texts with fewer, both shares are as much smaller. All four were chosen on
facts in long texts and on collections (docs/experiments/2026-12-01-passages.md)."""


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


def of_whole_texts(words: CSR, counts: Sequence[int]) -> CSR:
    """Own words of documents; of split ones with the share that is left to the whole text.

    Args:
        counts: passages of each document.
    """
    shares = 1 - np.float32(PART_SHARE) * _length(counts)
    return words._replace(weights=words.weights * np.repeat(shares, np.diff(words.indptr)))


def with_own_tokens(
    vectors: CSR,
    texts: Sequence[PassagedText],
    pieces: WordPieces,
    table: NDArray[np.float32],
    min_weight: float,
    weight: float,
) -> CSR:
    """Vectors of passages, with more weight for the tokens that each passage holds itself.

    Own words of a whole long text say little of any part of it. So a passage of a document that was
    split gets a BM25-like weight of its own tokens, in the model's vocabulary.

    Args:
        vectors: a row for each passage.
        pieces: the model's tokenizer.
        table: the model's weights of tokens in queries, shape (n_terms,).
        min_weight: tokens that weigh less there are left out.
        weight: of the document's BM25 score.
    """
    split = [part if len(text.passages) > 1 else "" for text in texts for part in text.passages]
    counts = [len(text.passages) for text in texts]
    indptr, tokens = pieces.encode(split, whole=True)
    own, found = np.unique(_places(indptr, tokens, vectors.n_terms), return_counts=True)
    rows, terms = own // vectors.n_terms, own % vectors.n_terms
    times = found.astype(np.float32)
    saturated = times / (times + np.float32(OWN_SATURATION))
    shares = np.repeat(_length(counts), counts) * np.float32(OWN_SHARE * weight)
    of_network = _places(vectors.indptr, vectors.terms, vectors.n_terms)
    places = np.union1d(of_network, own)
    weights = np.zeros(len(places), np.float32)
    weights[np.searchsorted(places, of_network)] = vectors.weights
    weights[np.searchsorted(places, own)] += saturated * shares[rows] * (table[terms] >= min_weight)
    places, weights = places[weights != 0], weights[weights != 0]
    ends = np.searchsorted(places, np.arange(vectors.n_rows + 1) * vectors.n_terms)
    joined = CSR(ends, (places % vectors.n_terms).astype(np.int32), weights, vectors.n_terms)
    joined.validate()
    return joined


def _places(
    indptr: NDArray[np.int64], terms: NDArray[np.integer], n_terms: int
) -> NDArray[np.int64]:
    """Numbers that count entries of a matrix row by row, int64."""
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    return rows * n_terms + terms


def _length(counts: Sequence[int]) -> NDArray[np.float32]:
    """The lengths of documents, from 0 for one passage to 1 for many, float32."""
    beyond = np.asarray(counts, np.float32) - 1
    length: NDArray[np.float32] = np.minimum(beyond / np.float32(MANY_PASSAGES), np.float32(1))
    return length
