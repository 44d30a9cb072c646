"""What a stage is trained on: rows read and checked, tokens counted, idf."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.learned.idf import document_frequencies, idf_table
from lsr.encoders.learned.lexical_terms import LexicalTerms
from lsr.errors import InputError
from lsr.progress import Progress, no_progress
from lsr.training.config.train import DataConfig
from lsr.training.data.overlap import OverlapReport, find_overlap
from lsr.training.data.pairs import NO_ROW, Pairs
from lsr.training.data.pseudo_queries import with_pseudo_queries, word_idf
from lsr.training.data.sources import read_sources
from lsr.training.data.tokens import Tokenized, special_ids, tokenize
from lsr.training.teachers.sparse_matrix import SparseRows

__all__ = [
    "TrainingData",
    "load_training_data",
    "material_of",
    "own_rows",
    "queries_by_document",
    "term_share",
]


MOST_KINDS = 8
"""Sources of one file that are counted apart."""

WORD_SAMPLE = 50_000
"""Documents that keywords of pseudo-queries are weighed by: the first."""


@dataclass(frozen=True)
class TrainingData:
    """Rows of a stage in the tokens of the model.

    Attributes:
        weights: how often rows of a source are drawn, by its name.
        validation: rows held out.
        query_tokens, document_tokens: without special tokens, cut at the model's lengths.
        document_frequency: int64 [V], over the documents.
        overlap: what of the rows was in evaluation sets; None if that was not asked.
    """

    pairs: Pairs
    weights: Mapping[str, float]
    validation: Pairs
    query_tokens: Tokenized
    document_tokens: Tokenized
    document_frequency: NDArray[np.int64]
    overlap: OverlapReport | None

    @property
    def lengths(self) -> NDArray[np.int32]:
        """Tokens of each document as it is encoded, special ones included."""
        return self.document_tokens.lengths + 2

    def idf(self, special: NDArray[np.int32]) -> NDArray[np.float32]:
        """Weights of terms by these documents; special tokens have none."""
        table = idf_table(self.document_frequency, len(self.pairs.documents))
        table[special] = 0
        return table

    def counts(self) -> dict[str, int]:
        """Rows by source; the sources of a file that has many count as one."""
        names = self.pairs.source_names
        kinds = Counter(name.partition("/")[0] for name in names)
        numbers = np.bincount(self.pairs.sources, minlength=len(names)).tolist()
        counts: Counter[str] = Counter()
        for name, number in zip(names, numbers, strict=True):
            file = name.partition("/")[0]
            counts[file if kinds[file] > MOST_KINDS else name] += number
        return dict(counts)


def load_training_data(
    data: DataConfig,
    tokenizer: Any,
    n_terms: int,
    *,
    max_query_tokens: int,
    max_document_tokens: int,
    seed: int = 0,
    progress: Progress = no_progress,
) -> TrainingData:
    """Read, deduplicate, check against evaluation sets, and tokenise.

    Raises:
        DataError: a source cannot be read; names the line.
        InputError: rows are in an evaluation set and `allow_overlap` is not set, or nothing is
            left.
    """
    pairs, weights = read_sources(data.sources, progress)
    if data.deduplicate:
        pairs = pairs.deduplicated()
    overlap = None
    if data.evaluation_sets:
        overlap = find_overlap(pairs, data.evaluation_sets, progress)
        if overlap and not data.allow_overlap:
            left = overlap.without(pairs)
            if len(left) < 0.9 * len(pairs):
                raise InputError(
                    f"{overlap.sentence()}: training on {len(pairs) - len(left):,} of "
                    f"{len(pairs):,} rows would be training on the test; choose other sources, or "
                    "set data.allow_overlap"
                )
            pairs = left
    pairs, validation = pairs.split(data.validation_share, seed)
    if data.pseudo_queries > 0:
        pairs = with_pseudo_queries(
            pairs, data.pseudo_queries, word_idf(pairs.documents[:WORD_SAMPLE]), seed
        )
    return material_of(
        pairs,
        weights,
        tokenizer,
        n_terms,
        validation=validation,
        overlap=overlap,
        max_query_tokens=max_query_tokens,
        max_document_tokens=max_document_tokens,
        progress=progress,
    )


def material_of(
    pairs: Pairs,
    weights: Mapping[str, float],
    tokenizer: Any,
    n_terms: int,
    *,
    validation: Pairs | None = None,
    overlap: OverlapReport | None = None,
    max_query_tokens: int,
    max_document_tokens: int,
    progress: Progress = no_progress,
) -> TrainingData:
    """Tokens and frequencies of rows. Raises InputError when there is no row or document."""
    if not len(pairs) or not pairs.documents:
        raise InputError("no rows are left to train on; check the sources")
    queries = tokenize(pairs.queries, tokenizer, max_query_tokens - 2, progress)
    documents = tokenize(pairs.documents, tokenizer, max_document_tokens - 2, progress)
    frequency = document_frequencies(documents.indptr, documents.tokens, n_terms)
    frequency[special_ids(tokenizer)] = 0
    nobody = pairs.taken(np.zeros(0, np.int64))
    return TrainingData(
        pairs, weights, validation or nobody, queries, documents, frequency, overlap
    )


def term_share(tokens: Tokenized, n_terms: int) -> NDArray[np.float32]:
    """The share of texts that have each term, float32 [V]."""
    counts = document_frequencies(tokens.indptr, tokens.tokens, n_terms)
    return (counts / max(len(tokens), 1)).astype(np.float32)


def own_rows(pairs: Pairs, terms: LexicalTerms) -> SparseRows:
    """Queries and documents as a model's own terms have them, whose products are BM25 scores."""
    encoder = Bm25Encoder(k1=terms.k1, b=terms.b, language=terms.language)
    documents = encoder.encode_corpus([pairs.documents])
    documents = documents._replace(weights=documents.weights * np.float32(terms.weight))
    return SparseRows(encoder.encode_queries(pairs.queries), documents)


def queries_by_document(pairs: Pairs) -> Sequence[NDArray[np.int32]]:
    """The labelled queries of each document."""
    labelled = np.flatnonzero(pairs.positives != NO_ROW)
    order = labelled[np.argsort(pairs.positives[labelled], kind="stable")].astype(np.int32)
    bounds = np.searchsorted(pairs.positives[order], np.arange(len(pairs.documents) + 1))
    return [order[a:b] for a, b in pairwise(bounds)]
