"""Dense models that bring code along: it runs where its user trusted that very code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import lsr
import lsr.encoders.model_code
from lsr.encoders.dense import SentenceTransformerEncoder
from lsr.encoders.dense_recipe import DenseOptions
from lsr.encoders.model_code import ModelCode, brings_code
from lsr.encoders.registry import as_dense, coded_models, learned_options, open_dense
from lsr.errors import IndexVersionError, InputError, UnavailableError
from lsr.evaluation.models import Models
from tests.support.command_line import done, refused
from tests.support.dense_models import DENSE_CODE, dense_model_folder, dense_with_own_code
from tests.support.model_zoo import with_own_code

TEXTS = ["the cat eats fish", "a tree by the river", "king and queen of the island"]
TRUSTED = DenseOptions(trust_remote_code=True)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return dense_with_own_code(tmp_path / "dense")


def rows(folder: Path) -> Path:
    corpus = folder / "corpus.jsonl"
    lines = [json.dumps({"_id": f"{n}", "text": text}) + "\n" for n, text in enumerate(TEXTS)]
    corpus.write_text("".join(lines))
    return corpus


def test_code_runs_only_where_it_is_trusted(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="runs code of its own, which is not run unless you trust"):
        open_dense(str(model))
    encoder = open_dense(str(model), TRUSTED)
    assert encoder is not None
    plain = SentenceTransformerEncoder(str(dense_model_folder(tmp_path / "plain", "dot")))
    vectors = encoder.encode_documents(TEXTS)
    assert np.abs(vectors - 2 * plain.encode_documents(TEXTS)).max() < 1e-5
    assert encoder.identity.parameters["code_sha256"]
    assert "code_sha256" not in plain.identity.parameters
    with pytest.raises(InputError, match="runs code of its own"):
        open_dense(str(model))  # every opening by name says so itself


def test_there_must_be_code_to_trust(tmp_path: Path) -> None:
    plain = dense_model_folder(tmp_path, "dot")
    with pytest.raises(InputError, match=r"no code of its own.*leave trust_remote_code"):
        open_dense(str(plain), TRUSTED)
    with pytest.raises(InputError, match="trust_remote_code of a dense model without one"):
        open_dense("none", TRUSTED)
    with pytest.raises(InputError, match="trust_remote_code cannot be chosen of a dense encoder"):
        as_dense(SentenceTransformerEncoder(str(plain)), TRUSTED)


def test_an_index_does_not_bring_trust_along(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [lsr.Document(f"{n}", text) for n, text in enumerate(TEXTS)]
    index = tmp_path / "index"
    lsr.build(documents, index, sparse="bm25", dense=str(model), dense_options=TRUSTED)

    def found() -> list[str]:
        with lsr.open(index) as opened:
            return [hit.document.doc_id for hit in opened.search(TEXTS[1], mode="dense").hits]

    assert len(found()) == len(TEXTS)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("XDG_CACHE_HOME", str(tmp_path / "another-user"))
        with pytest.raises(UnavailableError, match=r"not trusted on this machine.*lsr index build"):
            found()
        told = refused("search", index, "tree", "--mode", "dense")
        assert f"--dense {model} --trust-remote-code" in told
        assert json.loads(done("search", index, "tree", "--mode", "sparse", "--json"))["hits"]
    (model / "modeling.py").write_text(DENSE_CODE.replace("* 2", "* 3"))
    with pytest.raises(IndexVersionError, match="does not bring the code along that made"):
        found()


def test_changed_code_is_another_identity(model: Path) -> None:
    first = open_dense(str(model), TRUSTED)
    (model / "modeling.py").write_text(DENSE_CODE.replace("* 2", "* 3"))
    other = open_dense(str(model), TRUSTED)
    assert first is not None
    assert other is not None
    assert first.identity.sha256 != other.identity.sha256


def test_code_of_another_repository_counts(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of gte-large-en-v1.5, whose classes are in Alibaba-NLP/new-impl."""
    config = json.loads((model / "config.json").read_text())
    config["auto_map"] = {
        kind: f"some-owner/new-impl--{name}" for kind, name in config["auto_map"].items()
    }
    (model / "config.json").write_text(json.dumps(config))
    (model / "modeling.py").unlink()
    with pytest.raises(InputError, match="runs code of some-owner/new-impl, which is not on this"):
        ModelCode.of(str(model))
    elsewhere = tmp_path / "new-impl"
    elsewhere.mkdir()
    (elsewhere / "modeling.py").write_text(DENSE_CODE)

    def of_hub(name: str, **_: object) -> Path:
        assert name == "some-owner/new-impl"
        return elsewhere

    monkeypatch.setattr(lsr.encoders.model_code, "_of_hub", of_hub)
    first = ModelCode.of(str(model))
    (elsewhere / "modeling.py").write_text(DENSE_CODE + "\n")
    other = ModelCode.of(str(model))
    assert first is not None
    assert other is not None
    assert first.sha256 != other.sha256


