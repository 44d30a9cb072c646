"""Published models' layouts, in tiny folders of random weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support.learned_models import inference_free, symmetric
from tests.support.tiny_models import tiny_base

__all__ = ["OWN_CODE", "ZOO", "two_models", "with_own_code"]

OLD_PATHS = {
    "sentence_transformers.base.modules.transformer.Transformer": (
        "sentence_transformers.sparse_encoder.models.MLMTransformer"
    ),
    "sentence_transformers.base.modules.router.Router": "sentence_transformers.models.Router",
    "sentence_transformers.sparse_encoder.modules.splade_pooling.SpladePooling": (
        "sentence_transformers.sparse_encoder.models.SpladePooling"
    ),
    "sentence_transformers.sparse_encoder.modules.sparse_static_embedding.SparseStaticEmbedding": (
        "sentence_transformers.sparse_encoder.models.SparseStaticEmbedding"
    ),
}

OWN_CODE = """
from transformers import BertConfig, BertForMaskedLM


class NewConfig(BertConfig):
    model_type = "new-and-tiny"


class NewForMaskedLM(BertForMaskedLM):
    config_class = NewConfig

    def forward(self, *args, **kwargs):
        found = super().forward(*args, **kwargs)
        found.logits = found.logits * 2
        return found
"""


def splade_v3(folder: Path) -> Path:
    """naver/splade-v3: modules.json with the class paths of sentence-transformers 5.0."""
    model = symmetric(folder)
    _with_old_paths(model / "modules.json")
    return model


def splade_v3_plain(folder: Path) -> Path:
    """The same before: a masked language model in pytorch_model.bin, no modules.json."""
    model = tiny_base(folder / "model", seed=1)
    _as_pickle(model)
    return model


def splade_v2_max(folder: Path) -> Path:
    """naver/splade_v2_max: vocab.txt and no tokenizer.json."""
    model = splade_v3_plain(folder)
    _vocabulary_alone(model)
    (model / "special_tokens_map.json").write_text(json.dumps({"unk_token": "[UNK]"}))
    return model


def splade_pp(folder: Path) -> Path:
    """prithivida/Splade_PP_en_v1: pytorch_model.bin, adapters in the config, modules."""
    model = symmetric(folder)
    _as_pickle(model)
    config = json.loads((model / "config.json").read_text())
    config["adapters"] = {"adapters": {}, "config_map": {}, "fusion_config_map": {}, "fusions": {}}
    (model / "config.json").write_text(json.dumps(config))
    _with_old_paths(model / "modules.json")
    return model


def doc_v3(folder: Path) -> Path:
    """opensearch doc-v3-distill: a router by old paths, its network at the root, idf.json."""
    model = inference_free(folder, twice=True)
    network = next(model.glob("document_0_*"))
    for file in network.iterdir():
        shutil.move(file, model / file.name)
    network.rmdir()
    router = model / "router_config.json"
    router.write_text(router.read_text().replace(f'"{network.name}"', '""'))
    _with_old_paths(router)
    _with_old_paths(model / "modules.json")
    return model


def doc_v2(folder: Path) -> Path:
    """opensearch doc-v1 and doc-v2 before: idf.json beside the network."""
    model = splade_v3_plain(folder)
    (model / "idf.json").write_text(json.dumps({"cat": 2.5, "[UNK]": 0, "the": 0.125}))
    return model


def granite(folder: Path) -> Path:
    """ibm-granite/granite-embedding-30m-sparse: a RoBERTa with byte pairs."""
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import SpladePooling, Transformer
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaForMaskedLM, RobertaTokenizerFast

    base = folder / "base"
    base.mkdir(parents=True)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pairs = ByteLevelBPETokenizer()
    pairs.train_from_iterator(["the cat and the dog by the lake"] * 9, 300, 1, False, special)
    pairs.save_model(str(base))
    tokenizer = RobertaTokenizerFast(
        vocab=str(base / "vocab.json"), merges=str(base / "merges.txt"), model_max_length=60
    )
    tokenizer.save_pretrained(base)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=66,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        RobertaForMaskedLM(config).save_pretrained(base)
    network = Transformer(str(base), transformer_task="fill-mask")
    made = SparseEncoder(modules=[network, SpladePooling("max")], similarity_fn_name="dot")
    made.save_pretrained(str(folder / "model"))
    return folder / "model"


def with_own_code(folder: Path) -> Path:
    """opensearch doc-v3-gte: a router whose network's code lies beside it."""
    model = doc_v3(folder)
    config = json.loads((model / "config.json").read_text())
    config |= {
        "model_type": "new-and-tiny",
        "architectures": ["NewForMaskedLM"],
        "auto_map": {
            "AutoConfig": "modeling.NewConfig",
            "AutoModelForMaskedLM": "modeling.NewForMaskedLM",
        },
    }
    (model / "config.json").write_text(json.dumps(config))
    (model / "modeling.py").write_text(OWN_CODE)
    return model


def two_models(folder: Path) -> tuple[Path, Path]:
    """naver/efficient-splade-*-doc and *-query: two networks of one vocabulary."""
    document = tiny_base(folder / "doc", seed=2)
    query = tiny_base(folder / "query", seed=3)
    return document, query


ZOO: dict[str, Callable[[Path], Path]] = {
    made.__name__: made
    for made in (splade_v3, splade_v3_plain, splade_v2_max, splade_pp, doc_v3, granite)
}
"""Layouts that plain sentence-transformers reads as we do."""


def _with_old_paths(file: Path) -> None:
    text = file.read_text()
    for new, old in OLD_PATHS.items():
        text = text.replace(f'"{new}"', f'"{old}"')
    file.write_text(text)


def _as_pickle(model: Path) -> None:
    """pytorch_model.bin in place of model.safetensors."""
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()


def _vocabulary_alone(model: Path) -> None:
    vocabulary = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    (model / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens))
    (model / "tokenizer.json").unlink()
    config = {"do_lower_case": True, "model_max_length": 64, "tokenizer_class": "BertTokenizer"}
    (model / "tokenizer_config.json").write_text(json.dumps(config))
