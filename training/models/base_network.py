"""The network that a base brings: a masked language model's, or that of a decoder.

Decoders are causal language models, whose output layer is the head of a sparse encoder: logits of
the next token at each position are pooled as those of a masked-LM head are. A decoder reads a text
from left to right; with `attention: bidirectional` its tokens see each other as an encoder's do.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from sentence_transformers.base.modules import Transformer
from transformers import AutoConfig, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
)

from lsr.errors import InputError
from lsr.training.models.checkpoint import Checkpoint, loading
from lsr.training.models.checkpoint import attention as fastest_attention

__all__ = [
    "Attention",
    "has_vocabulary_layer",
    "is_decoder",
    "open_network",
    "reads_both_ways",
    "with_padding",
]

Attention = Literal["causal", "bidirectional"] | None

TOLERANCE = 1e-3


def is_decoder(base: Checkpoint) -> bool:
    """Whether a checkpoint is known as a causal language model alone: to transformers, or its code.

    Raises:
        InputError: it cannot be loaded.
    """
    config = _config(base)
    named = getattr(config, "auto_map", None) if base.code is not None else None
    if named and "AutoConfig" in named:
        return "AutoModelForCausalLM" in named and "AutoModelForMaskedLM" not in named
    kind = type(config)
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING and kind not in MODEL_FOR_MASKED_LM_MAPPING


def has_vocabulary_layer(network: Transformer) -> bool:
    """Whether the network ends in a layer that makes logits of the vocabulary."""
    return network.transformer_task in ("fill-mask", "text-generation")


def open_network(base: Checkpoint, task: str | None, attention: Attention = None) -> Transformer:
    """The network of a checkpoint as a sentence-transformers module.

    Logits of a decoder come out at all positions, where those of a masked-LM network do, so that
    stock SPLADE pooling reads them. Its weights are float32, whatever the checkpoint's are.

    Args:
        task: fill-mask for logits of the vocabulary, feature-extraction for hidden states.
        attention: of a decoder; see `EncoderConfig`.

    Raises:
        InputError: it cannot be loaded, has no output layer, or is not what `attention` asks for.
    """
    runs_code = base.code is not None
    kwargs: dict[str, Any] = {**fastest_attention(runs_code=runs_code), **base.options}
    options: dict[str, Any] = {"transformer_task": task}
    of_decoder = is_decoder(base)
    if of_decoder:
        kwargs["dtype"] = torch.float32
        options = _decoder_options(base) if task == "fill-mask" else options
    elif attention is not None:
        raise InputError(
            f"encoder.attention is of decoders, and the base {base.name!r} is none: its tokens see "
            "each other; leave it out"
        )
    with loading(base.name, runs_code=runs_code):
        network: Transformer = Transformer(
            base.place,
            model_kwargs=kwargs,
            config_kwargs={**base.options},
            processor_kwargs={**base.options},
            **options,
        )
    if of_decoder:
        assert network.tokenizer is not None
        with_padding(network.tokenizer, base.name)
        _set_attention(network, base.name, attention)
    return network


def _config(base: Checkpoint) -> Any:
    with loading(base.name, runs_code=base.code is not None):
        return AutoConfig.from_pretrained(base.place, **base.options)


def _decoder_options(base: Checkpoint) -> dict[str, Any]:
    config = _config(base)
    made = config.architectures or ()
    if not config.tie_word_embeddings and not any(name.endswith("ForCausalLM") for name in made):
        raise InputError(
            f"the base {base.name!r} is a decoder without an output layer ({', '.join(made)}); "
            "give the checkpoint of the language model, or take the encoder mlp"
        )
    return {
        "transformer_task": "text-generation",
        "processing_kwargs": {"text": {"logits_to_keep": 0}},
        "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
        "module_output_name": "token_embeddings",
    }


def with_padding(tokenizer: PreTrainedTokenizerBase, base: str) -> PreTrainedTokenizerBase:
    """The tokenizer, padding with its end token where it has no token for that.

    Raises:
        InputError: it has neither.
    """
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise InputError(
                f"the tokenizer of the base {base!r} has neither a padding token nor an end token; "
                "name one as pad_token in its tokenizer_config.json"
            )
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


@torch.no_grad()
def _set_attention(network: Transformer, base: str, attention: Attention) -> None:
    """Let a decoder read as the config says; its own config keeps that when it is saved.

    Raises:
        InputError: it does not obey, or padding before a text changes what is made of it, as with
            positions that are counted from the first token.
    """
    model = network.model.eval()
    if attention is not None:
        model.config.is_causal = attention == "causal"
        if reads_both_ways(network) != (attention == "bidirectional"):
            raise InputError(
                f"encoder.attention is {attention}, which {type(model).__name__} does not obey; "
                "leave it out, or choose another base"
            )
    ids = torch.tensor([[0, 0, 1, 2, 3]], device=model.device)
    mask = torch.tensor([[0, 0, 1, 1, 1]], device=model.device)
    padded = model(input_ids=ids, attention_mask=mask)[0][:, 2:]
    alone = model(input_ids=ids[:, 2:], attention_mask=mask[:, 2:])[0]
    if not torch.allclose(padded.float(), alone.float(), rtol=TOLERANCE, atol=TOLERANCE):
        raise InputError(
            f"the base {base!r} is a decoder whose vectors change with padding (its positions are "
            "absolute); choose one with rotary positions, such as Llama, Mistral or Qwen"
        )


@torch.no_grad()
def reads_both_ways(network: Transformer) -> bool:
    """Whether what comes later in a text changes what is made of its first token."""
    model = network.model.eval()
    texts = torch.tensor([[1, 2, 3], [1, 2, 4]], device=model.device)
    made = model(input_ids=texts, attention_mask=torch.ones_like(texts))[0][:, 0]
    return not torch.allclose(made[0], made[1], rtol=1e-5, atol=1e-7)
