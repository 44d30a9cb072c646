"""A learned sparse model as an ONNX graph, in float32 or eight bits, and what its queries need.

Written beside its place, compared with torch, then published by one rename;
`lsr.encoders.learned.onnx_network` reads the result.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import InputModule, Router
from sentence_transformers.sparse_encoder.modules import SpladePooling
from torch import Tensor, nn

from lsr.datasets.docstrings import docstring_documents
from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.dense_onnx import TOKEN_COLUMNS
from lsr.encoders.dense_onnx_graph import EXAMPLE_TEXTS, inexpressible, write_graph, write_tokenizer
from lsr.encoders.learned.model_folder import EXPORT_FILE, TABLE_FILE, ModelFolder
from lsr.encoders.learned.onnx_network import (
    GRAPH_FILE,
    TERM_WEIGHTS,
    TOKENIZER_FILE,
    ExportPrecision,
    OnnxNetwork,
    SparseExportDescription,
)
from lsr.encoders.learned.recommended import DEFAULTS_FILE, OLD_DEFAULTS_FILE
from lsr.encoders.learned.tokenizer import WordPieces
from lsr.encoders.learned.torch_network import TorchNetwork
from lsr.errors import InputError, UnavailableError
from lsr.files import sha256_of
from lsr.sparse import CSR
from lsr.training.export.folder import publishing
from lsr.training.export.quantization import balanced, quantise_graph

__all__ = ["LEAST_COSINE", "SAMPLES", "SparseOnnxExport", "export_sparse_onnx", "worst_cosine"]

LEAST_COSINE = {"fp32": 0.9999, "int8": 0.99}
"""An export whose vectors differ more than this from torch's is not published."""

OPSETS = (23, 20)
"""The first where attention is one operator; the other for models that do not work with it."""

MEASURED_TEXTS = 48
"""Texts that channels are measured on before they are put into eight bits."""

SAMPLES = (
    "How do I rotate an access key?",
    "NASA LAUNCHED TWO PROBES IN 1977; BOTH STILL REPORT.",
    "Ein Fräulein sah Zoë: «naïve» façades, 東京の天気, привет, 🦆!",
    "A grey heron waits in shallow water for fish. " * 90,
)


@dataclass(frozen=True)
class SparseOnnxExport:
    """A finished export: where it is, bytes of all files, least cosine to torch's vectors."""

    folder: Path
    size_bytes: int
    worst_cosine: float


