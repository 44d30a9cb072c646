"""Published models load in their own layouts, with sentence-transformers' vectors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr import load_encoder
from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.learned.encoder import AnyLearned, LearnedOptions, load_learned, open_learned
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.tokenizer import WordPieces
from lsr.errors import DataError, InputError
from lsr.sparse import CSR
from tests.support.command_line import done, refused
from tests.support.learned_models import TEXTS
from tests.support.model_zoo import OWN_CODE, ZOO, doc_v2, splade_v2_max, two_models, with_own_code

FULL = [text for text in TEXTS if text]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _plain(folder: Path, side: str, **options: Any) -> Any:
    """Vectors of sentence-transformers, one text at a time, so that nothing is padded."""
    from sentence_transformers import SparseEncoder

    model = SparseEncoder(str(folder), device="cpu", local_files_only=True, **options)
    encode = getattr(model, f"encode_{side}")
    return np.stack([encode(t, convert_to_sparse_tensor=False).numpy() for t in FULL])


def _dense(vectors: CSR) -> Any:
    vectors.validate()
    return to_scipy(vectors).toarray()


def _fp32(folder: Path, **options: Any) -> AnyLearned:
    return open_learned(str(folder), LearnedOptions("fp32", **options))


@pytest.mark.parametrize("layout", ZOO)
def test_vectors_are_those_of_sentence_transformers(layout: str, tmp_path: Path) -> None:
    folder = ZOO[layout](tmp_path)
    encoder = _fp32(folder)
    for side in ("query", "document"):
        encode = encoder.encode_queries if side == "query" else encoder.encode_documents
        expected = _plain(folder, side)
        assert expected.any(axis=1).all()
        assert np.abs(_dense(encode(FULL)) - expected).max() < 1e-6


def test_idf_beside_the_network_weighs_queries(tmp_path: Path) -> None:
    folder = doc_v2(tmp_path)
    encoder = _fp32(folder)
    assert np.abs(_dense(encoder.encode_documents(FULL)) - _plain(folder, "document")).max() < 1e-6
    assert encoder.encode_queries(["the cat dog"]).weights.tolist() == [0.125, 2.5]


def test_a_vocabulary_alone_cuts_as_transformers_does(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = splade_v2_max(tmp_path)
    texts = [*FULL, "naïve CAFÉ 東京 [MASK] dog", "x" * 200, "don't `quote` ~ {a|b}"]
    for said in ({}, {"do_lower_case": False}, {"strip_accents": False}):
        config = {"tokenizer_class": "BertTokenizer", **said}
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        expected = AutoTokenizer.from_pretrained(folder)(texts, add_special_tokens=False)
        pieces = WordPieces(ModelFolder.open(str(folder)).tokenizer_json())
        assert [list(pieces.encode_one(text)) for text in texts] == expected["input_ids"]
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertJapaneseTokenizer"}')
    with pytest.raises(DataError, match="BertJapaneseTokenizer and no tokenizer.json"):
        ModelFolder.open(str(folder)).tokenizer_json()
    (folder / "tokenizer_config.json").unlink()
    (folder / "vocab.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is no vocabulary of a BERT"):
        ModelFolder.open(str(folder)).tokenizer_json()


def test_code_of_its_own_runs_only_where_it_is_trusted(tmp_path: Path) -> None:
    folder = with_own_code(tmp_path / "m")
    untrusted = _fp32(folder)
    assert untrusted.encode_queries(["the cat"]).nnz == 2, "queries run no code"
    with pytest.raises(InputError, match="give --trust-remote-code to lsr index build"):
        untrusted.encode_documents(FULL)
    encoder = _fp32(folder, trust_remote_code=True)
    expected = _plain(folder, "document", trust_remote_code=True)
    assert np.abs(_dense(encoder.encode_documents(FULL)) - expected).max() < 1e-6
    with pytest.raises(InputError, match=r"no code of its own along.*leave --trust-remote-code"):
        _fp32(ZOO["doc_v3"](tmp_path / "other"), trust_remote_code=True)


def test_an_index_does_not_bring_trust_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trust stays with the user who gave it, and goes when the code changes."""
    folder, saved = with_own_code(tmp_path / "m"), tmp_path / "saved"
    saved.mkdir()
    load_encoder(str(folder), trust_remote_code=True).save(saved)
    assert load_learned(saved).encode_documents(["the cat"]).nnz
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("XDG_CACHE_HOME", str(tmp_path / "another-user"))
        with pytest.raises(InputError, match=r"you have not trusted on this machine; read it"):
            load_learned(saved).encode_documents(["the cat"])
    (folder / "modeling.py").write_text(OWN_CODE.replace("* 2", "* 3"))
    with pytest.raises(InputError, match="is not the one it was"):
        load_learned(saved).encode_documents(["the cat"])


