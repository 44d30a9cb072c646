"""Tiny causal language models of random weights, with byte-level tokenizers made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.tiny_models import WORDS

__all__ = ["tiny_llama", "tiny_qwen"]


def _tokenizer(special: list[str], **named: str) -> Any:
    """Byte-level pairs learned from `WORDS`, without a token for padding."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=520,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([f" {word}" for word in WORDS for _ in range(3)], trainer)
    if "bos_token" in named:
        begin = named["bos_token"]
        backend.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A", special_tokens=[(begin, backend.token_to_id(begin))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=64, **named)


def tiny_llama(folder: Path) -> Path:
    """A two-layer Llama; it marks where a text begins, and its output layer is its own."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer(["<s>", "</s>"], bos_token="<s>", eos_token="</s>")
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=64,
        max_position_embeddings=128,
        initializer_range=0.2,
        bos_token_id=0,
        eos_token_id=1,
    )
    return _saved(LlamaForCausalLM, config, tokenizer, folder, torch)


def tiny_qwen(folder: Path) -> Path:
    """A two-layer Qwen2 in bfloat16 with more embeddings than tokens, which are its output layer.

    It marks nothing, and has a special token beside the end that is named nowhere.
    """
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = _tokenizer(["<|endoftext|>", "<|im_start|>"], eos_token="<|endoftext|>")
    config = Qwen2Config(
        vocab_size=len(tokenizer) + 24,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=64,
        max_position_embeddings=128,
        initializer_range=0.2,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        dtype="bfloat16",
    )
    return _saved(Qwen2ForCausalLM, config, tokenizer, folder, torch)


def _saved(kind: Any, config: Any, tokenizer: Any, folder: Path, torch: Any) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(config)
    if config.dtype is not None:
        model = model.to(config.dtype)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