def export_sparse_onnx(
    model: str,
    folder: Path,
    precision: ExportPrecision = "fp32",
    *,
    trust_remote_code: bool = False,
) -> SparseOnnxExport:
    """Export a model; its vectors are compared with torch's.

    Args:
        model: as for `lsr.encoders.learned.encoder.open_learned`.
        folder: where the export shall be; replaced when it is one already.
        precision: "int8" quantises matrix products (`lsr.training.export.quantization`).
        trust_remote_code: run the code that the model brings along.

    Raises:
        InputError: the folder holds something else; there is no such model, or it cannot be
            expressed in ONNX with the same vectors.
        StorageError: the folder cannot be written.
        UnavailableError: a package that exporting needs is not installed.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise UnavailableError(
                f"exporting a model needs {package}, which is not installed; "
                "run: pip install 'lsr-search[export]'"
            )
    source = ModelFolder.open(model)
    documents = TorchNetwork(source, "fp32", trust_remote_code=trust_remote_code)
    expected = documents.encode(SAMPLES, "document")
    with publishing(folder) as staging:
        worst = _fill(staging, model, source, documents.encoder, precision, expected)
        size = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
    return SparseOnnxExport(folder, size, worst)


def _fill(
    staging: Path,
    name: str,
    source: ModelFolder,
    model: SparseEncoder,
    precision: ExportPrecision,
    expected: CSR,
) -> float:
    _write_query(staging, source)
    model.cpu().float()
    reader, modules = _document_modules(model)
    write_tokenizer(staging / TOKENIZER_FILE, reader, name)
    for opset in OPSETS:
        try:
            with _prepared(reader, precision):
                inputs = _write_graph(staging / GRAPH_FILE, name, reader, modules, opset)
            if precision == "int8":
                quantise_graph(staging / GRAPH_FILE)
            sides = {"query": ("query",), "document": ("document", "passage", "corpus")}
            prompts = {
                side: next((source.prompts[key] for key in keys if key in source.prompts), "")
                for side, keys in sides.items()
            }
            files = [path for path in sorted(staging.rglob("*")) if path.is_file()]
            SparseExportDescription(
                model=name,
                precision=precision,
                n_terms=expected.n_terms,
                inputs=inputs,
                prompts=prompts,
                files={path.relative_to(staging).as_posix(): sha256_of(path) for path in files},
            ).write(staging)
            return worst_cosine(staging, name, precision, expected)
        except InputError:
            if opset == OPSETS[-1]:
                raise
            (staging / EXPORT_FILE).unlink(missing_ok=True)
    raise AssertionError("unreachable")


def _write_query(staging: Path, source: ModelFolder) -> None:
    """The query side, which is read without the graph; and what the model says of itself."""
    query = staging / "query"
    query.mkdir()
    tokenizer_json = source.tokenizer_json()
    (query / "tokenizer.json").write_bytes(tokenizer_json)
    most, side = source.truncation()
    config = {"truncation_side": side} | ({} if most is None else {"model_max_length": most})
    (query / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    if source.query is not None:
        vocabulary = WordPieces(tokenizer_json).vocabulary
        np.save(query / TABLE_FILE, source.query_weights(vocabulary))
    for name in ("config_sentence_transformers.json", DEFAULTS_FILE, OLD_DEFAULTS_FILE):
        if (source.path / name).is_file():
            shutil.copyfile(source.path / name, staging / name)


def _document_modules(model: SparseEncoder) -> tuple[InputModule, list[nn.Module]]:
    """The module that reads a document, and all that make its vector, with that one first."""
    modules = list(model)
    if isinstance(modules[0], Router):
        route = modules[0].sub_modules["document"]
        assert isinstance(route, nn.Sequential)
        modules = [*route, *modules[1:]]
    assert isinstance(modules[0], InputModule)
    return modules[0], modules


def _prepared(reader: InputModule, precision: ExportPrecision) -> AbstractContextManager[None]:
    """A context in which the network is one that quantises well, if it shall be quantised."""
    network = getattr(reader, "model", None)
    if precision == "fp32" or network is None:
        return nullcontext()
    sources = (document.full_text[:1_000] for document in docstring_documents())
    texts = [*SAMPLES, *islice(sources, MEASURED_TEXTS)]

    def run() -> None:
        for text in texts:
            reader(reader.preprocess([text]))

    return balanced(network, run)


def _write_graph(
    path: Path, name: str, reader: InputModule, modules: list[nn.Module], opset: int
) -> tuple[str, ...]:
    features = reader.preprocess(EXAMPLE_TEXTS)
    given = _untied(reader)
    try:
        return write_graph(path, _TermWeights(modules), features, TERM_WEIGHTS, name, opset)
    finally:
        given()


def _untied(reader: InputModule) -> Callable[[], None]:
    """Give the decoder a weight of its own, so that it is a constant, which can be quantised.

    Returns what undoes it.
    """
    network = getattr(reader, "model", None)
    decoder = getattr(network, "get_output_embeddings", lambda: None)()
    if decoder is None:
        return lambda: None
    tied = decoder.weight
    decoder.weight = nn.Parameter(tied.detach().clone(), requires_grad=False)

    def undo() -> None:
        decoder.weight = tied

    return undo


class _TermWeights(nn.Module):
    """From token ids to the weights of documents.

    SPLADE pooling is written out, the maximum before what rises with it; other heads are traced
    as they are.
    """

    def __init__(self, modules: list[nn.Module]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(modules)
        last = modules[-1]
        self.pooling = last if type(last) is SpladePooling else None

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> Tensor:
        given = zip(TOKEN_COLUMNS, (input_ids, attention_mask, token_type_ids), strict=True)
        features = {key: value for key, value in given if value is not None}
        if self.pooling is None:
            for step in self.steps:
                features = step(features)
            return features["sentence_embedding"]
        assert attention_mask is not None  # a masked language model always has one
        for step in list(self.steps)[:-1]:
            features = step(features)
        logits = features["token_embeddings"].relu() * attention_mask.unsqueeze(-1)
        if self.pooling.pooling_strategy == "sum":
            return self._activated(logits).sum(dim=1)
        return self._activated(logits.amax(dim=1))

    def _activated(self, logits: Tensor) -> Tensor:
        assert self.pooling is not None
        weights = logits.log1p()
        return weights.log1p() if self.pooling.activation_function == "log1p_relu" else weights


def worst_cosine(folder: Path, name: str, precision: ExportPrecision, expected: CSR) -> float:
    """The least cosine of an export's vectors of `SAMPLES` to these.

    Raises:
        InputError: it is too little, or ONNX Runtime refuses the graph.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    try:
        found = OnnxNetwork(folder).encode(SAMPLES, "document")
    except (InputError, state.Fail, state.InvalidArgument, state.RuntimeException) as error:
        raise inexpressible(name, "onnxruntime refuses the graph") from error
    a, b = (to_scipy(each).toarray().astype(np.float64) for each in (expected, found))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = np.ones(len(a))
    np.divide((a * b).sum(axis=1), norms, out=cosines, where=norms > 0)
    worst = min(float(cosines.min()), 1.0)
    if not worst >= LEAST_COSINE[precision]:
        needed = LEAST_COSINE[precision]
        raise inexpressible(name, f"cosine {worst:.6f} to torch, and {needed} is needed")
    return worst
