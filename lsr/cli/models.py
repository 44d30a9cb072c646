"""Encoders by the names that the command line knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lsr.bm25 import Bm25Encoder
from lsr.encoder import Encoder, VectorEncoder
from lsr.errors import InputError

if TYPE_CHECKING:
    from lsr.learned import LearnedEncoder, LearnedOptions

__all__ = [
    "Idf",
    "MaxActive",
    "OwnWeight",
    "Precision",
    "PruneRatio",
    "learned_options",
    "open_dense",
    "open_learned",
    "open_sparse",
]

BM25 = "bm25"

Precision = Annotated[
    str,
    typer.Option(
        help="A learned model's network: fp32, bf16, or auto for what the machine is built for; "
        "int8 for an export of it (lsr export --format onnx-int8)."
    ),
]
MaxActive = Annotated[
    int | None,
    typer.Option(
        min=1, help="A learned model: terms kept of a document; what the model says else."
    ),
]
PruneRatio = Annotated[
    float,
    typer.Option(
        help="A learned model: terms up to this share of a document's heaviest are dropped."
    ),
]
Idf = Annotated[
    str | None,
    typer.Option(
        help="A learned model's query weights: model for its own, corpus for those of SOURCE "
        "drawn towards its own; what the model says else."
    ),
]

OwnWeight = Annotated[
    float | None,
    typer.Option(
        "--own-terms",
        help="A learned model: weight of the score by BM25 that the document's own words add; "
        "what the model says else, 0 for none.",
    ),
]


def open_sparse(
    name: str,
    *,
    k1: float = 0.9,
    b: float = 0.4,
    language: str = "english",
    options: LearnedOptions | None = None,
) -> Encoder:
    """BM25, or the learned sparse model of that name.

    Raises:
        InputError: there is no such model, or options of a learned model are given with BM25.
    """
    if name != BM25:
        return open_learned(name, options)
    if options is not None and options != type(options)():
        raise InputError(
            "bm25 takes no --precision, --max-active, --prune-ratio, --idf or --own-terms; name a "
            "learned model with --sparse, or leave them out"
        )
    return Bm25Encoder(k1=k1, b=b, language=language)


def open_learned(name: str, options: LearnedOptions | None = None) -> LearnedEncoder:
    """The learned sparse model of that name. Raises InputError when there is none."""
    from lsr.learned import LearnedEncoder

    return LearnedEncoder(name, options)


def learned_options(
    precision: str = "auto",
    max_active: int | None = None,
    prune_ratio: float = 0.0,
    idf: str | None = None,
    own_weight: float | None = None,
) -> LearnedOptions:
    """Options as they were typed. Raises InputError for what is out of range."""
    from lsr.activeterms import ActiveTerms
    from lsr.learned import LearnedOptions
    from lsr.ownterms import OwnTerms

    ActiveTerms(max_active, prune_ratio)
    if own_weight is not None:
        OwnTerms(own_weight)
    # int8 is of an export, which is checked where the model is opened
    return LearnedOptions(precision, max_active, prune_ratio, idf, own_weight)  # type: ignore[arg-type]


def open_dense(name: str) -> VectorEncoder | None:
    """The dense model of that name, or in that export's folder; None for "none"."""
    if name == "none":
        return None
    from lsr.dense import open_dense_encoder

    return open_dense_encoder(name)
