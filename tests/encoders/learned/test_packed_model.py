"""Models in eight bits on disk, and those that come with the package."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SparseEncoder

import lsr.encoders.learned.bundled_models
from lsr.datasets.open import open_corpus
from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.learned.bundled_models import MODELS, bundled_models
from lsr.encoders.learned.encoder import LearnedOptions, open_learned
from lsr.encoders.learned.lexical_terms import LexicalTerms
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.model_source import Precision
from lsr.encoders.learned.onnx_network import OnnxNetwork
from lsr.encoders.learned.packed_model import PACKED_FILE, graph_matrices, packed_matrix, unpacked
from lsr.encoders.learned.recommended import SearchDefaults
from lsr.encoders.learned.torch_network import TorchNetwork
from lsr.errors import DataError
from lsr.training.models.sparse_encoder import open_model
from tests.support.command_line import done, refused
from tests.support.learned_models import TEXTS, inference_free, symmetric

LIBRARY = Path(__file__).resolve().parents[3] / "data" / "library"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inference_free(tmp_path_factory.mktemp("free"))


@pytest.fixture(scope="module")
def written(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed copy of the model, and nothing else."""
    cache = tmp_path_factory.mktemp("cache")
    folder = tmp_path_factory.mktemp("packed") / "small-one"
    SearchDefaults("corpus", lexical_terms=LexicalTerms(weight=2.0)).write(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lsr.encoders.learned.packed_model.SMALLEST", 512)
        patch.setenv("XDG_CACHE_HOME", str(cache))
        told = json.loads(done("export", model, folder, "--format", "packed", "--json"))
    assert told["worst_cosine"] > 0.99
    assert not list(cache.rglob("*.safetensors"))
    return folder


@pytest.fixture
def packed(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A packed model that comes with the package, by the name small-one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(lsr.encoders.learned.bundled_models, "MODELS", tmp_path / "models")
    return shutil.copytree(written, tmp_path / "models" / "small-one")


def _vectors(model: str, precision: Precision = "fp32") -> np.ndarray:
    encoder = open_learned(model, LearnedOptions(precision))  # own words come with a collection
    assert encoder.identity.parameters["lexical_weight"] == 2.0
    return np.asarray(to_scipy(encoder.encode_documents(TEXTS)).toarray())


def test_a_matrix_comes_back_within_half_a_step() -> None:
    values = np.random.default_rng(0).normal(size=(7, 30)).astype(np.float32)
    values[3] = 0
    small, scale = packed_matrix(values)
    assert small.dtype == np.int8
    wrong = np.abs(small * scale[:, None] - values)
    assert (wrong <= np.abs(values).max(axis=1, keepdims=True) / 254 + 1e-6).all()


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(axis=1)[norms > 0] / norms[norms > 0])


def test_a_packed_model_is_used_by_its_name(model: Path, packed: Path, tmp_path: Path) -> None:
    assert not [file for file in packed.rglob("model.safetensors") if "document" in str(file)]
    assert [file.name for file in packed.rglob(PACKED_FILE)] == [PACKED_FILE]
    a, b = _vectors(str(model)), _vectors("small-one")
    assert _cosines(a, b).min() > 0.998
    assert not np.array_equal(a, b)
    assert len(list((tmp_path / "cache" / "lsr" / "models").iterdir())) == 1
    assert unpacked(packed) == unpacked(packed)
    assert unpacked(model) == model
    table = ModelFolder.open("small-one").query_weights({})
    assert np.array_equal(table, ModelFolder.open(str(model)).query_weights({}))
    assert open_model("small-one").get_embedding_dimension() == len(table)


def test_documents_need_no_torch(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _vectors("small-one")
    monkeypatch.setattr(TorchNetwork, "__init__", None)  # as where torch is not installed
    found = _vectors("small-one", "int8")
    assert _cosines(whole, found).min() > 0.99
    assert not np.array_equal(whole, found)
    encoder = open_learned("small-one", LearnedOptions("int8"))
    assert encoder.identity.parameters["precision"] == "onnx-int8"
    monkeypatch.setattr("importlib.util.find_spec", _without("sentence_transformers"))
    encoder = open_learned("small-one")
    assert encoder.identity.parameters["precision"] == "onnx-int8"
    file = next(packed.rglob(PACKED_FILE))
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match="lost, or has changed"):
        OnnxNetwork(packed / "onnx")


def _without(package: str) -> Callable[[str], object]:
    find = importlib.util.find_spec
    return lambda name: None if name == package else find(name)


def test_the_graph_takes_the_matrices_of_the_model(packed: Path) -> None:
    graph = packed / "onnx" / "model.onnx"
    weights = next(packed.rglob(PACKED_FILE))
    said = json.loads((packed / "onnx" / "lsr-sparse-onnx.json").read_text())
    assert said["weights"] == f"../{weights.relative_to(packed)}"
    assert said["model"] == "small-one"
    forms = {name.partition(":")[0] for name in said["matrices"]}
    assert forms == {"int8", "float", "turned"}
    names = [name for name in said["matrices"] if "word_embeddings" in name]
    assert len(names) == 2  # looked up, and multiplied by
    assert not [name for name in packed.iterdir() if name.name == "model.onnx"]
    with pytest.raises(DataError, match="is damaged"):
        graph_matrices(weights, ["int8:no.such.weight"])
    assert graph.stat().st_size < weights.stat().st_size + 700_000


def test_it_is_saved_for_sentence_transformers(packed: Path, tmp_path: Path) -> None:
    done("export", "small-one", tmp_path / "st", "--format", "sentence-transformers")
    theirs = SparseEncoder(str(tmp_path / "st")).encode_document(TEXTS[:1])
    ours = open_learned("small-one", LearnedOptions("fp32", lexical_weight=0.0))
    found = to_scipy(ours.encode_documents(TEXTS[:1])).toarray()
    assert np.allclose(theirs.to_dense().numpy(), found, atol=1e-4)
    assert ModelFolder.open(str(tmp_path / "st")).defaults.lexical_terms == LexicalTerms(weight=2.0)


def test_another_packed_model_is_unpacked_anew(packed: Path) -> None:
    first = unpacked(packed)
    (packed / "README.md").write_text("a card")
    assert unpacked(packed) == first
    SearchDefaults("model").write(packed)
    assert unpacked(packed) != first
    file = next(packed.rglob(PACKED_FILE))
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match="is damaged"):
        unpacked(packed)


