"""Options of encoders, shared by commands."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "Idf",
    "LexicalWeight",
    "MaxActive",
    "Precision",
    "PruneRatio",
    "SparseQuery",
    "TrustRemoteCode",
]

Precision = Annotated[
    str,
    typer.Option(
        help="Learned model: precision of its neural network: fp32 or bf16 in torch, int8 for the "
        "ONNX graph of a packed model, or auto: bf16 where the machine computes in it, otherwise "
        "int8 where the model has it, otherwise fp32."
    ),
]
MaxActive = Annotated[
    int | None,
    typer.Option(
        min=1, help="Learned model: terms kept of a document; default: as the model says."
    ),
]
PruneRatio = Annotated[
    float,
    typer.Option(
        help="Learned model: terms up to this share of a document's heaviest term are dropped."
    ),
]
Idf = Annotated[
    str | None,
    typer.Option(
        help="Learned model: query weights: model for the model's own, corpus for those of "
        "SOURCE, mixed with the model's while SOURCE is small; default: as the model says."
    ),
]

LexicalWeight = Annotated[
    float | None,
    typer.Option(
        "--lexical-weight",
        help="Learned model: weight of the BM25 score of the document's own words; 0 for none; "
        "default: as the model says.",
    ),
]
SparseQuery = Annotated[
    str | None,
    typer.Option(
        "--sparse-query",
        metavar="MODEL",
        help="Learned model: another model for queries, of the same vocabulary; default: that of "
        "--sparse.",
    ),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Learned or dense model: run the Python code that it brings along; read it first.",
    ),
]
