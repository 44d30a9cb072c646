"""BM25 over a run's documents, in the tokens of the model that is trained.

    score(q, d) = sum over the terms t of q of idf(t) * tf / (tf + k1 * (1 - b + b * |d| / avg|d|))
    idf(t) = ln(1 + (N - df + 0.5) / (df + 0.5))

as in `lsr.encoders.bm25` (Robertson et al. 1994, as Lucene computes it), a query's terms counted
once each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsr.errors import InputError
from lsr.progress import Progress, no_progress
from lsr.retrieval.retriever import Ranking
from lsr.sparse import CSR
from lsr.training.teachers.protocol import Rows, Scores, unprepared
from lsr.training.teachers.sparse_matrix import SparseRows

__all__ = ["Bm25Scorer", "TokenRows"]


class TokenRows(NamedTuple):
    """Tokens of texts, special ones left out.

    Attributes:
        indptr: int64, shape (n_texts + 1,); text i is the slice `indptr[i]:indptr[i + 1]`.
        tokens: any integers, shape (n_tokens,), in the order of the text.
    """

    indptr: NDArray[np.int64]
    tokens: NDArray[Any]


class Bm25Scorer:
    """A `Teacher` by BM25.

    Args:
        queries: tokens of the run's queries, by row.
        documents: tokens of the run's documents, by row.
        n_terms: size of the vocabulary; tokens are below it.
        k1: how slowly repeated terms saturate; above 0.
        b: how much long documents are held back; 0 to 1.

    Raises:
        InputError: an option is out of its range, or a token is not of the vocabulary.
    """

    def __init__(
        self,
        queries: TokenRows,
        documents: TokenRows,
        n_terms: int,
        *,
        k1: float = 1.2,
        b: float = 0.75,
        name: str = "bm25",
    ) -> None:
        if not (k1 > 0 and 0 <= b <= 1):
            raise InputError(f"k1 is {k1} and b is {b}; k1 must be above 0, and b from 0 to 1")
        for what, rows in (("query", queries), ("document", documents)):
            if rows.tokens.size and not 0 <= rows.tokens.min() <= rows.tokens.max() < n_terms:
                raise InputError(
                    f"a {what} has a token outside 0..{n_terms - 1}; tokenise with the model that "
                    "is trained"
                )
        self.name = name
        self._queries, self._documents, self._n_terms = queries, documents, n_terms
        self._k1, self._b = k1, b
        self._rows: SparseRows | None = None

    @property
    def identity(self) -> str:
        digest = hashlib.sha256(f"bm25 {self._k1} {self._b} {self._n_terms}".encode())
        for rows in (self._queries, self._documents):
            digest.update(np.asarray(rows.indptr, "<i8").tobytes())
            digest.update(np.asarray(rows.tokens, "<i4").tobytes())
        return digest.hexdigest()

    def prepare(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        progress: Progress = no_progress,
    ) -> None:
        """Weigh the tokens that were given; texts are counted only.

        Raises:
            InputError: there are more or fewer texts than rows of tokens.
        """
        have = (len(self._queries.indptr) - 1, len(self._documents.indptr) - 1)
        if have != (len(queries), len(documents)):
            raise InputError(
                f"{self.name}: tokens of {have[0]:,} queries and {have[1]:,} documents for "
                f"{len(queries):,} and {len(documents):,} texts; tokenise this run's texts"
            )
        progress(self.name, 0, len(documents))
        counts = _counts(self._documents, self._n_terms)
        n = counts.n_rows
        lengths = np.diff(self._documents.indptr)
        average = max(float(lengths.mean()), 1.0) if n else 1.0
        held_back = self._k1 * (1 - self._b + self._b * lengths / average)
        tf = counts.weights.astype(np.float64)
        saturated = tf / (tf + np.repeat(held_back, np.diff(counts.indptr)))
        df = np.bincount(counts.terms, minlength=self._n_terms)
        idf = np.log1p((n - df + 0.5) / (df + 0.5)).astype(np.float32)
        asked = _counts(self._queries, self._n_terms)
        self._rows = SparseRows(
            asked._replace(weights=idf[asked.terms]),
            counts._replace(weights=saturated.astype(np.float32)),
        )
        progress(self.name, n, n)

    def scores(self, query_rows: Rows, document_rows: Rows) -> Scores:
        """BM25 of all pairs, float32, shape (n_queries, n_documents); no pair is unknown."""
        return self._prepared().scores(query_rows, document_rows)

    def best(self, query_rows: Rows, depth: int) -> Ranking:
        """The best documents with a score above 0, shape (n_queries, depth)."""
        return self._prepared().best(query_rows, depth)

    def _prepared(self) -> SparseRows:
        if self._rows is None:
            raise unprepared(self.name)
        return self._rows


def _counts(rows: TokenRows, n_terms: int) -> CSR:
    """Number of occurrences of each token in each text."""
    from scipy.sparse import csr_array

    ones = np.ones(len(rows.tokens), np.float32)
    parts = (ones, np.asarray(rows.tokens, np.int32), np.asarray(rows.indptr, np.int64))
    return CSR.from_scipy(csr_array(parts, shape=(len(rows.indptr) - 1, n_terms)))
