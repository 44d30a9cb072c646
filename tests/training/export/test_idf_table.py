"""Query tables from a corpus: by hand, as files, and in a model's folder."""

from __future__ import annotations

import json
import os
from math import log
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lsr.encoders.learned.model_folder import ModelFolder
from lsr.errors import DataError, InputError, StorageError
from lsr.training.data.tokens import special_ids, tokenize
from lsr.training.export.idf_table import (
    corpus_table,
    read_idf_json,
    replace_query_table,
    table_of,
    write_idf_json,
)
from tests.support.tiny_models import tiny_tokenizer

TEXTS = ["cat cat dog", "cat", "the heart", "[SEP]"]


def query_model(folder: Path, weights: NDArray[np.float32] | None = None) -> Path:
    """A SparseEncoder of a query table alone, saved; documents go by the table too."""
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sentence_transformer.modules import Router
    from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding

    tokenizer = tiny_tokenizer()
    if weights is None:
        weights = np.full(len(tokenizer), 7, np.float32)
        weights[special_ids(tokenizer)] = 0
    sides = [
        SparseStaticEmbedding(tokenizer, torch.from_numpy(weights.copy()), frozen=True)
        for _ in range(2)
    ]
    router = Router.for_query_document([sides[0]], [sides[1]])
    SparseEncoder(modules=[router], device="cpu").save_pretrained(str(folder))
    return folder


def test_a_table_by_hand() -> None:
    tokenizer = tiny_tokenizer()
    special = special_ids(tokenizer)
    number = tokenizer.get_vocab()
    tokenized = tokenize(TEXTS, tokenizer)
    n_terms = len(tokenizer) + 3
    table = table_of(tokenized, n_terms, special)
    assert table.shape == (n_terms,)
    assert table.dtype == np.float32
    twice, once = log(1 + 2.5 / 2.5), log(1 + 3.5 / 1.5)
    assert table[number["cat"]] == pytest.approx(twice, abs=1e-6)
    assert table[number["dog"]] == pytest.approx(once, abs=1e-6)
    assert table[number["bird"]] == table[-1] == table[number["dog"]]
    assert table[special].tolist() == [0.0] * 5
    shipped = table_of(tokenized, n_terms, special, unseen=1.0)
    assert shipped[number["bird"]] == shipped[-1] == 1.0
    assert shipped[number["cat"]] == table[number["cat"]]
    assert shipped[special].tolist() == [0.0] * 5
    with pytest.raises(InputError, match="weight of unseen terms is -1"):
        table_of(tokenized, n_terms, special, unseen=-1)


def test_a_corpus_table_is_between_the_corpus_and_the_model(tmp_path: Path) -> None:
    model = ModelFolder.open(str(query_model(tmp_path / "model")))
    number = tiny_tokenizer().get_vocab()
    told: list[int] = []
    own = corpus_table(iter(TEXTS), model, 0, lambda stage, done, total: told.append(done))
    twice = log(1 + 2.5 / 2.5)
    assert own.weights[number["cat"]] == pytest.approx(twice, abs=1e-6)
    assert own.weights[:5].tolist() == [0.0] * 5
    assert (own.n_documents, own.n_seen, told) == (4, 5, [4])
    drawn = corpus_table(TEXTS, model, 12)
    assert drawn.weights[number["cat"]] == pytest.approx((4 * twice + 12 * 7) / 16, abs=1e-6)
    with pytest.raises(InputError, match="no documents"):
        corpus_table([], model)


def test_many_documents_are_counted_in_blocks(tmp_path: Path) -> None:
    model = ModelFolder.open(str(query_model(tmp_path / "model")))
    number = tiny_tokenizer().get_vocab()
    table = corpus_table(("cat" if i % 2 else "dog" for i in range(9000)), model, 0)
    assert table.n_documents == 9000
    expected = log(1 + 4500.5 / 4500.5)
    assert table.weights[number["cat"]] == pytest.approx(expected, abs=1e-6)
    assert table.weights[number["dog"]] == pytest.approx(expected, abs=1e-6)


