"""Models in eight bits on disk, and those that come with the package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SparseEncoder

import lsr.shippedmodels
from lsr.errors import DataError, InputError
from lsr.learned import LearnedEncoder, LearnedOptions
from lsr.modelfolder import ModelFolder
from lsr.modeluse import ModelUse
from lsr.ownterms import OwnTerms
from lsr.packedmodel import PACKED_FILE, pack, packed_matrix, unpacked
from lsr.shippedmodels import MODELS, shipped_models
from lsr.training.models import open_model
from tests.commands import done, refused
from tests.learnedmodels import TEXTS, inference_free


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inference_free(tmp_path_factory.mktemp("free"))


@pytest.fixture
def packed(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A packed model that comes with the package, by the name small-one."""
    monkeypatch.setattr("lsr.packedmodel.SMALLEST", 512)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(lsr.shippedmodels, "MODELS", tmp_path / "models")
    folder = tmp_path / "models" / "small-one"
    folder.parent.mkdir()
    ModelUse("corpus", OwnTerms(weight=2.0)).write(model)
    size = pack(model, folder)
    assert size == sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return folder


def _vectors(model: str) -> np.ndarray:
    encoder = LearnedEncoder(model, LearnedOptions("fp32"))  # own words come with a collection
    assert encoder.identity.parameters["own_weight"] == 2.0
    return np.asarray(encoder.encode_documents(TEXTS).to_scipy().toarray())


def test_a_matrix_comes_back_within_half_a_step() -> None:
    values = np.random.default_rng(0).normal(size=(7, 30)).astype(np.float32)
    values[3] = 0
    small, scale = packed_matrix(values)
    assert small.dtype == np.int8
    wrong = np.abs(small * scale[:, None] - values)
    assert (wrong <= np.abs(values).max(axis=1, keepdims=True) / 254 + 1e-6).all()


def test_a_packed_model_is_used_by_its_name(model: Path, packed: Path, tmp_path: Path) -> None:
    assert not [file for file in packed.rglob("model.safetensors") if "document" in str(file)]
    assert [file.name for file in packed.rglob(PACKED_FILE)] == [PACKED_FILE]
    a, b = _vectors(str(model)), _vectors("small-one")
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = (a * b).sum(axis=1)[norms > 0] / norms[norms > 0]
    assert cosines.min() > 0.999
    assert not np.array_equal(a, b)
    assert len(list((tmp_path / "cache" / "lsr" / "models").iterdir())) == 1
    assert unpacked(packed) == unpacked(packed)
    assert unpacked(model) == model
    table = ModelFolder.open("small-one").query_weights({})
    assert np.array_equal(table, ModelFolder.open(str(model)).query_weights({}))
    assert open_model("small-one").get_embedding_dimension() == len(table)


def test_it_is_saved_for_sentence_transformers(packed: Path, tmp_path: Path) -> None:
    done("export", "small-one", tmp_path / "st", "--format", "sentence-transformers")
    theirs = SparseEncoder(str(tmp_path / "st")).encode_document(TEXTS[:1])
    ours = LearnedEncoder("small-one", LearnedOptions("fp32", own_weight=0.0))
    found = ours.encode_documents(TEXTS[:1]).to_scipy().toarray()
    assert np.allclose(theirs.to_dense().numpy(), found, atol=1e-4)
    assert ModelFolder.open(str(tmp_path / "st")).use.own_terms == OwnTerms(weight=2.0)


def test_another_packed_model_is_unpacked_anew(packed: Path) -> None:
    first = unpacked(packed)
    (packed / "README.md").write_text("a card")
    assert unpacked(packed) == first
    ModelUse("model").write(packed)
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


def test_what_cannot_be_packed_is_refused(model: Path, packed: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there already"):
        pack(model, packed)
    bare = tmp_path / "bare"
    shutil.copytree(model / "query_0_SparseStaticEmbedding", bare)
    with pytest.raises(InputError, match="no network"):
        pack(bare, tmp_path / "out")


def test_the_shipped_models_are_whole() -> None:
    for each in shipped_models():
        assert each.size_bytes <= 30_000_000, each.name
        assert (each.folder / "README.md").is_file()
        assert LearnedEncoder(each.name).encode_queries(["cold water"]).nnz == 2
    assert MODELS.is_symlink()