def test_models_are_listed(packed: Path) -> None:
    assert "small-one" in done("models")
    (packed / "figures.json").write_text(
        json.dumps({"terms": 201.5, "flops": 0.75, "ndcg@10": {"scifact": 0.7}})
    )
    (found,) = json.loads(done("models", "--json"))
    assert (found["terms"], found["flops"]) == (201.5, 0.75)
    assert found["scores"] == {"scifact": 0.7}
    assert found["size_bytes"] > 1000
    assert "scifact 0.700" in done("models")
    (packed / "figures.json").write_text("{")
    assert "install lsr again" in refused("models")


def test_what_cannot_be_packed_is_refused(
    packed: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsr.encoders.learned.packed_model.SMALLEST", 512)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "a.txt").touch()
    told = refused("export", "small-one", tmp_path / "taken", "--format", "packed")
    assert "not an export of lsr" in told
    both = symmetric(tmp_path)
    assert "for documents" in refused("export", both, tmp_path / "out", "--format", "packed")
    assert not (tmp_path / "out").exists()
    (packed / "onnx" / "model.onnx").unlink()  # as downloads from the hub leave it out
    for each in (model, "small-one"):
        told = refused("encode", tmp_path, each, tmp_path / "out", "--precision", "int8")
        assert "brings no graph" in told


def test_the_shipped_models_are_whole() -> None:
    for each in bundled_models():
        assert each.size_bytes <= 30_000_000, each.name
        assert (each.folder / "README.md").is_file()
        assert open_learned(each.name).encode_queries(["cold water"]).nnz == 2
    assert MODELS.is_symlink()


def test_the_shipped_model_is_the_same_without_torch() -> None:
    texts = [document.full_text for document in open_corpus(str(LIBRARY)).documents()]
    a, b = (
        to_scipy(
            open_learned(
                "doc-mini", LearnedOptions(precision, lexical_weight=0.0)
            ).encode_documents(texts)
        ).toarray()
        for precision in ("fp32", "int8")
    )
    assert _cosines(a, b).min() > 0.998
    assert (a > 0).sum(axis=1).max() <= 150


def test_onnx_runtime_reports_to_nobody(tmp_path: Path) -> None:
    """Left to itself it writes an identifier of the machine into the user's cache, and sends it."""
    program = (
        "from lsr.encoders.learned.encoder import LearnedOptions, open_learned\n"
        "print(open_learned('doc-mini', LearnedOptions('int8')).encode_documents(['a cat']).nnz)"
    )
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment | home, capture_output=True, text=True
    )
    assert int(done.stdout) > 0, done.stderr
    assert [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name] == []
