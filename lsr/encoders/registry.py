"""Encoders by name: `bm25`, a learned sparse model, a dense model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lsr.encoders.analysis.detection import AUTO
from lsr.encoders.bm25 import Bm25Encoder, Bm25Options
from lsr.encoders.learned.bundled_models import DEFAULT_MODEL
from lsr.encoders.protocols import DenseEncoder, Encoder
from lsr.errors import InputError
from lsr.options import chosen

if TYPE_CHECKING:
    from lsr.encoders.dense_recipe import DenseOptions
    from lsr.encoders.learned.encoder import AnyLearned, LearnedOptions

__all__ = [
    "BM25",
    "as_dense",
    "coded_models",
    "learned_options",
    "load_encoder",
    "open_dense",
    "open_learned",
    "open_sparse",
]

BM25 = "bm25"


def open_sparse(
    name: str | None,
    *,
    k1: float | None = None,
    b: float | None = None,
    language: str | None = None,
    options: LearnedOptions | None = None,
) -> Encoder:
    """BM25, or the learned sparse model of that name.

    Args:
        name: None for the default model, or, where an option of BM25 is given, for BM25.
        language: of BM25's words, or of the lexical terms beside a learned model.

    Raises:
        InputError: there is no such model, options of one kind are given with the other, or the
            language is to be found in documents, as `lsr.encoders.language` does.
    """
    if language == AUTO:
        raise InputError(
            f"the language {AUTO} is that of the documents, and there are none to read yet; name it"
        )
    given = _bm25_options(k1, b, language)
    has_options = options is not None and options != type(options)()
    if name is None:
        name = BM25 if given and not has_options else DEFAULT_MODEL
    if name != BM25:
        if given.pop("language", None) is not None:
            options = replace(options or learned_options(), language=language)
        if given:
            raise InputError(
                f"--{next(iter(given))} is of BM25, and {name} is a learned model; leave it out, "
                "or name --sparse bm25"
            )
        return open_learned(name, options)
    if has_options:
        raise InputError(
            "bm25 takes no --precision, --max-active, --prune-ratio, --idf, --lexical-weight, "
            "--sparse-query or --trust-remote-code; name a learned model with --sparse, or leave "
            "them out"
        )
    return Bm25Encoder(**given)


def _bm25_options(k1: float | None, b: float | None, language: str | None) -> Bm25Options:
    given: Bm25Options = {}
    if k1 is not None:
        given["k1"] = k1
    if b is not None:
        given["b"] = b
    if language is not None:
        given["language"] = language
    return given


def load_encoder(
    name: str, *, query_model: str | None = None, trust_remote_code: bool = False
) -> Encoder:
    """A sparse encoder by name: `bm25`, a model that comes with this package, a folder or hub id.

    Args:
        query_model: a second model, for queries, with the same vocabulary.
        trust_remote_code: run the code that the model brings along.

    Raises:
        InputError: there is no such model, the two have different vocabularies, or the model
            brings code along and is not trusted, or brings none and is.

    Example:
        >>> import lsr
        >>> lsr.load_encoder("doc-mini").encode_queries(["rotate a key"]).n_rows
        1
    """
    if query_model is None and not trust_remote_code:
        return open_sparse(name)
    options = learned_options(query_model=query_model, trust_remote_code=trust_remote_code)
    return open_sparse(name, options=options)


def open_learned(name: str, options: LearnedOptions | None = None) -> AnyLearned:
    """The learned sparse model of that name. Raises InputError when there is none."""
    from lsr.encoders.learned import encoder

    return encoder.open_learned(name, options)


def learned_options(
    precision: str = "auto",
    max_active: int | None = None,
    prune_ratio: float = 0.0,
    idf: str | None = None,
    lexical_weight: float | None = None,
    query_model: str | None = None,
    trust_remote_code: bool = False,
) -> LearnedOptions:
    """Options as they were typed. Raises InputError for what is out of range."""
    from lsr.encoders.learned.lexical_terms import LexicalTerms
    from lsr.encoders.learned.model_source import PRECISIONS, LearnedOptions
    from lsr.encoders.learned.pruning import ActiveTerms
    from lsr.encoders.learned.recommended import IDF_SOURCES

    ActiveTerms(max_active, prune_ratio)
    if lexical_weight is not None:
        LexicalTerms(lexical_weight)
    return LearnedOptions(
        chosen(precision, PRECISIONS, "precision"),
        max_active,
        prune_ratio,
        None if idf is None else chosen(idf, IDF_SOURCES, "idf of"),
        lexical_weight,
        query_model,
        trust_remote_code,
    )


def open_dense(name: str, options: DenseOptions | None = None) -> DenseEncoder | None:
    """The dense model of that name, or in that export's folder; None for "none".

    Raises:
        InputError: there is no such model, it cannot be as asked, or options are given without one.
    """
    if name == "none":
        if options is not None and options.given():
            raise InputError(
                f"{', '.join(options.given())} of a dense model without one; name it, or leave "
                "that out"
            )
        return None
    from lsr.encoders.dense import open_dense_encoder

    return open_dense_encoder(name, options=options)


def coded_models(names: Sequence[str]) -> frozenset[str]:
    """The models, of those that a command names beside `--trust-remote-code`, that it is for.

    Args:
        names: of learned and dense models; `BM25` and "none" bring nothing.

    Raises:
        InputError: none brings code of its own along.
    """
    from lsr.encoders.model_code import brings_code

    coded = frozenset(filter(brings_code, names))
    if not coded:
        told = [name for name in names if name != "none"]
        raise InputError(
            f"no model that is named ({', '.join(told)}) brings code of its own along, so there is "
            "none to trust; leave --trust-remote-code out, or check the names"
        )
    return coded


def as_dense(
    dense: str | DenseEncoder | None, options: DenseOptions | None = None
) -> DenseEncoder | None:
    """A dense model as callers give it: a name, an encoder, or None.

    Raises:
        InputError: as `open_dense`; or options are given with an encoder, which has its own.
    """
    if dense is None or isinstance(dense, str):
        return open_dense(dense or "none", options)
    if options is not None and options.given():
        raise InputError(
            f"{', '.join(options.given())} cannot be chosen of a dense encoder that is open; give "
            "the model's name, or leave that out"
        )
    return dense
