"""Growing a masked-LM head on a checkpoint that was not trained as one.

The head's transform starts as the identity and learns to give back the token itself, with the
network frozen; then the bias is shifted until documents have about as many active terms as wanted.
A stage of masked-LM, which lets a word's neighbours in meaning score too, may follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from sentence_transformers.base.modules import Transformer
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from lsr.errors import InputError
from lsr.progress import Progress, no_progress
from lsr.training.config.train import WarmStart
from lsr.training.models.mlm_head import first_tokens
from lsr.training.models.precision import computing_in

__all__ = ["warm_start"]

TEXTS = 20
"""Documents in a step."""

RANDOM_TERMS = 2500
"""Terms beside the batch's own that a token is told apart from."""

NEVER = -100.0
"""Bias of special tokens, which no query has: no document shall have them either."""

MASKED, KEPT_MASK, RANDOM = 0.15, 0.8, 0.1
"""Devlin et al. (2019): share of tokens predicted; of these hidden, and replaced."""


def warm_start(
    transformer: Transformer,
    decoder: nn.Linear,
    texts: Sequence[str],
    settings: WarmStart,
    *,
    first_token: bool = False,
    seed: int = 0,
    progress: Progress = no_progress,
) -> dict[str, float]:
    """Train the head of a tapped masked-LM transformer, in place.

    Args:
        transformer: a sentence-transformers `Transformer` whose `token_embeddings` are what the
            decoder would be given.
        decoder: its last step, a linear layer from hidden states to the vocabulary.
        texts: documents of the run.
        first_token: documents are weighed by their first token alone, so its logits are what the
            bias is shifted by; else the largest of all words'.

    Returns:
        `accuracy` of copying in the last steps, and `shift` of the bias.

    Raises:
        InputError: there is no text.
    """
    if not any(text.strip() for text in texts):
        raise InputError(
            "there is no text to start the head with; give sources that have documents"
        )
    generator = torch.Generator().manual_seed(seed)
    head = _head_parameters(transformer, decoder)
    _as_identity(transformer, decoder)
    frozen = {
        parameter: parameter.requires_grad
        for parameter in transformer.parameters()
        if not any(parameter is each for each in head)
    }
    for parameter in frozen:
        parameter.requires_grad_(False)
    calibrated = partial(
        _calibrate, transformer, decoder, texts, settings.active_terms, generator, first_token
    )
    try:
        accuracy = _learn_to_copy(transformer, decoder, head, texts, settings, generator, progress)
        shift = calibrated()
    finally:
        for parameter, trained in frozen.items():
            parameter.requires_grad_(trained)
    if settings.masked_lm_steps:
        _masked_lm(transformer, decoder, texts, settings, generator, progress)
        shift += calibrated()
    return {"accuracy": accuracy, "shift": shift}


def _head_parameters(transformer: Transformer, decoder: nn.Linear) -> list[nn.Parameter]:
    """Parameters of the masked-LM model beyond its network, but for the decoder's matrix."""
    network = {id(parameter) for parameter in transformer.model.base_model.parameters()}
    return [
        parameter
        for parameter in transformer.model.parameters()
        if id(parameter) not in network and parameter is not decoder.weight
    ]


def _as_identity(transformer: Transformer, decoder: nn.Linear) -> None:
    network = {id(module) for module in transformer.model.base_model.modules()}
    with torch.no_grad():
        for module in transformer.model.modules():
            if id(module) in network or module is decoder:
                continue
            if isinstance(module, nn.Linear) and module.in_features == module.out_features:
                module.weight.copy_(torch.eye(module.in_features))
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.LayerNorm):
                module.reset_parameters()
        if decoder.bias is not None:
            decoder.bias.zero_()


def _drawn(texts: Sequence[str], n: int, generator: torch.Generator) -> list[str]:
    places = torch.randint(len(texts), (n,), generator=generator)
    return [texts[place] or "." for place in places.tolist()]


def _tokenizer(transformer: Transformer) -> PreTrainedTokenizerBase:
    assert transformer.tokenizer is not None
    return transformer.tokenizer