def test_two_models_of_one_vocabulary(tmp_path: Path) -> None:
    document, query = two_models(tmp_path)
    encoder = _fp32(document, query_model=str(query))
    assert (
        np.abs(_dense(encoder.encode_documents(FULL)) - _plain(document, "document")).max() < 1e-6
    )
    assert np.abs(_dense(encoder.encode_queries(FULL)) - _plain(query, "query")).max() < 1e-6
    assert encoder.identity.parameters["query_model"] == "query"
    assert encoder.identity.sha256 != _fp32(document).identity.sha256
    saved = tmp_path / "saved"
    saved.mkdir()
    encoder.save(saved)
    again = load_learned(saved)
    assert again.identity == encoder.identity
    assert np.array_equal(_dense(again.encode_queries(FULL)), _dense(encoder.encode_queries(FULL)))
    shutil.rmtree(query)
    with pytest.raises(InputError, match="'query' is not at"):
        load_learned(saved).encode_queries(["the cat"])


def test_queries_by_the_table_of_another_model(tmp_path: Path) -> None:
    document, _ = two_models(tmp_path)
    table = doc_v2(tmp_path / "table")
    encoder = _fp32(document, query_model=str(table))
    assert encoder.encode_queries(["the cat dog"]).weights.tolist() == [0.125, 2.5]
    assert (
        np.abs(_dense(encoder.encode_documents(FULL)) - _plain(document, "document")).max() < 1e-6
    )


def test_two_vocabularies_are_refused(tmp_path: Path) -> None:
    document, query = two_models(tmp_path)
    tokenizer = json.loads((query / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["cat"], vocabulary["dog"] = vocabulary["dog"], vocabulary["cat"]
    (query / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(InputError, match=r"have two vocabularies .*first that differs is 'cat'"):
        _fp32(document, query_model=str(query))
    with pytest.raises(InputError, match="have two vocabularies"):
        load_encoder("doc-mini", query_model=str(document))


@pytest.mark.parametrize("kind", ["DualEncoder", "MLM", "MLP", "BINARY", "CLS_MLM"])
def test_checkpoints_of_the_framework_are_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, "shared": False}))
    with pytest.raises(InputError, match="checkpoint of thongnt99/learned-sparse-retrieval"):
        open_learned(str(tmp_path))


@pytest.mark.parametrize("make", [with_own_code, two_models])
def test_on_the_command_line(make: Callable[[Path], Any], tmp_path: Path) -> None:
    made = make(tmp_path / "m")
    corpus, index = tmp_path / "corpus.jsonl", tmp_path / "index"
    rows = [{"_id": f"{n}", "text": text} for n, text in enumerate(FULL)]
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if isinstance(made, tuple):
        named = ["--sparse", made[0], "--sparse-query", made[1]]
    else:
        named = ["--sparse", made, "--trust-remote-code"]
        assert "give --trust-remote-code" in refused("index", "build", corpus, index, *named[:2])
        assert not index.exists()
        done("encode", corpus, made, tmp_path / "out", "--trust-remote-code")
    done("index", "build", corpus, index, *named)
    found = json.loads(done("search", index, "the cat", "--json"))
    assert found["hits"]
    assert "takes no" in refused("index", "build", corpus, index, "--sparse", "bm25", *named[2:])
