"""The export of a dense model to ONNX: written beside its place, compared with torch, published."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.dense import SentenceTransformerEncoder
from lsr.encoders.dense_onnx import (
    DESCRIPTION_FILE,
    MODEL_FILE,
    OUTPUT,
    TOKENIZER_FILE,
    OnnxDescription,
    OnnxEncoder,
)
from lsr.encoders.dense_onnx_graph import (
    EXAMPLE_TEXTS,
    inexpressible,
    text_vectors,
    write_graph,
    write_tokenizer,
)
from lsr.encoders.dense_recipe import DenseOptions
from lsr.encoders.protocols import DenseEncoder
from lsr.errors import DataError, InputError, StorageError, UnavailableError
from lsr.files import sha256_of, sync_tree
from lsr.types import EncoderIdentity

__all__ = ["LARGEST_NORM_ERROR", "LEAST_COSINE", "OnnxExport", "export_onnx"]

LEAST_COSINE = 0.9999
"""An export whose vectors differ more than this from torch's is not published."""

LARGEST_NORM_ERROR = 1e-4
"""The same for the length of a vector, as a share of it."""

OPSET = 23
"""The first where attention is one operator, which is a fifth faster."""

OLDER_OPSET = 20
"""For models that do not work with that (onnxruntime 1.31 refuses its rotary embeddings)."""

_WEIGHTS_FILE = f"{MODEL_FILE}.data"
_FILES = {DESCRIPTION_FILE, MODEL_FILE, TOKENIZER_FILE, _WEIGHTS_FILE}
_SAMPLES = (
    "How do I rotate an access key?",
    "x",
    "NASA LAUNCHED TWO PROBES IN 1977; BOTH STILL REPORT.",
    "Ein Fräulein sah Zoë: «naïve» façades, 東京の天気, привет, 🦆!",
    "  code_like.identifiers(and, brackets) -> None\n\n\tand white space  ",
    "A grey heron waits in shallow water for fish. " * 90,
)


@dataclass(frozen=True)
class OnnxExport:
    """A finished export: where it is, of what, bytes of all files, least cosine to torch."""

    folder: Path
    identity: EncoderIdentity
    size_bytes: int
    worst_cosine: float


def export_onnx(model: str, folder: Path, options: DenseOptions | None = None) -> OnnxExport:
    """Export a sentence-transformers model; its vectors are compared with torch's.

    The folder appears with one rename when all is well, and takes the place of an export that was
    there; until then nothing changes, and after an error no file is left behind.

    Args:
        model: as for `SentenceTransformerEncoder`.
        folder: where the export shall be; its parents are made.
        options: of the model, which the export has for good; default: as its folder says.

    Raises:
        InputError: the folder holds something else; there is no such model, or it cannot be
            expressed in ONNX with the same vectors.
        StorageError: the folder cannot be written.
        UnavailableError: a package that exporting needs is not installed.
    """
    for package in ("sentence_transformers", "onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise UnavailableError(
                f"exporting a model needs {package}, which is not installed; "
                "run: pip install 'lsr-search[export]'"
            )
    target = folder.resolve()
    staging = target.with_name(f".{target.name[:64]}.exporting-{os.getpid()}")
    try:
        _check_replaceable(target)
        encoder = SentenceTransformerEncoder(model, options)
        _check_expressible(encoder)
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            worst = _fill(staging, encoder)
            size = sum(path.stat().st_size for path in staging.iterdir())
            _publish(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written ({error.strerror or error}); nothing was changed; free "
            "some space or choose another place"
        ) from error
    return OnnxExport(folder, encoder.identity, size, worst)


def _check_replaceable(target: Path) -> None:
    if not target.exists():
        return
    names = {path.name for path in target.iterdir()} if target.is_dir() else {target.name}
    if names and (DESCRIPTION_FILE not in names or names - _FILES):
        raise InputError(
            f"{target} is not an export of lsr, or not only that (there is "
            f"{min(names - _FILES or names)}), so it is not replaced; name another folder"
        )


def _check_expressible(encoder: SentenceTransformerEncoder) -> None:
    prompts = encoder.recipe.query_prompt, encoder.recipe.document_prompt
    if any(prompts) and any(
        getattr(each, "include_prompt", True) is False for each in encoder.model
    ):
        raise inexpressible(encoder.name, "it pools without the prompt's tokens")


def _fill(staging: Path, encoder: SentenceTransformerEncoder) -> float:
    """Write all files of the export, and compare its vectors. Returns the least cosine."""
    expected = _sample_vectors(encoder)
    encoder.model.float().cpu().eval()
    write_tokenizer(staging / TOKENIZER_FILE, encoder.model, encoder.name)
    try:
        return _fill_graph(staging, encoder, expected, OPSET)
    except InputError:
        return _fill_graph(staging, encoder, expected, OLDER_OPSET)


def _fill_graph(
    staging: Path, encoder: SentenceTransformerEncoder, expected: NDArray[np.float32], opset: int
) -> float:
    features = encoder.model.preprocess(EXAMPLE_TEXTS)
    module = text_vectors(encoder.model, unit=encoder.recipe.similarity == "cosine")
    graph = staging / MODEL_FILE
    inputs = write_graph(graph, module, features, OUTPUT, encoder.name, opset)
    described = {path for path in staging.iterdir() if path.name != DESCRIPTION_FILE}
    OnnxDescription(
        model=encoder.name,
        sha256=encoder.identity.sha256,
        recipe=encoder.recipe,
        inputs=inputs,
        files={path.name: sha256_of(path) for path in sorted(described)},
    ).write(staging)
    return _least_cosine(staging, encoder.name, expected)


def _sample_vectors(encoder: DenseEncoder) -> NDArray[np.float32]:
    """Vectors of `_SAMPLES` as documents, then as queries."""
    return np.concatenate([encoder.encode_documents(_SAMPLES), encoder.encode_queries(_SAMPLES)])


def _least_cosine(staging: Path, name: str, expected: NDArray[np.float32]) -> float:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    try:
        onnx = OnnxEncoder(staging)
        found = _sample_vectors(onnx)
    except (DataError, state.Fail, state.InvalidArgument, state.RuntimeException) as error:
        raise inexpressible(name, "onnxruntime refuses the graph") from error
    cosines = np.einsum("ij,ij->i", expected, found, dtype=np.float64)
    lengths = np.linalg.norm(expected, axis=1), np.linalg.norm(found, axis=1)
    cosines /= lengths[0] * lengths[1]
    worst = min(float(cosines.min()), 1.0)
    if not worst >= LEAST_COSINE:
        reason = f"cosine {worst:.6f} to torch, and at least {LEAST_COSINE} is needed"
        raise inexpressible(name, reason)
    if not np.allclose(lengths[1], lengths[0], rtol=LARGEST_NORM_ERROR, atol=0):
        raise inexpressible(name, "its vectors have another length than in torch")
    return worst


def _publish(staging: Path, target: Path) -> None:
    replaced = staging.with_name(f"{staging.name}-replaced")
    shutil.rmtree(replaced, ignore_errors=True)
    sync_tree(staging)
    try:
        if target.exists():
            target.rename(replaced)
        staging.rename(target)
    except BaseException:
        if replaced.exists() and not target.exists():
            replaced.rename(target)
        raise
    shutil.rmtree(replaced, ignore_errors=True)
