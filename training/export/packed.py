"""A model's folder in a quarter of its size: matrices in eight bits, kept once for torch and ONNX.

The matrices are those that the export to eight bits has (`lsr.training.export.quantization`), and
the graph takes them from the model's own file, so it comes at the price of its small parts
(`lsr.encoders.learned.packed_model` reads the result). Torch multiplies scales and columns out
again.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lsr.encoders.learned.packed_model as packed
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.onnx_network import GRAPH_FILE, TOKENIZER_FILE, SparseExportDescription
from lsr.encoders.learned.torch_network import TorchNetwork
from lsr.errors import InputError
from lsr.files import sha256_of
from lsr.training.export.folder import publishing
from lsr.training.export.onnx import SAMPLES, SparseOnnxExport, export_sparse_onnx, worst_cosine

__all__ = ["export_packed"]

CLOSE = 0.02
"""A matrix of the graph is a parameter where they differ less than this, in its deviations."""


def export_packed(model: str, folder: Path, *, trust_remote_code: bool = False) -> SparseOnnxExport:
    """Write a packed copy of an inference-free model, with a graph for use without torch.

    Args:
        model: as for `lsr.encoders.learned.encoder.open_learned`.
        folder: where it shall be; replaced when it is an export already.
        trust_remote_code: run the code that the model brings along.

    Raises:
        InputError: the folder holds something else; there is no such model, its queries need a
            network, or it cannot be expressed in ONNX.
        StorageError: the folder cannot be written.
        UnavailableError: a package that exporting needs is not installed.
    """
    given = ModelFolder.open(model)
    source = packed.unpacked(given.path)
    networks = [file for file in source.rglob(packed.PLAIN_FILE) if packed.is_network(file)]
    if len(networks) != 1 or given.query is None:
        raise InputError(
            f"{model} has {len(networks)} networks in {packed.PLAIN_FILE}, and a packed model has "
            "one, for documents, and a table for queries; export it as onnx-int8"
        )
    place = networks[0].relative_to(source).with_name(packed.PACKED_FILE)
    with tempfile.TemporaryDirectory() as work, publishing(folder) as staging:
        graph = Path(work) / "graph"
        export_sparse_onnx(str(source), graph, "int8", trust_remote_code=trust_remote_code)
        ignored = shutil.ignore_patterns(".*", packed.PLAIN_FILE + ".index.json")
        shutil.copytree(source, staging, ignore=ignored, dirs_exist_ok=True)
        (staging / networks[0].relative_to(source)).unlink()
        _write(networks[0], graph, staging, place, folder.name)
        whole = Path(work) / "whole"
        packed.unpack(staging, whole)
        network = TorchNetwork(
            ModelFolder.open(str(whole)), "fp32", trust_remote_code=trust_remote_code
        )
        again = network.encode(SAMPLES, "document")
        worst = worst_cosine(staging / packed.GRAPH_FOLDER, model, "int8", again)
        size = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
    return SparseOnnxExport(folder, size, worst)


def _write(network: Path, graph_folder: Path, staging: Path, place: Path, model_name: str) -> None:
    """The matrices, and the graph that takes them from there."""
    import onnx
    from safetensors.numpy import load_file, save_file

    parameters = load_file(network)
    model = onnx.load(graph_folder / GRAPH_FILE)
    graph = _Graph(model.graph)
    tensors: dict[str, NDArray[np.generic]] = {}
    for name, values in parameters.items():
        if values.ndim != 2 or values.size < packed.SMALLEST:
            tensors[name] = values.astype(np.float32)
            continue
        found = graph.quantised(values)
        if found is None:
            tensors[name], tensors[name + packed.SCALE] = packed.packed_matrix(values)
        else:
            given, whole, scale, columns = found
            tensors[name], tensors[name + packed.SCALE] = whole, scale
            if columns is not None:
                tensors[name + packed.COLUMNS] = columns
            graph.take_out(given, f"{packed.AS_INT8}{name}")
        for given, form in graph.equals(values):
            graph.take_out(given, form + name)
    save_file(tensors, staging / place)
    (staging / place).chmod(0o644)
    folder = staging / packed.GRAPH_FOLDER
    folder.mkdir()
    onnx.save(model, folder / GRAPH_FILE)
    shutil.copyfile(graph_folder / TOKENIZER_FILE, folder / TOKENIZER_FILE)
    weights = (Path("..") / place).as_posix()
    names = (GRAPH_FILE, TOKENIZER_FILE, weights)
    replace(
        SparseExportDescription.read(graph_folder),
        model=model_name,
        weights=weights,
        matrices=tuple(graph.taken),
        files={name: sha256_of(folder / name) for name in names},
    ).write(folder)


class _Graph:
    """The large matrices of a quantised graph, found again by what they hold.

    Attributes:
        taken: names of those that were taken out.
    """

    def __init__(self, graph: Any) -> None:
        from onnx import numpy_helper

        self._graph = graph
        self._arrays: dict[str, NDArray[np.generic]] = {
            each.name: numpy_helper.to_array(each) for each in graph.initializer
        }
        self.taken: list[str] = []
        self._makers = {output: node for node in graph.node for output in node.output}

    def quantised(
        self, values: NDArray[np.generic]
    ) -> tuple[str, NDArray[np.int8], NDArray[np.float32], NDArray[np.float32] | None] | None:
        """The matrix product in eight bits that has these weights, shape (out, in).

        Returns:
            Its name, the weights as int8 (out, in), a scale for each row, and one for each column
            where the layer is balanced; None if there is none.
        """
        wanted = values.astype(np.float32)
        for node in self._graph.node:
            name = node.input[1] if node.op_type == "MatMulInteger" else ""
            if name not in self._arrays or self._arrays[name].T.shape != wanted.shape:
                continue
            whole = self._arrays[name].T.astype(np.int8)
            scale = self._arrays[name.replace("_quantized", "_scale")].astype(np.float32)
            columns = self._columns(node)
            found = whole * scale[:, None] * (np.float32(1) if columns is None else columns)
            if np.abs(found - wanted).mean() < CLOSE * wanted.std():
                return name, np.ascontiguousarray(whole), scale, columns
        return None

    def equals(self, values: NDArray[np.generic]) -> list[tuple[str, str]]:
        """Float matrices that are this one, or it turned, and in which form."""
        wanted = values.astype(np.float32)
        found = []
        for name, array in self._arrays.items():
            if array.dtype != np.float32:
                continue
            for form, one in ((packed.AS_IT_IS, wanted), (packed.TURNED, wanted.T)):
                if array.shape == one.shape and np.allclose(array, one, atol=1e-6):
                    found.append((name, form))
                    break
        return found

    def take_out(self, name: str, place: str) -> None:
        """Leave a matrix to be given when the graph is opened, by that name."""
        from onnx import TensorProto

        if name not in self._arrays:
            return
        (weight,) = (each for each in self._graph.initializer if each.name == name)
        for node in self._graph.node:
            for i, given in enumerate(node.input):
                if given == name:
                    node.input[i] = place
        for field in ("raw_data", "float_data", "int32_data"):
            weight.ClearField(field)
        weight.name = place
        weight.data_location = TensorProto.EXTERNAL
        entry = weight.external_data.add()
        entry.key, entry.value = "location", packed.PACKED_FILE
        self.taken.append(place)
        del self._arrays[name]

    def _columns(self, node: Any) -> NDArray[np.float32] | None:
        """Factors of the input's channels before a balanced layer's product; None for others."""
        divided = self._makers.get(self._makers[node.input[0]].input[0])
        if divided is None or divided.op_type != "Div":
            return None
        shrunk = self._makers[divided.input[0]]
        return next(
            self._arrays[name].astype(np.float32).reshape(-1)
            for name in shrunk.input
            if name in self._arrays
        )
