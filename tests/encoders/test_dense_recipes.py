"""Dense models of six kinds: the vectors of sentence-transformers, in torch and in ONNX."""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lsr.encoders.dense import SentenceTransformerEncoder, _weights_hash, open_dense_encoder
from lsr.encoders.dense_onnx import OnnxDescription, OnnxEncoder, cached_export, cached_exports
from lsr.encoders.dense_onnx_export import export_onnx
from lsr.encoders.dense_recipe import DenseOptions, DenseRecipe
from lsr.encoders.registry import as_dense, open_dense
from lsr.errors import InputError
from lsr.files import signed
from lsr.types import EncoderIdentity
from tests.support.dense_models import KINDS, dense_model_folder

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGES = ("sentence_transformers", "onnx", "onnxscript", "onnxruntime")
pytestmark = pytest.mark.skipif(  # not where CI is set: there it must fail
    not os.environ.get("CI") and not all(map(importlib.util.find_spec, PACKAGES)),
    reason="needs the extras dense and onnx",
)

TEXTS = ["a cat and a dog", "star", "the king of the mountain " * 20, "fish in the sea , cold"]
OPTIONS = {"plain": DenseOptions(pooling="lasttoken", similarity="dot", query_prompt="find ")}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        kind: dense_model_folder(tmp_path_factory.mktemp(f"dense-{kind}"), kind) for kind in KINDS
    }


