"""Where a learned sparse model's vectors come from: its folder, and the network in it."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from lsr.encoders.learned.lexical_terms import LexicalTerms
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.onnx_network import OnnxNetwork, is_sparse_export, packaged_graph
from lsr.encoders.learned.packed_model import GRAPH_FOLDER
from lsr.errors import InputError
from lsr.sparse import CSR

__all__ = [
    "PRECISIONS",
    "LearnedSource",
    "Network",
    "Precision",
    "ResolvedPrecision",
    "precision_of",
]

Precision = Literal["auto", "fp32", "bf16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
ResolvedPrecision = Literal["auto", "fp32", "bf16", "onnx-fp32", "onnx-int8"]
"""What a model is used in; "auto" only where torch is not there to say what that is."""


class Network(Protocol):
    """Encodes texts by a network: `torch_network.TorchNetwork`, or an export to ONNX."""

    @property
    def n_terms(self) -> int: ...

    def encode(self, texts: Sequence[str], side: Literal["query", "document"]) -> CSR:
        """Vectors, one row per text; a blank text is an empty row."""
        ...


@dataclass(frozen=True)
class LearnedSource:
    """The model that made the documents' vectors, and how.

    Attributes:
        name: what it is called. place: its folder, or hub id.
        sha256: of the files that its vectors depend on.
        precision, max_active, prune_ratio, idf: as in
        `lsr.encoders.learned.encoder.LearnedOptions`, resolved.
        min_idf: see `lsr.encoders.learned.recommended.SearchDefaults`.
        lexical_terms: how own terms join, or None.
    """

    name: str
    place: str
    sha256: str
    precision: ResolvedPrecision
    max_active: int | None
    prune_ratio: float
    idf: str
    min_idf: float = 0.0
    lexical_terms: LexicalTerms | None = None

    @classmethod
    def of(cls, state: dict[str, Any]) -> LearnedSource:
        """As `asdict` wrote it, or version 0.1, where lexical terms were called own ones."""
        terms = state.pop("own_terms", None) or state.get("lexical_terms")
        return cls(**(state | {"lexical_terms": terms and LexicalTerms(**terms)}))

    def to_dict(self) -> dict[str, Any]:
        """What vectors depend on, in the words of version 0.1: encoders are known by its hash."""
        content = asdict(self) | {"place": "", "name": ""}
        content["own_terms"] = content.pop("lexical_terms")
        return content

    @property
    def key(self) -> str:
        """Of the network and how it computes: same key, same vectors."""
        return f"{self.sha256} {self.precision}"

    def open(self) -> Network:
        """The network. Raises InputError when the model is gone, or another one now."""
        again = "put it back, or build the index again with the model that is there now"
        try:
            folder = ModelFolder.open(self.place)
        except InputError as error:
            raise InputError(
                f"the sparse model {self.name!r} is not at {self.place} any more, and documents "
                f"cannot be encoded without it; {again}"
            ) from error
        if folder.sha256() != self.sha256:
            raise InputError(
                f"the sparse model at {self.place} is not the one it was, and vectors of two "
                f"models do not go together; {again}"
            )
        if is_sparse_export(folder.path):
            return OnnxNetwork(folder.path)
        if self.precision == "onnx-fp32" or self.precision == "onnx-int8":
            return OnnxNetwork(folder.path / GRAPH_FOLDER)
        from lsr.encoders.learned.torch_network import TorchNetwork

        return TorchNetwork(folder, self.precision)


def precision_of(folder: Path, precision: Precision) -> ResolvedPrecision:
    """What a precision that was asked for means for the model in this folder.

    "auto" is bf16 in torch where torch and the machine have it, the graph in eight bits where the
    model brings one along, else fp32 in torch.

    Raises:
        InputError: the model is an export, which has a precision of its own, or brings no graph.
    """
    if is_sparse_export(folder):
        if precision != "auto":
            raise InputError(
                f"{folder} is an export to ONNX, which has a precision of its own; leave the "
                "precision at auto"
            )
        return OnnxNetwork.precision_of(folder)
    graph = packaged_graph(folder)
    if precision == "int8":
        if graph is None:
            raise InputError(
                f"{folder} brings no graph in eight bits along; for one export the model: "
                "lsr export MODEL OUT --format packed"
            )
        return OnnxNetwork.precision_of(graph)
    resolved: ResolvedPrecision = precision
    if importlib.util.find_spec("sentence_transformers") is not None:
        from lsr.encoders.learned.torch_network import resolved_precision

        resolved = resolved_precision(precision)
    faster = precision == "auto" and resolved != "bf16" and graph is not None
    if graph is not None and faster and importlib.util.find_spec("onnxruntime") is not None:
        return OnnxNetwork.precision_of(graph)
    return resolved  # good enough for queries without torch; documents are refused when they come
