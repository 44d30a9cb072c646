"""`lsr export-onnx`: write a dense model in ONNX, to serve it without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lsr.cli.console import print_json
from lsr.cli.dense_options import (
    Dimensions,
    DocumentPrompt,
    MaxTokens,
    Pooling,
    QueryPrompt,
    Similarity,
    dense_options,
)
from lsr.cli.encoder_options import TrustRemoteCode
from lsr.cli.index_options import AsJson

__all__ = ["export_onnx"]


def export_onnx(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A sentence-transformers model: a folder or hub id."),
    ],
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="The folder to write; default: the place in the user's cache where MODEL is "
            "looked for by name.",
        ),
    ] = None,
    dense_similarity: Similarity = None,
    dense_pooling: Pooling = None,
    dense_query_prompt: QueryPrompt = None,
    dense_document_prompt: DocumentPrompt = None,
    dense_dimensions: Dimensions = None,
    dense_max_tokens: MaxTokens = None,
    trust_remote_code: TrustRemoteCode = False,
    as_json: AsJson = False,
) -> None:
    """Export a dense model to ONNX, for use without torch and with the same vectors.

    Its prompts, similarity, pooling, dimensions and length are those of the export for good. The
    export is compared with the model in torch, and kept only when the vectors agree.

    Example: lsr export-onnx all-MiniLM-L6-v2
    """
    from lsr.encoders import dense_onnx_export as export
    from lsr.encoders.dense_onnx import cached_export

    asked = dense_options(
        dense_similarity,
        dense_pooling,
        dense_query_prompt,
        dense_document_prompt,
        dense_dimensions,
        dense_max_tokens,
        trust_remote_code=trust_remote_code,
    )
    done = export.export_onnx(model, folder or cached_export(model, asked), asked)
    if as_json:
        print_json(
            {
                "folder": str(done.folder),
                "model": done.identity.name,
                "sha256": done.identity.sha256,
                **done.identity.parameters,
                "size_bytes": done.size_bytes,
                "worst_cosine": done.worst_cosine,
            }
        )
        return
    typer.echo(
        f"{done.folder}: {model} in ONNX, {done.size_bytes / 1e6:.1f} MB, "
        f"worst cosine to torch {done.worst_cosine:.8f}"
    )
