"""Learned sparse encoders: any sentence-transformers `SparseEncoder`, as an `Encoder`.

Queries of an inference-free model take a tokenizer and a table, which are kept with the index, so
searching loads no torch. Documents go through the network, in torch or in ONNX Runtime, which is
opened when the first document comes. `open_learned` opens a model, `load_learned` what an index
keeps of one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.bm25 import Bm25Encoder
from lsr.encoders.corpus.idf import CorpusFrequencies
from lsr.encoders.learned.learned_encoder import LearnedEncoder, LearnedLexicalEncoder
from lsr.encoders.learned.model_classes import trust
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.model_source import (
    LazyNetwork,
    LearnedOptions,
    LearnedSource,
    check_one_vocabulary,
)
from lsr.encoders.learned.pruning import ActiveTerms
from lsr.encoders.learned.sides import DocumentSide, NetworkQueries, QuerySide, TableQueries
from lsr.encoders.learned.tokenizer import WordPieces
from lsr.encoders.lexical import WORDS_FOLDER
from lsr.errors import IndexCorruptError, InputError

__all__ = [
    "AnyLearned",
    "LearnedEncoder",
    "LearnedLexicalEncoder",
    "LearnedOptions",
    "load_learned",
    "open_learned",
]


AnyLearned = LearnedEncoder | LearnedLexicalEncoder


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
        source = LearnedSource.of(state["source"]).or_beside(folder.parent.resolve())
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