def _states(transformer: Transformer, features: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Transformed hidden states of all words, [N, H], and the words' numbers, [N]."""
    device = next(transformer.parameters()).device
    given = {
        name: value.to(device) if hasattr(value, "to") else value
        for name, value in features.items()
    }
    tokens, mask = given["input_ids"], given["attention_mask"].bool()
    special = torch.tensor(sorted(_tokenizer(transformer).all_special_ids), device=device)
    words = mask & ~torch.isin(tokens, special)
    states = transformer(dict(given))["token_embeddings"]
    return states[words], tokens[words]


def _learn_to_copy(
    transformer: Transformer,
    decoder: nn.Linear,
    head: list[nn.Parameter],
    texts: Sequence[str],
    settings: WarmStart,
    generator: torch.Generator,
    progress: Progress,
) -> float:
    optimizer = torch.optim.AdamW(head, settings.learning_rate, weight_decay=0.0)
    n_terms = decoder.out_features
    hits: list[float] = []
    transformer.eval()
    for step in range(settings.steps):
        features = dict(transformer.preprocess(_drawn(texts, TEXTS, generator)))
        with computing_in("auto"):
            states, words = _states(transformer, features)
        others = torch.randint(n_terms, (RANDOM_TERMS,), generator=generator).to(words.device)
        columns, places = torch.unique(torch.cat([words, others]), return_inverse=True)
        with computing_in("auto"):
            logits = states @ decoder.weight[columns].T
            if decoder.bias is not None:
                logits = logits + decoder.bias[columns]
        wanted = places[: len(words)]
        loss = functional.cross_entropy(logits.float(), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        hits.append(float((logits.argmax(1) == wanted).float().mean()))
        progress("copying head", step + 1, settings.steps)
    last = hits[-10:]
    return sum(last) / max(len(last), 1)


@torch.no_grad()
def _calibrate(
    transformer: Transformer,
    decoder: nn.Linear,
    texts: Sequence[str],
    active_terms: float,
    generator: torch.Generator,
    first_token: bool,
) -> float:
    """Shift the bias so that a document's `active_terms`-th largest logit is 0 on average."""
    transformer.eval()
    rank = min(round(active_terms), decoder.out_features)
    found = []
    for text in _drawn(texts, TEXTS, generator):
        features = dict(transformer.preprocess([text]))
        if first_token:
            device = next(transformer.parameters()).device
            given = {k: v.to(device) if hasattr(v, "to") else v for k, v in features.items()}
            mask = given["attention_mask"]
            states = first_tokens(transformer(given)["token_embeddings"], mask)
        else:
            states, _ = _states(transformer, features)
        if len(states):
            logits = functional.linear(states, decoder.weight, decoder.bias).float().amax(0)
            found.append(logits.topk(rank).values[-1])
    if not found or decoder.bias is None:
        return 0.0
    shift = float(torch.stack(found).mean())
    decoder.bias.sub_(shift)
    decoder.bias[sorted(_tokenizer(transformer).all_special_ids)] = NEVER
    return -shift


def _masked_lm(
    transformer: Transformer,
    decoder: nn.Linear,
    texts: Sequence[str],
    settings: WarmStart,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Masked-LM over the run's documents, the network at a tenth of the head's rate."""
    head = _head_parameters(transformer, decoder)
    mine = {id(parameter) for parameter in head}
    network = [
        parameter
        for parameter in transformer.parameters()
        if parameter.requires_grad and id(parameter) not in mine
    ]
    optimizer = torch.optim.AdamW(
        [
            {"params": head, "lr": settings.learning_rate},
            {"params": network, "lr": settings.learning_rate / 10},
        ],
        weight_decay=0.0,
    )
    for step in range(settings.masked_lm_steps):
        features = dict(transformer.preprocess(_drawn(texts, TEXTS, generator)))
        hidden, wanted, places = _hidden_words(transformer, features, generator)
        device = next(transformer.parameters()).device
        given = {
            name: value.to(device) if hasattr(value, "to") else value
            for name, value in {**features, "input_ids": hidden}.items()
        }
        with computing_in("auto"):
            states = transformer(given)["token_embeddings"][places.to(device)]
            if not len(states):
                continue
            logits = functional.linear(states, decoder.weight, decoder.bias)
        logits = logits.float()
        loss = functional.cross_entropy(logits, wanted.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        progress("masked language model", step + 1, settings.masked_lm_steps)


def _hidden_words(
    transformer: Transformer, features: dict[str, Any], generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens with some hidden, the words that were there, and where: bool, as tokens."""
    tokens = features["input_ids"].clone()
    special = torch.tensor(sorted(_tokenizer(transformer).all_special_ids))
    words = features["attention_mask"].bool() & ~torch.isin(tokens, special)
    chance = torch.rand(tokens.shape, generator=generator)
    places = words & (chance < MASKED)
    wanted = tokens[places]
    fate = torch.rand(tokens.shape, generator=generator)
    tokens[places & (fate < KEPT_MASK)] = _tokenizer(transformer).mask_token_id
    replaced = places & (fate >= KEPT_MASK) & (fate < KEPT_MASK + RANDOM)
    words_in = torch.randint(len(_tokenizer(transformer)), tokens.shape, generator=generator)
    tokens[replaced] = words_in[replaced]
    return tokens, wanted, places
