"""Document expansion: from files, and by models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.encoders.expansion import Seq2SeqExpander, TildeExpander, expanded, read_expansions
from lsr.errors import DataError, InputError
from tests.support.tiny_models import tiny_base, tiny_tokenizer


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    records: list[dict[str, object]] = [
        {"doc_id": "d", "queries": ["what is it", "why"]},
        {"id": 3, "predicted_queries": []},
        {"doc_id": "d", "terms": ["more"]},
    ]
    path.write_text("\n".join(json.dumps(record) for record in records))
    assert read_expansions(path) == {"d": ["what is it", "why", "more"], "3": []}
    assert expanded("text", ["a b", "c"]) == "text a b c"
    assert expanded("", ["c"]) == "c"
    assert expanded("text", []) == "text"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"queries": ["x"]}', "line 1: an expansion needs doc_id"),
        ('\n{"doc_id": "d"}', "line 2: an expansion needs queries or terms"),
        ('{"doc_id": "d", "terms": "x"}', "a list of texts"),
        ('{"doc_id": "d", "terms": [1]}', "a list of texts"),
        ("", "holds no expansions"),
        ("[]", "a JSON object is needed"),
    ],
)
def test_wrong_files(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(DataError, match=message):
        read_expansions(tmp_path / "a.jsonl")


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    folder = tmp_path_factory.mktemp("t5")
    tokenizer = tiny_tokenizer()
    more: dict[str, Any] = {"decoder_start_token_id": 0}
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        pad_token_id=0,
        eos_token_id=3,
        **more,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_sampled_queries_hang_on_text_and_seed_alone(t5: Path) -> None:
    import torch

    options: dict[str, Any] = {"n_queries": 3, "max_query_tokens": 5}
    expander = Seq2SeqExpander(str(t5), **options)
    told: list[int] = []
    state = torch.get_rng_state()
    both = expander.expand(["the cat", " ", "a dog"], lambda stage, done, total: told.append(done))
    assert torch.equal(torch.get_rng_state(), state)
    assert [len(queries) for queries in both] == [3, 0, 3]
    assert expander.expand(["a dog"]) == both[2:]
    assert both[0] != both[2]
    assert len(set(both[0])) > 1
    assert told == [1, 3]
    other = Seq2SeqExpander(str(t5), seed=1, **options)
    assert other.expand(["a dog"]) != both[2:]


def test_code_of_a_model_is_neither_run_nor_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("builtins.input", asked.append)
    names = {"AutoConfig": "own.Config", "AutoModelForSeq2SeqLM": "own.Model"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": names}))
    (tmp_path / "own.py").write_text("raise AssertionError('it ran')")
    with pytest.raises(InputError, match="cannot be loaded as sequence-to-sequence"):
        Seq2SeqExpander(str(tmp_path))
    assert asked == []


def test_models_that_cannot_be_used(tmp_path: Path) -> None:
    no_model: Any = None
    with pytest.raises(InputError, match="cannot be loaded as sequence-to-sequence"):
        Seq2SeqExpander(str(tmp_path))
    with pytest.raises(InputError, match="1 or more"):
        Seq2SeqExpander(str(tmp_path), n_queries=0)
    with pytest.raises(InputError, match="n_terms must be 1 or more"):
        TildeExpander(no_model, n_terms=0)


def test_terms_are_the_heaviest_that_the_text_lacks(tmp_path: Path) -> None:
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sparse_encoder.modules import SpladePooling

    base = tiny_base(tmp_path / "base")
    transformer = Transformer(str(base), transformer_task="fill-mask")
    model = SparseEncoder(modules=[transformer, SpladePooling()], device="cpu")
    texts = ["the cat", "a dog and a bird", "zebra"]
    weights = model.encode_document(texts, show_progress_bar=False).to_dense().numpy()
    tokenizer = tiny_tokenizer()
    tokens = {number: token for token, number in tokenizer.get_vocab().items()}
    found = TildeExpander(model, n_terms=4, batch_size=2).expand(texts)
    for text, row, terms in zip(texts, weights, found, strict=True):
        own = set(tokenizer(text)["input_ids"])
        expected = [
            tokens[int(term)]
            for term in np.argsort(-row, kind="stable")
            if row[term] > 0 and term not in own and tokens[int(term)][0] not in "[#"
        ]
        assert terms == expected[:4]
        assert len(terms) == 4
        assert not set(tokenizer.tokenize(" ".join(terms))) & set(tokenizer.tokenize(text))
