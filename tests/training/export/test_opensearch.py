"""Exports for OpenSearch, sentence-transformers and Anserini: read again, and the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.learned.encoder import LearnedOptions, open_learned
from lsr.encoders.learned.model_folder import ModelFolder
from tests.support.command_line import done, refused
from tests.support.learned_models import TEXTS, inference_free, symmetric

FULL = [text for text in TEXTS if text]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inference_free(tmp_path_factory.mktemp("free"), twice=True)


def _same(first: Path, second: Path) -> bool:
    a, b = (open_learned(str(folder), LearnedOptions("fp32")) for folder in (first, second))
    queries = [to_scipy(e.encode_queries(TEXTS)).toarray() for e in (a, b)]
    documents = [to_scipy(e.encode_documents(TEXTS)).toarray() for e in (a, b)]
    assert documents[0].any()
    return bool(
        np.abs(queries[0] - queries[1]).max() < 1e-6
        and np.abs(documents[0] - documents[1]).max() < 1e-5
    )


def test_opensearch_layout(model: Path, tmp_path: Path) -> None:
    from sentence_transformers import SparseEncoder
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    out = tmp_path / "out"
    done("export", model, out, "--format", "opensearch")
    tokenizer = AutoTokenizer.from_pretrained(out)
    network = AutoModelForMaskedLM.from_pretrained(out)
    assert network.config.vocab_size == len(tokenizer)
    idf = json.loads((out / "idf.json").read_text())
    table = open_learned(str(model), LearnedOptions("fp32")).query_weights
    assert table is not None
    assert len(idf) == int((table > 0).sum())
    assert idf["cat"] == pytest.approx(float(table[tokenizer.vocab["cat"]]), abs=1e-6)
    assert "[PAD]" not in idf
    whole = SparseEncoder(str(out)).encode_document(FULL, convert_to_sparse_tensor=False)
    before = SparseEncoder(str(model)).encode_document(FULL, convert_to_sparse_tensor=False)
    assert np.abs(whole.numpy() - before.numpy()).max() < 1e-6
    assert _same(model, out)
    for file in (out / "query_0_SparseStaticEmbedding").glob("model.*"):
        file.unlink()  # idf.json alone says the same
    assert ModelFolder.open(str(out)).query is not None
    assert _same_queries(model, out)


def _same_queries(first: Path, second: Path) -> bool:
    a, b = (open_learned(str(folder), LearnedOptions("fp32")) for folder in (first, second))
    found = [to_scipy(e.encode_queries(TEXTS)).toarray() for e in (a, b)]
    return bool(np.abs(found[0] - found[1]).max() < 1e-6)


def test_sentence_transformers_layout(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done("export", model, out, "--format", "sentence-transformers")
    assert _same(model, out)
    done("export", model, out, "--format", "sentence-transformers")  # its own is replaced
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    wrong = refused("export", model, tmp_path / "mine", "--format", "sentence-transformers")
    assert "is not replaced" in wrong
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out"]


def test_impacts_for_anserini(model: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"_id": "a", "text": "the cat"}\n{"_id": "b", "text": "a wolf"}\n')
    out = tmp_path / "out"
    done("export", model, out, "--format", "anserini", "--corpus", corpus)
    encoder = open_learned(str(model))
    (shard,) = (out / "collection").glob("*.jsonl")
    line = json.loads(shard.read_text().splitlines()[0])
    assert (line["id"], line["contents"]) == ("a", "the cat")
    vector = encoder.encode_documents(["the cat"]).row(0)
    exact = {
        encoder.term(term): weight * 100
        for term, weight in zip(vector.terms.tolist(), vector.weights.tolist(), strict=True)
    }
    assert all(isinstance(impact, int) for impact in line["vector"].values())
    assert set(line["vector"]) == {token for token, weight in exact.items() if round(weight)}
    assert all(abs(exact[token] - impact) <= 0.51 for token, impact in line["vector"].items())
    rows = [row.split("\t") for row in (out / "query-weights.tsv").read_text().splitlines()]
    table = {token: float(weight) for token, weight in rows}
    (cat,) = encoder.find_terms(["cat"])
    assert encoder.query_weights is not None
    assert table["cat"] == pytest.approx(float(encoder.query_weights[cat]), rel=1e-5)


def test_symmetric_models_have_no_table_to_export(tmp_path: Path) -> None:
    folder = symmetric(tmp_path)
    assert "no query table" in refused("export", folder, tmp_path / "out", "--format", "opensearch")
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"_id": "a", "text": "the cat"}\n')
    wrong = refused("export", folder, tmp_path / "out", "--format", "anserini", "--corpus", corpus)
    assert "by a network" in wrong
    assert not (tmp_path / "out").exists()