def test_a_file_gives_back_the_same_bits(tmp_path: Path) -> None:
    vocabulary = {"b": 1, "a": 0, "é": 2, "##x": 4}
    weights = np.array([0.1, 1 / 3, 15.5895, 9, 1e-7], np.float32)
    write_idf_json(tmp_path / "idf.json", vocabulary, weights)
    again = read_idf_json(tmp_path / "idf.json", vocabulary, 5)
    assert again.tolist() == [*weights[:3].tolist(), 0.0, weights[4].item()]
    assert list(json.loads((tmp_path / "idf.json").read_text("utf-8"))) == ["a", "b", "é", "##x"]
    assert [path.name for path in tmp_path.iterdir()] == ["idf.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[1]", "a JSON object"),
        ('{"a": "1"}', "weight of 'a' is not a number"),
        ('{"a": true}', "weight of 'a' is not a number"),
        ('{"a": -1}', "must be 0 or more"),
        ('{"a": NaN}', "must be 0 or more"),
        ('{"z": 1}', "token 'z' is not in the vocabulary"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "idf.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read_idf_json(tmp_path / "idf.json", {"a": 0}, 1)
    with pytest.raises(DataError, match="cannot be read"):
        read_idf_json(tmp_path / "absent.json", {"a": 0}, 1)


def test_a_replaced_table_is_what_sentence_transformers_reads(tmp_path: Path) -> None:
    from sentence_transformers import SparseEncoder

    folder = query_model(tmp_path / "model")
    model = ModelFolder.open(str(folder))
    table = corpus_table(TEXTS, model, 100)
    file = replace_query_table(model, table.vocabulary, table.weights)
    assert model.query is not None
    assert file == model.query / "model.safetensors"
    again = ModelFolder.open(str(folder)).query_weights(table.vocabulary)
    assert again.tolist() == table.weights.tolist()
    encoder = SparseEncoder(str(folder), device="cpu")
    vector = encoder.encode_query(["cat cat dog"], show_progress_bar=False).to_dense()[0].numpy()
    terms = [table.vocabulary["cat"], table.vocabulary["dog"]]
    assert vector[terms].tolist() == table.weights[terms].tolist()
    assert np.count_nonzero(vector) == 2
    unchanged = encoder.encode_document(["cat"], show_progress_bar=False).to_dense()[0].numpy()
    assert unchanged[terms[0]] == 7


def test_a_model_with_idf_json_beside_it(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    vocabulary = tokenizer.get_vocab()
    write_idf_json(tmp_path / "idf.json", vocabulary, np.full(len(vocabulary), 7, np.float32))
    model = ModelFolder.open(str(tmp_path))
    table = corpus_table(TEXTS, model, 12)
    file = replace_query_table(model, table.vocabulary, table.weights)
    assert file == tmp_path / "idf.json"
    assert model.query_weights(vocabulary).tolist() == table.weights.tolist()


def test_a_refused_or_failed_replacement_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = query_model(tmp_path / "model")
    model = ModelFolder.open(str(folder))
    assert model.query is not None
    before = (model.query / "model.safetensors").read_bytes()
    files = sorted(path.name for path in model.query.iterdir())
    vocabulary = tiny_tokenizer().get_vocab()
    weights = np.ones(len(vocabulary), np.float32)
    with pytest.raises(InputError, match="and this 3"):
        replace_query_table(model, vocabulary, weights[:3])

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        replace_query_table(model, vocabulary, weights)
    monkeypatch.undo()
    assert (model.query / "model.safetensors").read_bytes() == before
    assert sorted(path.name for path in model.query.iterdir()) == files


def test_a_file_that_holds_more_is_left_alone(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    model = ModelFolder.open(str(query_model(tmp_path / "model")))
    assert model.query is not None
    vocabulary = tiny_tokenizer().get_vocab()
    weights = np.ones(len(vocabulary), np.float32)
    save_file({"weight": weights, "more": weights}, model.query / "model.safetensors")
    with pytest.raises(DataError, match="holds more than the table"):
        replace_query_table(model, vocabulary, weights)
