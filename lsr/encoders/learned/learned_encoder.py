"""`LearnedEncoder` and, with lexical terms beside it, `LearnedLexicalEncoder`.

Both are made of ready parts; `lsr.encoders.learned.encoder` opens and loads them.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.corpus.statistics import Statistics, merged
from lsr.encoders.learned.lexical_terms import (
    LexicalTerms,
    of_whole_texts,
    side_by_side,
    with_own_tokens,
)
from lsr.encoders.learned.model_source import LearnedSource
from lsr.encoders.learned.query_table import vocabulary_list
from lsr.encoders.learned.sides import DocumentSide, QuerySide, TableQueries
from lsr.encoders.lexical import LexicalEncoder
from lsr.errors import InputError
from lsr.passages.passage import PassagedText
from lsr.passages.passage_rows import at_first_passages
from lsr.sparse import CSR
from lsr.types import EncoderIdentity

__all__ = ["LearnedEncoder", "LearnedLexicalEncoder"]


class LearnedEncoder:
    """A learned sparse model: a side for queries and one for documents, over one vocabulary.

    Args:
        source: the model, and how it is used.
        queries: by a table, or by the network.
        documents: by the network.
    """

    def __init__(self, source: LearnedSource, queries: QuerySide, documents: DocumentSide) -> None:
        self.source = source
        self.queries = queries
        self._documents = documents
        self._tokens = vocabulary_list(queries.pieces.vocabulary, queries.n_terms)
        self._numbers = {token: term for term, token in enumerate(self._tokens)}

    @property
    def identity(self) -> EncoderIdentity:
        return _identity(self)

    @property
    def n_terms(self) -> int:
        return self.queries.n_terms

    @property
    def vocabulary(self) -> list[str]:
        """The token of each term."""
        return list(self._tokens)

    @property
    def query_weights(self) -> NDArray[np.float32] | None:
        """The weight of each term in queries, float32, shape (n_terms,); None without a table."""
        return self.queries.weights

    def term(self, term: int) -> str:
        """The token of a term."""
        return self._tokens[term]

    def encode_corpus(self, batches: Iterable[Sequence[str]]) -> CSR:
        """Vectors of the texts, which are counted for the table, which weighs queries alone."""
        parts: list[CSR] = []
        for batch in batches:
            self.queries.count(batch)
            parts.append(self._documents.encode(batch))
        return CSR.concatenate(parts)._replace(n_terms=self.n_terms)

    @property
    def whole_from(self) -> int:
        """No terms are of the whole text."""
        return self.n_terms

    @property
    def tokenizer_json(self) -> bytes:
        """As tokenizer.json holds it."""
        return self.queries.pieces.tokenizer_json

    def encode_passages(
        self, batches: Iterable[Sequence[PassagedText]], *, learn: bool = True
    ) -> CSR:
        """Vectors of passages; the table counts whole texts. See `PassageEncoder`."""
        parts = [CSR.empty(0, self.n_terms)]
        for batch in batches:
            if learn:
                self.queries.count([text.whole for text in batch])
            parts.append(self._documents.encode([part for text in batch for part in text.passages]))
        return CSR.concatenate(parts)._replace(n_terms=self.n_terms)

    def learn(self, texts: Iterable[str]) -> None:
        """Count the texts for the table, as `encode_corpus` does."""
        self.queries.count(list(texts))

    def count(self, batches: Iterable[Sequence[str]]) -> Statistics:
        """See `CountingEncoder`."""
        alone, n_documents = self.learned_from(()), 0
        counter = alone.identity.sha256
        for batch in batches:
            alone.learn(batch)
            n_documents += len(batch)
        return Statistics(counter, n_documents, tokens=alone.counted_tokens)

    @property
    def counted_tokens(self) -> NDArray[np.int64]:
        """In how many documents each token occurs, as `Statistics` has it."""
        counted = self.queries.frequencies
        return counted.df[: len(counted.df) * bool(counted.n_documents)]

    def learned_from(self, parts: Sequence[Statistics]) -> LearnedEncoder:
        """See `CountingEncoder`."""
        none = self.queries.with_frequencies(np.zeros(0, np.int64), 0)
        encoder = LearnedEncoder(self.source, none, self._documents)
        return encoder.with_counts(merged(encoder.identity.sha256, parts)) if parts else encoder

    def with_counts(self, counted: Statistics) -> LearnedEncoder:
        """The same by the tokens that another corpus has; who counted them is not looked at."""
        queries = self.queries.with_frequencies(counted.tokens, counted.n_documents)
        return LearnedEncoder(self.source, queries, self._documents)

    def encode_documents(self, texts: Sequence[str]) -> CSR:
        """Vectors of documents, one row per text; a blank text is an empty row.

        Raises:
            InputError: the model is gone, or is another one now.
            ModelError: it gave numbers that are not finite.
        """
        return self._documents.encode(texts)

    def encode_queries(self, texts: Sequence[str]) -> CSR:
        """Vectors of queries; by the table where there is one."""
        return self.queries.encode(texts)

    def find_terms(self, texts: Sequence[str]) -> list[int | None]:
        """The terms of these tokens, or None where there is none."""
        return [self._numbers.get(text) for text in texts]

    def surface_terms(self, text: str) -> NDArray[np.int32] | None:
        """The tokens of the text, where a network makes the query; None where the table does."""
        return self.queries.surface_terms(text)

    def keep_in(self, folder: Path) -> AbstractContextManager[None]:
        """See `ResumableEncoder`."""
        return self._documents.keep_in(folder)

    def save(self, folder: Path) -> None:
        """Write what queries need, and what the model is, so that documents can be added later.

        `encoder.json`, `tokenizer.json`; with a table also `weights.npy` (the model's) and, with
        the idf of the corpus, `document_frequency.npy`.
        """
        queries, pieces = self.queries, self.queries.pieces
        state = {
            "kind": "learned",
            "source": asdict(self.source),
            "n_terms": queries.n_terms,
            "n_documents": queries.frequencies.n_documents,
            "max_tokens": pieces.max_tokens,
            "truncation_side": pieces.truncation_side,
            "prompt": queries.prompt,
            "table": isinstance(queries, TableQueries),
        }
        (folder / "encoder.json").write_text(json.dumps(state, indent=2) + "\n", "utf-8")
        (folder / "tokenizer.json").write_bytes(pieces.tokenizer_json)
        queries.save(folder)


class LearnedLexicalEncoder(LexicalEncoder[LearnedEncoder]):
    """A learned model beside the lexical terms of its source, known and kept as one model.

    Args:
        inner: a model whose queries are encoded by a table, and whose source has lexical terms.
        words: BM25 with the statistics of a collection; default: a new one.

    Raises:
        InputError: its queries are encoded by a network.
    """

    def __init__(self, inner: LearnedEncoder, words: Bm25Encoder | None = None) -> None:
        if not isinstance(inner.queries, TableQueries):
            place = (inner.source.query or inner.source).place
            raise InputError(
                f"{place} encodes its queries by a network, whose scores are of another scale than "
                "own terms'; leave their weight at 0"
            )
        super().__init__(inner, inner.source.lexical_terms or LexicalTerms(), words)
        self._table = inner.queries

    @property
    def identity(self) -> EncoderIdentity:
        return _identity(self._inner, self._words)

    @property
    def vocabulary(self) -> list[str]:
        """The token of each of the model's terms, which lexical terms follow."""
        return self._inner.vocabulary

    @property
    def query_weights(self) -> NDArray[np.float32]:
        """The weight of each of the model's terms in queries, float32."""
        return self._table.weights

    @property
    def whole_from(self) -> int:
        """Lexical terms are of the whole text."""
        return self._inner.n_terms

    @property
    def tokenizer_json(self) -> bytes:
        """As tokenizer.json holds it."""
        return self._inner.tokenizer_json

    def count(self, batches: Iterable[Sequence[str]]) -> Statistics:
        """See `CountingEncoder`."""
        alone = self.learned_from(())
        counter = alone.identity.sha256
        for batch in batches:
            alone.learn(batch)
        return replace(alone._words.statistics, counter=counter, tokens=alone._inner.counted_tokens)

    def learned_from(self, parts: Sequence[Statistics]) -> LearnedLexicalEncoder:
        """See `CountingEncoder`."""
        words, inner = self._words.fresh(), self._inner.learned_from(())
        encoder = LearnedLexicalEncoder(inner, words)
        if not parts:
            return encoder
        whole = merged(encoder.identity.sha256, parts)
        own = replace(whole, counter=words.identity.sha256, tokens=whole.tokens[:0])
        return LearnedLexicalEncoder(inner.with_counts(whole), words.learned_from([own]))

    def encode_passages(
        self, batches: Iterable[Sequence[PassagedText]], *, learn: bool = True
    ) -> CSR:
        """The model's vectors of passages, and the words of whole texts. See `PassageEncoder`.

        Of a split document, a share of its own words counts for the whole text, and what each
        passage holds itself is added to its vector, in the model's tokens.
        """
        counts = array("q")
        parts: list[CSR] = []
        own = (self._table.pieces, self._table.model_weights, self._inner.source.min_idf)

        def encoded() -> Iterator[Sequence[str]]:
            for batch in batches:
                vectors = self._inner.encode_passages([batch], learn=learn)
                parts.append(with_own_tokens(vectors, batch, *own, self._terms.weight))
                counts.extend(len(text.passages) for text in batch)
                yield [text.whole for text in batch]

        if learn:
            words = self._words.encode_corpus(encoded())
        else:
            words = CSR.concatenate([self._words.encode_documents(texts) for texts in encoded()])
        words = self._weighed(words._replace(n_terms=self._words.n_terms))
        inner = CSR.concatenate(parts)._replace(n_terms=self._inner.n_terms)
        return side_by_side(inner, at_first_passages(of_whole_texts(words, counts), counts))

    def encode_queries(self, texts: Sequence[str]) -> CSR:
        """Vectors of queries, one row per text; a word counts as often as it occurs."""
        if len(texts) != 1:
            return super().encode_queries(texts)
        first = self._table.n_terms
        weights = self._table.weights_of(texts[0])
        counts = self._words.counts_of(texts[0])
        weights |= {first + term: float(count) for term, count in counts.items()}
        return CSR.one_row(weights, first + self._words.n_terms)


def _identity(encoder: LearnedEncoder, words: Bm25Encoder | None = None) -> EncoderIdentity:
    """Identity of a model as version 0.1 wrote it, with lexical terms beside it or without."""
    source, counted = encoder.source, encoder.queries.frequencies
    digest = hashlib.sha256(json.dumps(source.to_dict()).encode())
    digest.update(f"{counted.n_documents}".encode())
    digest.update(counted.df.tobytes())
    if words is not None:
        digest.update(words.identity.sha256.encode())
    has_table = encoder.query_weights is not None
    parameters: dict[str, str | int | float | bool] = {
        "n_terms": encoder.n_terms + (0 if words is None else words.n_terms),
        "precision": source.precision,
        "idf": source.idf if has_table else "none: queries by network",
    }
    if source.max_active is not None:
        parameters["max_active"] = source.max_active
    if source.prune_ratio:
        parameters["prune_ratio"] = source.prune_ratio
    if source.min_idf:
        parameters["min_idf"] = source.min_idf
    if source.query is not None:
        parameters["query_model"] = source.query.name
    if source.lexical_terms is not None:
        parameters["lexical_weight"] = source.lexical_terms.weight
        if source.lexical_terms.language != "english":
            parameters["language"] = source.lexical_terms.language
    return EncoderIdentity("learned", source.name, digest.hexdigest(), parameters)
