"""Data of a stage: rows read and checked, tokens counted, idf."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.corpus.idf import document_frequencies, idf_table
from lsr.encoders.learned.lexical_terms import LexicalTerms
from lsr.encoders.lexical import words_encoder
from lsr.errors import InputError
from lsr.progress import Progress, no_progress
from lsr.training.config.train import DataConfig
from lsr.training.data.overlap import OverlapReport, find_overlap
from lsr.training.data.pairs import NO_ROW, Pairs
from lsr.training.data.pseudo_queries import with_pseudo_queries, word_idf
from lsr.training.data.sources import read_sources
from lsr.training.data.tokens import Tokenized, special_ids, tokenize, vocabulary_size
from lsr.training.teachers.sparse_matrix import SparseRows

if TYPE_CHECKING:
    from lsr.training.data.tokens import AnyTokenizer

__all__ = [
    "TrainingData",
    "lexical_rows",
    "load_training_data",
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
        tokenizer: the model's, which made the tokens.
    """

    pairs: Pairs
    weights: Mapping[str, float]
    validation: Pairs
    query_tokens: Tokenized
    document_tokens: Tokenized
    document_frequency: NDArray[np.int64]
    overlap: OverlapReport | None
    tokenizer: AnyTokenizer

    @classmethod
    def from_pairs(
        cls,
        pairs: Pairs,
        tokenizer: AnyTokenizer,
        *,
        max_query_tokens: int,
        max_document_tokens: int,
        weights: Mapping[str, float] | None = None,
        validation: Pairs | None = None,
        overlap: OverlapReport | None = None,
        progress: Progress = no_progress,
    ) -> TrainingData:
        """Count the tokens of rows.

        Args:
            max_query_tokens, max_document_tokens: that the model reads, special ones included.
            weights: default: every source is drawn alike.
            validation: default: no rows are held out.

        Raises:
            InputError: there is no row or no document.
        """
        if not len(pairs) or not pairs.documents:
            raise InputError("no rows are left to train on; check the sources")
        queries = tokenize(pairs.queries, tokenizer, max_query_tokens - 2, progress)
        documents = tokenize(pairs.documents, tokenizer, max_document_tokens - 2, progress)
        frequency = document_frequencies(
            documents.indptr, documents.tokens, vocabulary_size(tokenizer)
        )
        frequency[special_ids(tokenizer)] = 0
        none = pairs.taken(np.zeros(0, np.int64))
        return cls(
            pairs=pairs,
            weights=weights or {},
            validation=validation or none,
            query_tokens=queries,
            document_tokens=documents,
            document_frequency=frequency,
            overlap=overlap,
            tokenizer=tokenizer,
        )

    @property
    def lengths(self) -> NDArray[np.int32]:
        """Tokens of each document as it is encoded, special ones included."""
        return self.document_tokens.lengths + 2

    def idf(self) -> NDArray[np.float32]:
        """Weights of terms by these documents, float32 [V]; special tokens have none."""
        table = idf_table(self.document_frequency, len(self.pairs.documents))
        table[special_ids(self.tokenizer)] = 0
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
    tokenizer: AnyTokenizer,
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
    return TrainingData.from_pairs(
        pairs,
        tokenizer,
        max_query_tokens=max_query_tokens,
        max_document_tokens=max_document_tokens,
        weights=weights,
        validation=validation,
        overlap=overlap,
        progress=progress,
    )


def term_share(tokens: Tokenized, n_terms: int) -> NDArray[np.float32]:
    """The share of texts that have each term, float32 [V]."""
    counts = document_frequencies(tokens.indptr, tokens.tokens, n_terms)
    return (counts / max(len(tokens), 1)).astype(np.float32)


def lexical_rows(pairs: Pairs, terms: LexicalTerms) -> SparseRows:
    """Stems of queries and documents, whose products are the BM25 scores added in search."""
    encoder = words_encoder(terms)
    documents = encoder.encode_corpus([pairs.documents])
    documents = documents._replace(weights=documents.weights * np.float32(terms.weight))
    return SparseRows(encoder.encode_queries(pairs.queries), documents)


def queries_by_document(pairs: Pairs) -> Sequence[NDArray[np.int32]]:
    """The labelled queries of each document."""
    labelled = np.flatnonzero(pairs.positives != NO_ROW)
    order = labelled[np.argsort(pairs.positives[labelled], kind="stable")].astype(np.int32)
    bounds = np.searchsorted(pairs.positives[order], np.arange(len(pairs.documents) + 1))
    return [order[a:b] for a, b in pairwise(bounds)]