def reference(folder: Path, kind: str) -> SentenceTransformer:
    """The model as a user of sentence-transformers has it."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    if kind != "plain":
        return SentenceTransformer(str(folder), device="cpu")
    return SentenceTransformer(
        modules=[Transformer(str(folder)), Pooling(32, "lasttoken")],
        prompts={"query": "find "},
        similarity_fn_name="dot",
        device="cpu",
    )


def cosines_of(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    a, b = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (a, b))
    cosines: NDArray[np.float64] = np.einsum("ij,ij->i", a, b, dtype=np.float64)
    return cosines


def assert_same(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    lengths = np.linalg.norm(found, axis=1), np.linalg.norm(expected, axis=1)
    assert cosines_of(found, expected).min() >= 0.9999
    assert lengths[0] == pytest.approx(lengths[1], abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_vectors_of_sentence_transformers(
    folders: dict[str, Path], kind: str, tmp_path: Path
) -> None:
    folder, options = folders[kind], OPTIONS.get(kind)
    model = reference(folder, kind)
    unit = model.similarity_fn_name == "cosine"
    queries = model.encode_query(TEXTS, normalize_embeddings=unit)
    documents = model.encode_document(TEXTS, normalize_embeddings=unit)
    assert unit or np.abs(np.linalg.norm(documents, axis=1) - 1).min() > 0.1
    assert kind == "dot" or cosines_of(queries, documents).max() < 0.999, (
        "prompts make a difference"
    )
    torch = SentenceTransformerEncoder(str(folder), options, batch_size=3)
    export_onnx(str(folder), tmp_path / "onnx", options)
    onnx = OnnxEncoder(tmp_path / "onnx")
    assert torch.dimension == onnx.dimension == KINDS[kind].get("dimensions", 32)
    assert onnx.identity == torch.identity
    for encoder in (torch, onnx):
        assert_same(encoder.encode_queries(TEXTS), queries)
        assert_same(encoder.encode_documents(TEXTS), documents)
        assert not encoder.encode_queries([""]).any(), "with a prompt, too"
        scores = encoder.encode_queries(TEXTS) @ encoder.encode_documents(TEXTS).T
        assert scores == pytest.approx(np.asarray(model.similarity(queries, documents)), abs=1e-3)


def test_an_identity_opens_the_model_that_it_is_of(folders: dict[str, Path]) -> None:
    asked = {
        "as it says": DenseOptions(),
        "another prompt": DenseOptions(query_prompt="why "),
        "no prompt": DenseOptions(query_prompt="", document_prompt=""),
        "fewer dimensions": DenseOptions(dimensions=8),
        "shorter texts": DenseOptions(max_tokens=5),
        "cosine": DenseOptions(similarity="cosine"),
    }
    name, hashes = str(folders["prompts"]), set()
    for options in asked.values():
        made = SentenceTransformerEncoder(name, options)
        hashes.add(made.identity.sha256)
        again = SentenceTransformerEncoder(name, DenseOptions.of(made.identity))
        assert again.identity == made.identity
        assert np.array_equal(again.encode_queries(TEXTS), made.encode_queries(TEXTS))
    assert len(hashes) == len(asked), "the hash is of all that makes the vectors"


def test_what_a_folder_says_has_no_bounds(folders: dict[str, Path], tmp_path: Path) -> None:
    model = reference(folders["dot"], "dot")
    model.prompts = {"query": "cat " * 2_000, "document": ""}
    model.save(str(tmp_path / "model"))
    made = SentenceTransformerEncoder(str(tmp_path / "model"))
    endless = replace(made.identity, parameters={**made.identity.parameters, "max_tokens": 10**30})
    assert DenseOptions.of(endless).max_tokens == 10**30
    again = SentenceTransformerEncoder(str(tmp_path / "model"), DenseOptions.of(made.identity))
    assert again.identity == made.identity


def test_dimensions_and_length_are_taken_as_asked(folders: dict[str, Path]) -> None:
    name = str(folders["dot"])
    whole = SentenceTransformerEncoder(name).encode_documents(TEXTS)
    some = SentenceTransformerEncoder(name, DenseOptions(dimensions=8)).encode_documents(TEXTS)
    assert np.array_equal(some, whole[:, :8])
    cut = SentenceTransformerEncoder(name, DenseOptions(max_tokens=5))
    assert cut.recipe.max_tokens == 5
    found = cut.encode_documents(["cat dog bird", "cat dog bird fish horse"])
    assert np.allclose(found[0], found[1], atol=1e-5)
    matryoshka = str(folders["matryoshka"])
    assert SentenceTransformerEncoder(matryoshka, DenseOptions(dimensions=32)).dimension == 32


def test_similarity(folders: dict[str, Path], tmp_path: Path) -> None:
    dot = str(folders["dot"])
    units = SentenceTransformerEncoder(dot, DenseOptions(similarity="cosine"))
    assert np.linalg.norm(units.encode_queries(TEXTS), axis=1) == pytest.approx(1, abs=1e-5)
    asked = DenseOptions(similarity="dot")
    normalising = SentenceTransformerEncoder(str(folders["normalising"]), asked)
    assert normalising.recipe.similarity == "cosine", "of unit vectors both are one"
    asked = DenseOptions(similarity="dot", dimensions=8)
    cut = SentenceTransformerEncoder(str(folders["normalising"]), asked)
    assert cut.recipe.similarity == "dot", "which are none once they are cut"
    euclidean = tmp_path / "euclidean"
    model = reference(folders["dot"], "dot")
    model.similarity_fn_name = "euclidean"
    model.save(str(euclidean))
    with pytest.raises(InputError, match="compares vectors by euclidean distance, and here"):
        SentenceTransformerEncoder(str(euclidean))
    chosen = SentenceTransformerEncoder(str(euclidean), DenseOptions(similarity="dot"))
    assert chosen.recipe.similarity == "dot"


def test_a_prompt_for_passages_is_one_for_documents(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    model = reference(folders["dot"], "dot")
    model.prompts = {"query": "find ", "passage": "read ", "document": ""}
    model.save(str(tmp_path / "model"))
    recipe = SentenceTransformerEncoder(str(tmp_path / "model")).recipe
    assert (recipe.query_prompt, recipe.document_prompt) == ("find ", "read ")


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("dot", DenseOptions(pooling="mean"), "pools by cls, as its folder says"),
        ("dot", DenseOptions(dimensions=33), "gives 32 dimensions, and 33 are asked for"),
        ("dot", DenseOptions(max_tokens=65), "reads 64 tokens at most, and max_tokens is 65"),
    ],
)
def test_models_that_cannot_be_as_asked(
    folders: dict[str, Path], kind: str, options: DenseOptions, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        SentenceTransformerEncoder(str(folders[kind]), options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"similarity": "euclidean"}, "no similarity 'euclidean'; choose cosine, dot"),
        ({"pooling": "middle"}, "no pooling 'middle'; choose cls, lasttoken"),
        ({"dimensions": 0}, "dimensions is 0; give a whole number from 1 on"),
        ({"max_tokens": -1}, "max_tokens is -1"),
        ({"query_prompt": "x" * 4_097}, "query_prompt has 4,097 characters"),
    ],
)
def test_wrong_options(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DenseOptions(**wrong)


def test_options_without_a_model_that_takes_them(folders: dict[str, Path], tmp_path: Path) -> None:
    options = DenseOptions(dimensions=8, query_prompt="")
    assert options.given() == {"dimensions": 8, "query_prompt": ""}
    with pytest.raises(InputError, match="query_prompt, dimensions of a dense model without one"):
        open_dense("none", options)
    encoder = SentenceTransformerEncoder(str(folders["plain"]))
    assert as_dense(encoder, DenseOptions()) is encoder
    with pytest.raises(InputError, match="cannot be chosen of a dense encoder that is open"):
        as_dense(encoder, options)
    (tmp_path / "lsr-onnx.json").write_text("{}")
    with pytest.raises(InputError, match="query_prompt, dimensions cannot be chosen any more"):
        open_dense(str(tmp_path), options)


def test_what_lsr_0_1_made_is_made_again(folders: dict[str, Path], tmp_path: Path) -> None:
    """Unit vectors, and the default prompt for all; by the hash of the weights alone."""
    model = reference(folders["prompts"], "prompts")
    model.default_prompt_name = "query"
    model.save(str(tmp_path / "model"))
    name = str(tmp_path / "model")
    expected = model.encode(TEXTS, normalize_embeddings=True)
    new = SentenceTransformerEncoder(name)
    identity = EncoderIdentity("dense", name, "", {"dimension": 32, "max_tokens": 64})
    old = SentenceTransformerEncoder(name, DenseOptions.of(identity))
    assert old.recipe.is_old
    assert old.identity.parameters == identity.parameters
    assert old.identity.sha256 == _weights_hash(model) != new.identity.sha256
    for vectors in (old.encode_queries(TEXTS), old.encode_documents(TEXTS)):
        assert vectors == pytest.approx(expected, abs=1e-5)
    plain = SentenceTransformerEncoder(str(folders["plain"]))
    assert plain.identity.sha256 == _weights_hash(plain.model), "there is nothing to add"


def test_an_export_of_lsr_0_1(folders: dict[str, Path], tmp_path: Path) -> None:
    export = tmp_path / "export"
    made = export_onnx(str(folders["plain"]), export)
    before = OnnxEncoder(export).encode_queries(TEXTS)
    content = json.loads((export / "lsr-onnx.json").read_text("utf-8"))
    content.pop("sha256_of_this", None)
    recipe = content.pop("recipe")
    assert DenseRecipe(**recipe).similarity == "cosine"
    sizes = {name: recipe[name] for name in ("dimension", "max_tokens")}
    old = {"model": content["model"], "sha256": made.identity.sha256, **sizes, "prompt": "find "}
    old |= {"inputs": content["inputs"], "files": content["files"], "format_version": 1}
    (export / "lsr-onnx.json").write_text(signed(old), "utf-8")
    encoder = OnnxEncoder(export)
    assert encoder.identity == EncoderIdentity(
        "dense", made.identity.name, made.identity.sha256, sizes
    )
    asked = [f"find {text}" for text in TEXTS]
    for vectors in (encoder.encode_queries(TEXTS), encoder.encode_documents(TEXTS)):
        assert vectors == pytest.approx(
            SentenceTransformerEncoder(str(folders["plain"])).encode_queries(asked), abs=1e-5
        )
        assert np.abs(vectors - before).max() > 1e-3


def test_exports_by_other_options_lie_beside_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(
        "lsr.encoders.dense.SentenceTransformerEncoder", lambda name, options: "torch"
    )
    monkeypatch.setattr("lsr.encoders.dense.OnnxEncoder", lambda folder: folder.name)
    short = DenseOptions(dimensions=8)
    made = {}
    for options, sha256 in ((None, "whole"), (short, "short")):
        folder = cached_export("a/b", options)
        folder.mkdir(parents=True)
        OnnxDescription("a/b", sha256, DenseRecipe(8, 64), (), {}).write(folder)
        made[sha256] = folder.name
    assert len(cached_exports("a/b")) == 2

    def opened(name: str, **how: Any) -> object:
        return open_dense_encoder(name, **how)

    assert opened("a/b") == made["whole"]
    assert opened("a/b", options=short) == made["short"]
    assert opened("a/b", options=DenseOptions(dimensions=9)) == "torch"
    for sha256, name in made.items():
        assert opened("a/b", options=DenseOptions(dimensions=3), sha256=sha256) == name
    old = cached_export("old")
    old.mkdir()
    OnnxDescription("old", "x", DenseRecipe(8, 64, is_old=True), (), {}).write(old)
    assert opened("old") == "torch", "who knows how its vectors are to be made"


def test_pooling_without_the_prompt_is_not_exported(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    model = reference(folders["prompts"], "prompts")
    model.set_pooling_include_prompt(False)
    model.save(str(tmp_path / "model"))
    expected = model.encode_query(TEXTS)
    encoder = SentenceTransformerEncoder(str(tmp_path / "model"))
    assert_same(encoder.encode_queries(TEXTS), expected)
    with pytest.raises(InputError, match="cannot be exported .*pools without the prompt's tokens"):
        export_onnx(str(tmp_path / "model"), tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()
