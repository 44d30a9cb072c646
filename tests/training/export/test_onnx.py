"""Learned sparse models in ONNX: the vectors of torch, without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertForMaskedLM

from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.learned.encoder import LearnedOptions, open_learned
from lsr.encoders.learned.onnx_network import GRAPH_FILE, OnnxNetwork, SparseExportDescription
from lsr.errors import DataError, InputError
from lsr.files import sha256_of
from lsr.sparse import CSR
from lsr.training.export.onnx import export_sparse_onnx
from lsr.training.export.quantization import balanced, quantise_graph
from tests.support.learned_models import TEXTS, inference_free

FULL = [i for i, text in enumerate(TEXTS) if text]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inference_free(tmp_path_factory.mktemp("free"))


@pytest.fixture(scope="module")
def exported(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx") / "out"
    done = export_sparse_onnx(str(model), folder)
    assert done.worst_cosine > 0.9999
    assert done.size_bytes > sum(path.stat().st_size for path in model.rglob("*.onnx"))
    return folder


def _cosines(first: CSR, second: CSR) -> list[float]:
    a, b = to_scipy(first).toarray()[FULL], to_scipy(second).toarray()[FULL]
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines: list[float] = ((a * b).sum(axis=1) / norms).tolist()
    return cosines


def test_documents_and_queries_are_those_of_torch(model: Path, exported: Path) -> None:
    whole = open_learned(str(model), LearnedOptions("fp32"))
    onnx = open_learned(str(exported))
    assert onnx.identity.parameters["precision"] == "onnx-fp32"
    found = onnx.encode_documents(TEXTS)
    found.validate()
    assert min(_cosines(whole.encode_documents(TEXTS), found)) > 0.9999
    assert found.row(TEXTS.index("")).terms.size == 0
    one_by_one = [onnx.encode_documents([text]) for text in TEXTS]
    alone = CSR.concatenate(one_by_one)
    assert np.array_equal(alone.terms, found.terms)
    assert np.array_equal(alone.weights, found.weights)
    queries = [to_scipy(each.encode_queries(TEXTS)).toarray() for each in (whole, onnx)]
    assert np.array_equal(*queries)


def test_eight_bits_are_near(model: Path, exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "int8"
    shutil.copytree(exported, folder)
    quantise_graph(folder / GRAPH_FILE)
    description = SparseExportDescription.read(exported)
    files = description.files | {GRAPH_FILE: sha256_of(folder / GRAPH_FILE)}
    changed = vars(description) | {"files": files, "precision": "int8"}
    SparseExportDescription(**changed).write(folder)
    assert (folder / GRAPH_FILE).stat().st_size < 0.8 * (exported / GRAPH_FILE).stat().st_size
    int8 = open_learned(str(folder))
    fp32 = open_learned(str(exported))
    found, expected = int8.encode_documents(TEXTS), fp32.encode_documents(TEXTS)
    assert not np.array_equal(found.weights, expected.weights)
    assert min(_cosines(expected, found)) > 0.99
    assert int8.identity.sha256 != fp32.identity.sha256


def test_balanced_layers_are_equal_and_put_back(model: Path) -> None:
    network = BertForMaskedLM.from_pretrained(model / "document_0_Transformer").eval()
    ids = torch.tensor([[2, 9, 14, 3]])
    before = network(ids).logits
    layers = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)]
    with balanced(network, lambda: network(ids)):
        kept = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)]
        assert 0 < len(kept) < len(layers) / 2
        torch.testing.assert_close(network(ids).logits, before, rtol=1e-4, atol=1e-5)
    assert [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)] == layers
    assert torch.equal(network(ids).logits, before)


def test_large_channels_and_tokens_take_nothing_from_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Activations share one scale: without balance, one large number leaves the rest few steps."""
    torch.manual_seed(0)
    linear = torch.nn.Linear(32, 64)
    network = torch.nn.Sequential(linear)
    x = torch.randn(2, 20, 32)
    x[..., 3] *= 100
    x[:, 5] *= 20
    expected = network(x)

    def eight_bits(given: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        step = given.abs().max() / 127
        steps = weight.abs().amax(1, keepdim=True) / 127
        return (given / step).round() * step @ ((weight / steps).round() * steps).T

    plain = eight_bits(x, linear.weight) + linear.bias
    with balanced(network, lambda: network(x)):
        monkeypatch.setattr("lsr.training.export.quantization.functional.linear", eight_bits)
        found = network(x)
    others = [token for token in range(20) if token != 5]
    errors = [(each - expected)[:, others].abs().mean() for each in (plain, found)]
    assert errors[1] < 0.1 * errors[0]


def test_it_encodes_without_torch(exported: Path) -> None:
    code = f"""
import sys
from lsr.encoders.learned.encoder import open_learned
encoder = open_learned({str(exported)!r})
assert encoder.encode_documents(["the cat", ""]).nnz > 2
assert encoder.encode_queries(["the cat"]).nnz == 2
print(*{{"torch", "transformers", "sentence_transformers"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_damage_is_found(exported: Path, tmp_path: Path) -> None:
    for name in (GRAPH_FILE, "tokenizer.json", "query/weights.npy"):
        folder = tmp_path / name.replace("/", "-")
        shutil.copytree(exported, folder)
        with (folder / name).open("ab") as stream:
            stream.write(b"x")
        with pytest.raises(DataError, match="lost, or has changed"):
            OnnxNetwork(folder)
    folder = tmp_path / "version"
    shutil.copytree(exported, folder)
    description = folder / "lsr-sparse-onnx.json"
    content = json.loads(description.read_text()) | {"format_version": 9}
    description.write_text(json.dumps(content))
    with pytest.raises(DataError, match="format 9"):
        OnnxNetwork(folder)
    with pytest.raises(InputError, match="precision of its own"):
        open_learned(str(exported), LearnedOptions("bf16"))


def test_places_that_are_taken_are_left_alone(model: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not replaced"):
        export_sparse_onnx(str(model), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
