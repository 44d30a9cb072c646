"""Learned sparse models exported to ONNX: documents encoded without torch, also in eight bits.

`lsr export` writes such a folder (`lsr.training.export.onnx`): the graph from token ids to term
weights, with the maximum over tokens inside (model.onnx), the documents' tokenizer, which truncates
and pads (tokenizer.json), a description with the SHA-256 of every file (lsr-sparse-onnx.json), and
in `query/` the query side: tokenizer and table. ONNX Runtime is imported when one is opened.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lsr.encoders.dense_onnx import TOKEN_COLUMNS
from lsr.encoders.learned.model_folder import EXPORT_FILE
from lsr.encoders.learned.packed_model import GRAPH_FOLDER, graph_matrices
from lsr.encoders.learned.pruning import rows_of
from lsr.errors import DataError, ModelError, UnavailableError
from lsr.files import sha256_of
from lsr.sparse import CSR

__all__ = [
    "GRAPH_FILE",
    "TERM_WEIGHTS",
    "TOKENIZER_FILE",
    "ExportPrecision",
    "OnnxNetwork",
    "SparseExportDescription",
    "is_sparse_export",
]

FORMAT_VERSION = 1
ExportPrecision = Literal["fp32", "int8"]

GRAPH_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
TERM_WEIGHTS = "term_weights"
"""The graph's output, float32, shape (batch, n_terms)."""


@dataclass(frozen=True)
class SparseExportDescription:
    """Description of an export, the content of `lsr-sparse-onnx.json`.

    Attributes:
        model: the name that the model was exported by.
        precision: "fp32", or "int8": weights of matrix products in eight bits, per channel.
        n_terms: the width of vectors.
        inputs: names of the graph's inputs, all int64, shape (batch, tokens).
        prompts: side ("query", "document") to the text put before every text.
        files: name to SHA-256 of the other files.
        weights: the packed file that has the large matrices; empty where the graph has them.
        matrices: names of those, as `lsr.encoders.learned.packed_model.graph_matrices` reads them.
    """

    model: str
    precision: ExportPrecision
    n_terms: int
    inputs: tuple[str, ...]
    prompts: dict[str, str]
    files: dict[str, str]
    weights: str = ""
    matrices: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Write the description into the folder that it is of."""
        content = {"format_version": FORMAT_VERSION, **asdict(self)}
        (folder / EXPORT_FILE).write_text(json.dumps(content, indent=2) + "\n", "utf-8")

    @classmethod
    def read(cls, folder: Path) -> SparseExportDescription:
        """Read a description.

        Raises:
            DataError: there is none, it is damaged, or another version of lsr wrote it.
        """
        path = folder / EXPORT_FILE
        try:
            content = json.loads(path.read_text("utf-8"))
            version = content.pop("format_version")
            if version == FORMAT_VERSION:
                tuples = {name: tuple(content.get(name, ())) for name in ("inputs", "matrices")}
                return cls(**{**content, **tuples})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(path, f"it cannot be read ({error})") from error
        raise _damaged(path, f"it has format {version} and this lsr reads {FORMAT_VERSION}")


class OnnxNetwork:
    """An export, on the CPU. May be used from several threads at once.

    Each batch is computed on OMP_NUM_THREADS threads; without that variable, on one a core.

    Args:
        folder: what `lsr export` wrote.

    Raises:
        DataError: a file is missing or damaged.
        UnavailableError: onnxruntime is not installed.
    """

    def __init__(self, folder: Path) -> None:
        if importlib.util.find_spec("onnxruntime") is None:
            raise UnavailableError(
                f"the sparse model in {folder} needs onnxruntime, which is not installed; "
                "run: pip install 'lsr-search[onnx]'"
            )
        self._folder = folder
        self._description = SparseExportDescription.read(folder)
        for name, sha256 in self._description.files.items():
            if not (folder / name).is_file() or sha256_of(folder / name) != sha256:
                raise _damaged(folder / name, "it is lost, or has changed since it was written")
        given = {}
        if self._description.weights:
            file = folder / self._description.weights
            given = graph_matrices(file, self._description.matrices)
        self._session = _session(folder / GRAPH_FILE, given)
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(folder / TOKENIZER_FILE))

    @staticmethod
    def precision_of(folder: Path) -> Literal["onnx-fp32", "onnx-int8"]:
        """The precision of an export. Raises DataError."""
        precision = SparseExportDescription.read(folder).precision
        return "onnx-int8" if precision == "int8" else "onnx-fp32"

    @property
    def n_terms(self) -> int:
        """The width of a vector."""
        return self._description.n_terms

    def encode(self, texts: Sequence[str], side: Literal["query", "document"]) -> CSR:
        """Vectors, one row per text, in order; a blank text is an empty row.

        Each text is computed alone: in eight bits a graph scales a whole batch by its greatest
        number, so that a text's vector would depend on those beside it.

        Raises:
            ModelError: the model gave numbers that are not finite.
        """
        prompt = self._description.prompts.get(side, "")
        blank = CSR.empty(1, self.n_terms)
        rows = [self.rows([prompt + text]) if text.strip() else blank for text in texts]
        return CSR.concatenate(rows) if rows else CSR.empty(0, self.n_terms)

    def rows(self, texts: list[str]) -> CSR:
        """Vectors of texts that are computed together; they may depend on each other.

        Raises:
            ModelError: the model gave numbers that are not finite.
        """
        encodings = self._tokenizer.encode_batch(texts)
        tokens = {
            name: np.array([getattr(one, TOKEN_COLUMNS[name]) for one in encodings], np.int64)
            for name in self._description.inputs
        }
        weights = self._session.run([TERM_WEIGHTS], tokens)[0]
        if not np.isfinite(weights).all():
            raise ModelError(
                f"the sparse model in {self._folder} gave numbers that are not finite; "
                "export it again"
            )
        return rows_of(weights)


def is_sparse_export(folder: Path) -> bool:
    """Whether the folder says that it is one, be it whole or not."""
    return (folder / EXPORT_FILE).is_file()


def packaged_graph(folder: Path) -> Path | None:
    """The graph in eight bits that a model's folder brings along, or None."""
    graph = folder / GRAPH_FOLDER
    is_whole = is_sparse_export(graph) and (graph / GRAPH_FILE).is_file()  # the hub's come without
    return graph if is_whole else None


def _session(path: Path, given: dict[str, NDArray[np.generic]]) -> Any:
    """A session on a graph, with these matrices in the places that it left open."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    options = onnxruntime.SessionOptions()
    threads = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    options.intra_op_num_threads = int(threads) if threads.isdecimal() else 0  # 0: one a core
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised
    if given:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(each) for each in given.values()]
        options.add_external_initializers(list(given), values)
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented) as error:
        raise _damaged(path, f"onnxruntime {onnxruntime.__version__} refuses it") from error


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(
        f"{reason}, so this export cannot be used; make it again with: lsr export", path=path
    )
