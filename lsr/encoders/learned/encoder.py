"""Learned sparse encoders: any sentence-transformers `SparseEncoder`, as an `Encoder`.

Queries of an inference-free model take a tokenizer and a table, which are kept with the index, so
searching loads no torch. Documents go through the network, in torch or in ONNX Runtime, which is
opened when the first document comes. `open_learned` opens a model, `load_learned` what an index
keeps of one.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.learned.idf import CorpusFrequencies
from lsr.encoders.learned.lexical_terms import (
    LexicalTerms,
    of_whole_texts,
    side_by_side,
    with_own_tokens,
)
from lsr.encoders.learned.model_classes import trust
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.model_source import (
    LazyNetwork,
    LearnedOptions,
    LearnedSource,
    check_one_vocabulary,
)
from lsr.encoders.learned.pruning import ActiveTerms
from lsr.encoders.learned.query_table import vocabulary_list
from lsr.encoders.learned.sides import DocumentSide, NetworkQueries, QuerySide, TableQueries
from lsr.encoders.learned.tokenizer import WordPieces
from lsr.encoders.lexical import WORDS_FOLDER, LexicalEncoder
from lsr.errors import IndexCorruptError, InputError
from lsr.passages.passage import PassagedText
from lsr.passages.passage_rows import at_first_passages
from lsr.sparse import CSR
from lsr.types import EncoderIdentity

__all__ = [
    "AnyLearned",
    "LearnedEncoder",
    "LearnedLexicalEncoder",
    "LearnedOptions",
    "load_learned",
    "open_learned",
]


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

    def encode_passages(self, batches: Iterable[Sequence[PassagedText]]) -> CSR:
        """Vectors of passages; the table counts whole texts. See `PassageEncoder`."""
        parts = [CSR.empty(0, self.n_terms)]
        for batch in batches:
            self.queries.count([text.whole for text in batch])
            parts.append(self._documents.encode([part for text in batch for part in text.passages]))
        return CSR.concatenate(parts)._replace(n_terms=self.n_terms)

    def learn(self, texts: Iterable[str]) -> None:
        """Count the texts for the table, as `encode_corpus` does."""
        self.queries.count(list(texts))

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

    def encode_passages(self, batches: Iterable[Sequence[PassagedText]]) -> CSR:
        """The model's vectors of passages, and the words of whole texts. See `PassageEncoder`.

        Of a split document, a share of its own words counts for the whole text, and what each
        passage holds itself is added to its vector, in the model's tokens.
        """
        counts = array("q")
        parts: list[CSR] = []
        own = (self._table.pieces, self._table.model_weights, self._inner.source.min_idf)

        def encoded() -> Iterator[Sequence[str]]:
            for batch in batches:
                vectors = self._inner.encode_passages([batch])
                parts.append(with_own_tokens(vectors, batch, *own, self._terms.weight))
                counts.extend(len(text.passages) for text in batch)
                yield [text.whole for text in batch]

        words = self._weighed(self._words.encode_corpus(encoded()))
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


AnyLearned = LearnedEncoder | LearnedLexicalEncoder


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


def open_learned(model: str, options: LearnedOptions | None = None) -> AnyLearned:
    """Open a learned sparse model, beside lexical terms where options or the model say so.

    Args:
        model: a folder that a `SparseEncoder` was saved in or `lsr export` wrote, or a hub id.
        options: how it is used.

    Raises:
        InputError: there is no such model, or an option does not fit it.
    """
    options = options or LearnedOptions()
    folder = ModelFolder.open(model)
    asked = folder if options.query_model is None else ModelFolder.open(options.query_model)
    source = LearnedSource.resolved(model, folder, options, asked)
    _settle_trust(source, options)
    pieces = WordPieces(asked.tokenizer_json(), *asked.truncation())
    network, of_queries = _networks(source)
    prompt = asked.prompts.get("query", "")
    queries: QuerySide
    if asked.query is not None:
        weights = asked.query_weights(pieces.vocabulary)
        queries = _table(source, pieces, weights, prompt, CorpusFrequencies.none(len(weights)))
    elif source.idf == "corpus":
        raise InputError(
            f"{options.query_model or model} encodes its queries by a network and has no table of "
            "idf; leave idf at model"
        )
    else:
        queries = NetworkQueries(pieces, of_queries, of_queries.n_terms, prompt=prompt)
    if source.query is not None:
        check_one_vocabulary(source, folder, pieces, network.n_terms, queries.n_terms)
    encoder = LearnedEncoder(source, queries, _documents(source, network, queries.n_terms))
    return encoder if source.lexical_terms is None else LearnedLexicalEncoder(encoder)


def _settle_trust(source: LearnedSource, options: LearnedOptions) -> None:
    """Keep that code is trusted. Raises InputError where there is none to trust."""
    coded = [each for each in (source, source.query) if each is not None and each.has_code]
    if options.trust_remote_code and not coded:
        raise InputError(
            f"{source.place} brings no code of its own along, so there is none to trust; leave "
            "--trust-remote-code out"
        )
    for each in coded:
        trust(each.sha256, Path(each.place))


def _networks(source: LearnedSource) -> tuple[LazyNetwork, LazyNetwork]:
    """Of documents and of queries, which may be one."""
    network = LazyNetwork(source)
    return network, network if source.query is None else LazyNetwork(source.query)


def load_learned(folder: Path) -> AnyLearned:
    """Read what `save` wrote; the model itself is not needed yet.

    Raises:
        IndexCorruptError: a file is missing, or the files do not fit together.
    """
    try:
        state = json.loads((folder / "encoder.json").read_text("utf-8"))
        source = LearnedSource.of(state["source"])
        pieces = WordPieces(
            (folder / "tokenizer.json").read_bytes(), state["max_tokens"], state["truncation_side"]
        )
        n_terms, prompt = int(state["n_terms"]), state["prompt"]
        network, of_queries = _networks(source)
        queries: QuerySide = NetworkQueries(pieces, of_queries, n_terms, prompt=prompt)
        if state["table"]:
            weights, counted = _tables(folder, n_terms, state)
            queries = _table(source, pieces, weights, prompt, counted)
        encoder = LearnedEncoder(source, queries, _documents(source, network, n_terms))
        if source.lexical_terms is None:
            return encoder
        return LearnedLexicalEncoder(encoder, Bm25Encoder.load(folder / WORDS_FOLDER))
    except (OSError, EOFError, ValueError, KeyError, TypeError, InputError) as error:
        raise IndexCorruptError(
            f"{folder}: the learned sparse encoder cannot be read ({error}); build the index again"
        ) from error


def _tables(
    folder: Path, n_terms: int, state: dict[str, Any]
) -> tuple[NDArray[np.float32], CorpusFrequencies]:
    """The model's table and the collection's frequencies. Raises ValueError for other shapes."""
    weights = np.load(folder / "weights.npy", allow_pickle=False)
    df = np.zeros(n_terms, np.int64)
    if state["source"]["idf"] == "corpus":
        df = np.load(folder / "document_frequency.npy", allow_pickle=False)
    if weights.shape != (n_terms,) or df.shape != (n_terms,):
        raise ValueError(f"a table does not have {n_terms:,} terms")
    return weights, CorpusFrequencies(df, int(state["n_documents"]))


def _table(
    source: LearnedSource,
    pieces: WordPieces,
    weights: NDArray[np.float32],
    prompt: str,
    counted: CorpusFrequencies,
) -> TableQueries:
    corpus = counted if source.idf == "corpus" else None
    return TableQueries(pieces, weights, prompt=prompt, min_idf=source.min_idf, corpus=corpus)


def _documents(source: LearnedSource, network: LazyNetwork, n_terms: int) -> DocumentSide:
    kept = ActiveTerms(source.max_active, source.prune_ratio)
    return DocumentSide(network, kept, source.key, n_terms)