def test_modules_and_tokenizers_of_its_own_are_code(tmp_path: Path) -> None:
    folder = dense_model_folder(tmp_path, "dot")
    assert not brings_code(str(folder))
    assert ModelCode.of(str(folder)) is None
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    named = tokenizer | {"auto_map": {"AutoTokenizer": ["tokens.Own", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))
    assert brings_code(str(folder))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "some-owner/flash--custom_st.Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    assert brings_code(str(folder))
    assert not brings_code("none")
    assert not brings_code("some-owner/that-is-nowhere")


def test_an_export_to_onnx_needs_no_trust(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript")
    out = tmp_path / "out"
    assert "give --trust-remote-code to" in refused("export-onnx", model, out)
    assert not out.exists()
    done("export-onnx", model, out, "--trust-remote-code")
    torch = open_dense(str(model), TRUSTED)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another-user"))
    exported = open_dense(str(out))
    assert exported is not None
    assert torch is not None
    assert exported.identity == torch.identity
    found, expected = (each.encode_documents(TEXTS) for each in (exported, torch))
    assert np.abs(found - expected).max() < 1e-4
    with pytest.raises(InputError, match="whose trust_remote_code cannot be chosen any more"):
        open_dense(str(out), TRUSTED)


def test_an_evaluation_trusts_models_that_bring_code(model: Path, tmp_path: Path) -> None:
    plain, learned = dense_model_folder(tmp_path / "plain", "dot"), with_own_code(tmp_path / "m")
    models = Models(learned_options(trust_remote_code=True), TRUSTED)
    models.check([str(learned), "doc-mini"], [str(model), str(plain)])
    assert models.identity("dense", str(model))["code_sha256"]
    assert "code_sha256" not in models.identity("dense", str(plain))
    with pytest.raises(InputError, match="no model that is named .* brings code of its own"):
        models.check(["doc-mini"], [str(plain)])
    with pytest.raises(InputError, match="runs code of its own, which is not run unless"):
        Models().check([], [str(model)])


def test_of_two_models_those_with_code_are_trusted(model: Path, tmp_path: Path) -> None:
    corpus, index, flag = rows(tmp_path), tmp_path / "index", "--trust-remote-code"
    plain = dense_model_folder(tmp_path / "plain", "dot")
    build = ("index", "build", corpus, index, "--dense")
    told = refused(*build, plain, "--sparse", "bm25", flag)
    assert f"no model that is named (bm25, {plain}) brings code" in told
    assert "give --trust-remote-code to lsr index build" in refused(*build, model)
    assert not index.exists()
    done(*build, model, "--sparse", "bm25", flag)
    assert json.loads(done("search", index, "tree", "--mode", "hybrid", "--json"))["hits"]
    learned = with_own_code(tmp_path / "sparse")
    done(*build, plain, "--sparse", learned, flag)
    done(*build, model, "--sparse", learned, flag)
    assert coded_models([str(plain), str(model), "none"]) == {str(model)}
