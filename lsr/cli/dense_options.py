"""Options of dense models, shared by commands."""

from __future__ import annotations

from typing import Annotated

import typer

from lsr.encoders.dense_recipe import POOLINGS, SIMILARITIES, DenseOptions
from lsr.errors import InputError
from lsr.options import chosen

__all__ = [
    "Dimensions",
    "DocumentPrompt",
    "MaxTokens",
    "Pooling",
    "QueryPrompt",
    "Similarity",
    "dense_options",
]

Similarity = Annotated[
    str | None,
    typer.Option(
        "--dense-similarity",
        help="Dense model: cosine, or dot, which keeps the length of vectors; default: as the "
        "model says.",
    ),
]
Pooling = Annotated[
    str | None,
    typer.Option(
        "--dense-pooling",
        help=f"Dense model without modules.json: {', '.join(POOLINGS)}; default: mean.",
        show_default=False,
    ),
]
QueryPrompt = Annotated[
    str | None,
    typer.Option(
        "--dense-query-prompt",
        help="Dense model: put before every query; default: as the model says.",
    ),
]
DocumentPrompt = Annotated[
    str | None,
    typer.Option(
        "--dense-document-prompt",
        help="Dense model: put before every document; default: as the model says.",
    ),
]
Dimensions = Annotated[
    int | None,
    typer.Option(
        "--dense-dimensions",
        metavar="N",
        help="Dense model: keep the first N components of a vector; default: as the model says.",
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        "--dense-max-tokens",
        metavar="N",
        help="Dense model: where texts are cut; default: as the model says.",
    ),
]


def dense_options(
    similarity: str | None,
    pooling: str | None,
    query_prompt: str | None,
    document_prompt: str | None,
    dimensions: int | None,
    max_tokens: int | None,
    *,
    trust_remote_code: bool = False,
) -> DenseOptions:
    """Options as they were typed. Raises InputError for what there is not, or is out of range."""
    for name, value in (("dimensions", dimensions), ("max-tokens", max_tokens)):
        if value is not None and value < 1:
            raise InputError(f"--dense-{name} is {value}; give a whole number from 1 on")
    return DenseOptions(
        similarity=None if similarity is None else chosen(similarity, SIMILARITIES, "similarity"),
        pooling=None if pooling is None else chosen(pooling, POOLINGS, "pooling"),
        query_prompt=query_prompt,
        document_prompt=document_prompt,
        dimensions=dimensions,
        max_tokens=max_tokens,
        trust_remote_code=trust_remote_code,
    )
