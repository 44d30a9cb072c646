"""Decoders as bases: read as the config says, trained, saved, and used as any other model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Transformer

from lsr.datasets.vectors.npz import to_scipy
from lsr.encoders.learned.model_folder import ModelFolder
from lsr.encoders.learned.torch_network import TorchNetwork
from lsr.errors import InputError
from lsr.training.config.train import ClsMlm, EncoderConfig, Mlm, Mlp, Table
from lsr.training.config.yaml_file import config_of
from lsr.training.export.onnx import export_sparse_onnx
from lsr.training.export.opensearch import export_opensearch
from lsr.training.loop.metrics_log import read_metrics
from lsr.training.loop.run import train_model
from lsr.training.models.base_network import is_decoder, reads_both_ways
from lsr.training.models.checkpoint import Checkpoint
from lsr.training.models.sparse_encoder import make_model, open_model, save_model
from tests.support.command_line import done
from tests.support.tiny_decoders import tiny_llama, tiny_qwen
from tests.support.tiny_models import WORDS, tiny_base

TEXTS = ["the cat and the dog", "wolf", "a wolf in the forest by the lake"]
ONES = Table(weights="ones")
MAKERS = {"llama": tiny_llama, "qwen": tiny_qwen}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    made = {name: str(make(folder / name)) for name, make in MAKERS.items()}
    return made | {"bert": str(tiny_base(folder / "bert"))}


def model_of(base: str, **given: Any) -> SparseEncoder:
    config = EncoderConfig.model_validate({"base": base, "query": ONES, **given})
    return make_model(config, None, device="cpu").eval()


def vectors(model: SparseEncoder, texts: list[str] = TEXTS) -> torch.Tensor:
    found: torch.Tensor = model.encode_document(texts, convert_to_sparse_tensor=False)
    return found


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("attention", [None, "causal", "bidirectional"])
def test_a_decoder_is_read_as_the_config_says_wherever_it_is_opened(
    bases: dict[str, str], tmp_path: Path, name: str, attention: str | None
) -> None:
    model = model_of(bases[name], attention=attention)
    (network,) = [part for part in model.modules() if isinstance(part, Transformer)]
    assert reads_both_ways(network) == (attention == "bidirectional")
    assert network.model.dtype == torch.float32
    found = vectors(model)
    assert found.shape == (3, len(model.tokenizer))
    assert torch.allclose(vectors(model, TEXTS[1:2])[0], found[1], atol=1e-5), "padding"
    save_model(model, tmp_path / "saved")
    folder = str(tmp_path / "saved")
    for opened in (SparseEncoder(folder, device="cpu"), open_model(folder)):
        assert torch.allclose(vectors(opened), found, rtol=0, atol=1e-5)
    ours = to_scipy(TorchNetwork(ModelFolder.open(folder), "fp32").encode(TEXTS, "document"))
    assert np.allclose(ours.toarray(), found.numpy(), rtol=0, atol=1e-5)


def test_special_tokens_are_no_words(bases: dict[str, str]) -> None:
    """Named ones and others; ends that pad a text are none of it."""
    model = model_of(bases["qwen"], document=Mlp())
    texts = ["cat <|im_start|>", "the cat by the lake"]
    asked = model.encode_query(texts, convert_to_sparse_tensor=False)
    assert not asked[:, :2].any()
    assert int((asked[0] > 0).sum()) > 0
    assert not vectors(model, texts)[:, :2].any()
    assert model.tokenizer.pad_token == "<|endoftext|>"


@pytest.mark.parametrize("name", MAKERS)
def test_a_run_on_a_decoder(bases: dict[str, str], tmp_path: Path, name: str) -> None:
    texts = [" ".join(WORDS[n : n + 8]) for n in range(20, 90, 5)]
    rows = [{"query": " ".join(text.split()[:2]), "positive": text} for text in texts]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    lora = {"rank": 4, "targets": ["q_proj", "v_proj"]} if name == "qwen" else None
    config = {
        "output": str(tmp_path / "run"),
        "encoder": {"base": bases[name], "attention": "bidirectional"},
        "guard": {"max_spread": 1e9, "min_terms": 0},
        "stages": [
            {
                "data": {"sources": [{"path": str(pairs)}]},
                "losses": [{"kind": "infonce"}],
                "regularizer": {"kind": "none"},
                "scores": {"temperature": 0.2},
                "optim": {
                    "steps": 10,
                    "queries": 14,
                    "candidates": 1,
                    "warmup": 0,
                    "lr": 1e-2,
                    "lora": lora,
                    "gradient_checkpointing": True,
                },
            }
        ],
    }
    history: list[float] = []
    outcome = train_model(
        config_of(config, (), "test"), report=lambda *given: history.append(given[3]["loss"])
    )
    assert history[-1] < history[0] - 0.1
    assert read_metrics(tmp_path / "run/metrics.jsonl")[-1]["step"] == 10
    stock = SparseEncoder(str(outcome.model), device="cpu")
    assert torch.allclose(vectors(stock), vectors(open_model(outcome.model)), rtol=0, atol=1e-5)
    corpus = tmp_path / "corpus.jsonl"
    lines = [{"_id": f"d{n}", "text": text} for n, text in enumerate(texts)]
    corpus.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    done("index", "build", corpus, tmp_path / "index", "--sparse", outcome.model)
    assert "d0" in done("search", tmp_path / "index", texts[0])


def test_a_decoder_is_exported_to_onnx(bases: dict[str, str], tmp_path: Path) -> None:
    save_model(model_of(bases["llama"]), tmp_path / "model")
    assert export_sparse_onnx(str(tmp_path / "model"), tmp_path / "onnx").worst_cosine > 0.9999
    with pytest.raises(InputError, match="is no masked language model .* export it to ONNX"):
        export_opensearch(str(tmp_path / "model"), tmp_path / "opensearch")


def test_what_a_base_cannot_be_is_refused(bases: dict[str, str], tmp_path: Path) -> None:
    assert [is_decoder(Checkpoint.of(base)) for base in bases.values()] == [True, True, False]
    with pytest.raises(InputError, match=r"encoder\.attention is of decoders, .*bert.* is none"):
        model_of(bases["bert"], attention="bidirectional")
    with pytest.raises(InputError, match=r"encoder\.document is cls_mlm, .* set encoder.attention"):
        model_of(bases["llama"], document=ClsMlm())
    model_of(bases["llama"], document=ClsMlm(), attention="bidirectional")
    save_model(model_of(bases["llama"], query=Mlm(), document=Mlm()), tmp_path / "finished")
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(json.dumps({"query": "cat", "positive": "the cat"}) + "\n")
    for base, given, said in (
        (bases["llama"], {"warm_start": {"steps": 1}}, "warm_start grows .* is a decoder"),
        (str(tmp_path / "finished"), {}, r"encoder\.attention: .* finished sparse encoder"),
    ):
        config = {
            "output": str(tmp_path / f"run-{Path(base).name}"),
            "encoder": {"base": base, "attention": "causal"},
            "stages": [
                {"data": {"sources": [{"path": str(pairs)}]}, "losses": [{"kind": "infonce"}]}
            ],
        }
        with pytest.raises(InputError, match=said):
            train_model(config_of(config | given, (), "test"))


def test_a_decoder_lacks_what_training_needs(bases: dict[str, str], tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaModel

    LlamaModel.from_pretrained(bases["llama"]).save_pretrained(tmp_path / "bare")
    open_tokenizer(bases["llama"]).save_pretrained(tmp_path / "bare")
    with pytest.raises(InputError, match="bare' is a decoder without an output layer .LlamaModel"):
        model_of(str(tmp_path / "bare"))
    assert model_of(str(tmp_path / "bare"), document=Mlp())
    tokenizer = open_tokenizer(bases["llama"])
    gpt = GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=1, n_head=2, initializer_range=0.5
    )
    GPT2LMHeadModel(gpt).save_pretrained(tmp_path / "gpt")
    tokenizer.save_pretrained(tmp_path / "gpt")
    with pytest.raises(InputError, match="gpt' is a decoder whose vectors change with padding"):
        model_of(str(tmp_path / "gpt"))
    tokenizer.eos_token = None
    tokenizer.save_pretrained(tmp_path / "gpt")
    with pytest.raises(InputError, match="neither a padding token nor an end token"):
        model_of(str(tmp_path / "gpt"))


def open_tokenizer(base: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base)
