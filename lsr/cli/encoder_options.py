"""Options that say which encoder is used, and how."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Idf", "LexicalWeight", "MaxActive", "Precision", "PruneRatio"]

Precision = Annotated[
    str,
    typer.Option(
        help="A learned model's network: fp32 or bf16 in torch, int8 for the graph of a packed "
        "model, or auto for what the machine is built for."
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

LexicalWeight = Annotated[
    float | None,
    typer.Option(
        "--lexical-weight",
        help="A learned model: weight of the score by BM25 that the document's own words add; "
        "what the model says else, 0 for none.",
    ),
]
