"""`lsr export`: write a learned sparse model in the layouts of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lsr.cli.console import print_json, shown_progress
from lsr.cli.encoder_options import MaxActive, PruneRatio, TrustRemoteCode
from lsr.cli.index_options import AsJson
from lsr.datasets.open import open_corpus
from lsr.encoders.learned.model_classes import has_own_code
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.registry import learned_options, open_learned
from lsr.errors import InputError

if TYPE_CHECKING:
    from lsr.encoders.learned.onnx_network import ExportPrecision

__all__ = ["FORMATS", "export_model"]

FORMATS = ("onnx", "onnx-int8", "packed", "sentence-transformers", "opensearch", "anserini")


def export_model(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A folder that a SparseEncoder was saved in, or a hub id."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write.")],
    format_name: Annotated[str, typer.Option("--format", help=f"{', '.join(FORMATS)}.")] = "onnx",
    corpus: Annotated[
        str | None,
        typer.Option(help="For anserini: the documents whose impacts are written."),
    ] = None,
    scale: Annotated[
        float, typer.Option(help="For anserini: weights are multiplied by this and rounded.")
    ] = 100.0,
    max_active: MaxActive = None,
    prune_ratio: PruneRatio = 0.0,
    trust_remote_code: TrustRemoteCode = False,
    as_json: AsJson = False,
) -> None:
    """Export a learned sparse model.

    An export to ONNX encodes documents without torch, and can be used as MODEL; it is kept only
    when its vectors agree with torch's. A packed model has a quarter of the size, and works with
    both. The format anserini is of a collection: impacts in whole numbers.

    Example: lsr export my-model my-model-int8 --format onnx-int8
    """
    if format_name not in FORMATS:
        raise InputError(f"there is no format {format_name!r}; choose {', '.join(FORMATS)}")
    if (corpus is None) == (format_name == "anserini"):
        raise InputError("--corpus goes with --format anserini, which needs it; give both or none")
    if trust_remote_code:
        _check_code(model)
    told: dict[str, object] = {"folder": str(out), "format": format_name, "model": model}
    if format_name.startswith("onnx"):
        from lsr.training.export.onnx import export_sparse_onnx

        precision: ExportPrecision = "int8" if format_name == "onnx-int8" else "fp32"
        done = export_sparse_onnx(model, out, precision, trust_remote_code=trust_remote_code)
        told |= {"size_bytes": done.size_bytes, "worst_cosine": done.worst_cosine}
    elif format_name == "packed":
        from lsr.training.export.packed import export_packed

        done = export_packed(model, out, trust_remote_code=trust_remote_code)
        told |= {"size_bytes": done.size_bytes, "worst_cosine": done.worst_cosine}
    elif corpus is not None:
        from lsr.training.export.anserini import export_anserini

        options = learned_options(
            "auto", max_active, prune_ratio, trust_remote_code=trust_remote_code
        )
        with shown_progress() as progress:
            impacts = export_anserini(
                open_learned(model, options),
                open_corpus(corpus).documents(),
                out,
                scale=scale,
                progress=progress,
            )
        told |= {"n_documents": impacts.n_documents}
    else:
        from lsr.training.export import opensearch

        if format_name == "opensearch":
            opensearch.export_opensearch(model, out, trust_remote_code=trust_remote_code)
        else:
            opensearch.export_sentence_transformers(model, out, trust_remote_code=trust_remote_code)
    if as_json:
        print_json(told)
        return
    cosine = told.get("worst_cosine")
    compared = f", worst cosine to torch {cosine:.6f}" if isinstance(cosine, float) else ""
    typer.echo(f"{out}: {model} for {format_name}{compared}")


def _check_code(model: str) -> None:
    """Raises InputError where a model brings no code along, so that there is none to trust."""
    if not has_own_code(ModelFolder.open(model).modules):
        raise InputError(
            f"{model} brings no code of its own along, so there is none to trust; leave "
            "--trust-remote-code out"
        )
