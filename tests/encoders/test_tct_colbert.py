"""Vectors of TCT-ColBERT: those of its authors' few lines of torch, and the same by ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lsr.encoders.dense import SentenceTransformerEncoder, open_dense_encoder
from lsr.encoders.dense_onnx_export import export_onnx
from lsr.encoders.dense_recipe import DenseOptions, is_tct_colbert
from lsr.errors import InputError
from tests.support.dense_models import dense_model_folder

pytest.importorskip("sentence_transformers")

QUERIES = ["find the cat", "Whale shark, snake frog deer " * 12, "q"]
TEXTS = ["A dog and a cat run in the forest.", "sun moon " * 80, "rain"]
TCT = DenseOptions(pooling="tct-colbert")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dense_model_folder(tmp_path_factory.mktemp("tct"), "plain")


def naive(folder: Path, texts: list[str], *, is_query: bool) -> NDArray[np.float32]:
    """One text at a time, by transformers alone."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    network = AutoModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = []
    for text in texts:
        whole = f"[CLS] [Q] {text}" + "[MASK]" * 36 if is_query else f"[CLS] [D] {text}"
        ids = tokenizer(whole, add_special_tokens=False)["input_ids"][: 36 if is_query else 64]
        with torch.inference_mode():
            tokens = network(input_ids=torch.tensor([ids])).last_hidden_state[0]
        found.append(tokens[4:].mean(0).numpy())
    return np.stack(found)


def assert_same(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    norms = np.linalg.norm(found, axis=1), np.linalg.norm(expected, axis=1)
    assert np.all((found * expected).sum(1) / (norms[0] * norms[1]) >= 0.9999)
    assert np.allclose(*norms, rtol=1e-4, atol=0)


def test_vectors_are_the_authors(folder: Path) -> None:
    encoder = SentenceTransformerEncoder(str(folder), TCT)
    assert_same(encoder.encode_queries(QUERIES), naive(folder, QUERIES, is_query=True))
    assert_same(encoder.encode_documents(TEXTS), naive(folder, TEXTS, is_query=False))
    recipe = encoder.recipe
    assert (recipe.pooling, recipe.similarity) == ("tct-colbert", "dot")
    assert (recipe.query_prompt, recipe.document_prompt) == ("[CLS] [Q] ", "[CLS] [D] ")
    assert not np.any(encoder.encode_queries([""]))


def test_the_fill_and_the_marks_count(folder: Path) -> None:
    """So that the comparison above could fail."""
    ours = naive(folder, QUERIES[:1], is_query=True)
    plain = SentenceTransformerEncoder(str(folder)).encode_queries(QUERIES[:1])
    as_text = naive(folder, QUERIES[:1], is_query=False)
    for other in (plain, as_text):
        cosine = (ours * other).sum() / (np.linalg.norm(ours) * np.linalg.norm(other))
        assert cosine < 0.999


def test_unit_length_and_dimensions_when_asked(folder: Path) -> None:
    options = DenseOptions(pooling="tct-colbert", similarity="cosine", dimensions=8)
    found = SentenceTransformerEncoder(str(folder), options).encode_queries(QUERIES)
    expected = naive(folder, QUERIES, is_query=True)[:, :8]
    assert_same(found, expected / np.linalg.norm(expected, axis=1, keepdims=True))


def test_an_identity_makes_them_again(folder: Path) -> None:
    encoder = SentenceTransformerEncoder(str(folder), TCT)
    again = SentenceTransformerEncoder(str(folder), DenseOptions.of(encoder.identity))
    assert again.identity == encoder.identity
    assert encoder.identity != SentenceTransformerEncoder(str(folder)).identity
    assert np.array_equal(again.encode_queries(QUERIES), encoder.encode_queries(QUERIES))


def test_onnx_has_the_same_vectors(folder: Path, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    export_onnx(str(folder), tmp_path / "export", TCT)
    exported = open_dense_encoder(str(tmp_path / "export"))
    assert_same(exported.encode_queries(QUERIES), naive(folder, QUERIES, is_query=True))
    assert_same(exported.encode_documents(TEXTS), naive(folder, TEXTS, is_query=False))


def test_the_authors_models_are_known_by_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert is_tct_colbert("castorini/tct_colbert-v2-hnp-msmarco")
    assert not is_tct_colbert("castorini/ance-msmarco-passage")
    monkeypatch.chdir(tmp_path)
    Path("castorini").mkdir()
    Path("castorini/tct_colbert-v2-msmarco").symlink_to(folder, target_is_directory=True)
    known = SentenceTransformerEncoder("castorini/tct_colbert-v2-msmarco")
    assert known.recipe == SentenceTransformerEncoder(str(folder), TCT).recipe


def test_refusals(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tct-colbert has its own query_prompt"):
        DenseOptions(pooling="tct-colbert", query_prompt="find ")
    finished = dense_model_folder(tmp_path, "cls")
    with pytest.raises(InputError, match="pools by cls, as its folder says"):
        SentenceTransformerEncoder(str(finished), TCT)
