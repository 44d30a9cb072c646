"""Heads over a masked-LM network, or over a causal one: a weight for every term of the vocabulary.

The network is *tapped*: its last layer, the decoder that makes vocabulary logits of hidden states,
passes these through, and the head multiplies and pools them in parts instead, with the decoder's
own weights (`lsr.training.models.chunked_head`). Nothing of that is in the weights: an untapped
network under a stock `SpladePooling` gives the same vectors.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal, Self

import torch
from sentence_transformers.base.modules import Module, Router, Transformer
from torch import nn
from torch.nn import functional

from lsr.errors import InputError
from lsr.training.models.activations import Activation, Saturation, activate, check_activation
from lsr.training.models.chunked_head import pooled_logits_max, pooled_weights_sum

__all__ = ["ClsMlmHead", "Head", "MlmHead", "first_tokens", "is_stock", "routes", "tap", "untap"]

Features = dict[str, Any]


def tap(transformer: Transformer) -> nn.Linear:
    """Let a masked-LM network give hidden states instead of logits; return its decoder.

    Harmless where the network is tapped already.

    Raises:
        InputError: the network's last layer is not a linear one of the vocabulary's width.
    """
    model = transformer.model
    decoder = model.get_output_embeddings()
    if not isinstance(decoder, nn.Linear):
        raise InputError(_untappable(transformer))
    if decoder.__dict__.get("forward") is _pass_through:
        return decoder
    was_training = model.training
    model.eval()
    probe = torch.tensor([[0, 1, 2]], device=decoder.weight.device)
    with torch.no_grad():
        logits = model(input_ids=probe, attention_mask=torch.ones_like(probe)).logits
        vars(decoder)["forward"] = _pass_through
        states = model(input_ids=probe, attention_mask=torch.ones_like(probe)).logits
    model.train(was_training)
    fits = states.shape[-1] == decoder.in_features
    if fits:
        again = functional.linear(states, decoder.weight, decoder.bias)
        fits = torch.allclose(again.float(), logits.float(), rtol=1e-2, atol=1e-2)
    if not fits:
        untap(transformer)
        raise InputError(_untappable(transformer))
    return decoder


def untap(transformer: Transformer) -> None:
    """Let the network give logits again; harmless where it does."""
    decoder = transformer.model.get_output_embeddings()
    if decoder is not None and decoder.__dict__.get("forward") is _pass_through:
        del decoder.forward


def routes(model: nn.Sequential) -> dict[str | None, nn.Sequential]:
    """The modules of each route of a `SparseEncoder`; under None where it has no router."""
    first = next(iter(model.children()), None)
    if isinstance(first, Router):
        found = first.sub_modules.items()
        return {name: modules for name, modules in found if isinstance(modules, nn.Sequential)}
    return {None: model}


def first_tokens(h: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The state of each text's first token, which padding may precede; shape (B, H)."""
    rows = torch.arange(h.shape[0], device=h.device)
    return h[rows, (mask != 0).int().argmax(1)]


def _pass_through(states: torch.Tensor) -> torch.Tensor:
    return states


def _untappable(transformer: Transformer) -> str:
    name = type(transformer.model).__name__
    return (
        f"{name} does not end in a linear layer from hidden states to the vocabulary, so no "
        "masked-LM head can be put on it; choose a base like BERT, RoBERTa or ModernBERT, or the "
        "encoder mlp"
    )


class Head(Module):
    """The last module of a route: hidden states in, weights of terms out.

    It reads `token_embeddings` (B, L, H), `input_ids` and `attention_mask` (B, L), and, where
    given, `columns`: int64, shape (C,), the terms wanted. It sets `sentence_embedding`: float32,
    shape (B, C), or (B, V) without columns. Values are the same in both forms.

    A head that follows a masked-LM network taps it as soon as the model around both is complete.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._decoder: tuple[nn.Linear, ...] = ()  # in a tuple: it is the network's, not ours

    def attach(self, transformer: Transformer) -> None:
        """Use the decoder of that network, where it is a masked-LM one."""
        if transformer.transformer_task in ("fill-mask", "text-generation"):
            self._decoder = (tap(transformer),)

    def on_model_ready(self, model: nn.Sequential) -> None:
        """Attach to the network of the route that this head is in."""
        for modules in routes(model).values():
            if any(module is self for module in modules):
                for module in modules:
                    if isinstance(module, Transformer):
                        self.attach(module)

    @property
    def decoder(self) -> nn.Linear:
        """The network's last layer, of `weight` (V, H) and `bias` (V,)."""
        if not self._decoder:
            raise InputError(
                f"{type(self).__name__} has no masked-LM network before it; put it after a "
                "Transformer of the task fill-mask, or call attach(transformer)"
            )
        return self._decoder[0]

    @abstractmethod
    def weights(self, features: Features) -> torch.Tensor:
        """Weights of all terms, or of `columns`; float32."""

    def forward(self, features: Features, **options: object) -> Features:  # noqa: ARG002
        """Set `sentence_embedding`; there are no options."""
        features["sentence_embedding"] = self.weights(features)
        return features

    def get_embedding_dimension(self) -> int:
        """Terms of the vocabulary."""
        return int(self.decoder.out_features)

    def save(
        self,
        output_path: str,
        *others: object,  # noqa: ARG002
        safe_serialization: bool = True,
        **options: object,  # noqa: ARG002
    ) -> None:
        """Write the head's options and, where it has any, its weights."""
        self.save_config(output_path)
        if self.state_dict():
            self.save_torch_weights(output_path, safe_serialization=safe_serialization)

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        init_defaults: dict[str, Any] | None = None,  # noqa: ARG003
        **options: object,  # noqa: ARG003
    ) -> Self:
        """Read what `save` wrote; called by sentence-transformers, with options of its own."""
        place = (token, cache_folder, revision, local_files_only)
        head = cls(**cls.load_config(model_name_or_path, subfolder, None, *place))
        if head.state_dict():
            cls.load_torch_weights(model_name_or_path, subfolder, *place, model=head)
        return head


class MlmHead(Head):
    """SPLADE's document head (Formal et al. 2021): pooled, activated logits of every term.

        w(t) = max over positions i of f(h_i E_t + b_t), or the sum

    Values are those of sentence-transformers' `SpladePooling` where that has the same options.
    """

    config_keys = ["activation", "saturation", "pooling"]  # noqa: RUF012

    def __init__(
        self,
        activation: Activation = "relu",
        saturation: Saturation = "log1p",
        pooling: Literal["max", "sum"] = "max",
    ) -> None:
        super().__init__()
        check_activation(activation, saturation)
        if pooling not in ("max", "sum"):
            raise InputError(f"the pooling {pooling!r} is unknown; choose max or sum")
        self.activation: Activation = activation
        self.saturation: Saturation = saturation
        self.pooling = pooling

    def weights(self, features: Features) -> torch.Tensor:
        """See `Head`."""
        return self.term_weights(features)

    def term_weights(self, features: Features) -> torch.Tensor:
        """Pooled weights of all terms, or of `columns`; float32."""
        mask: torch.Tensor = features["attention_mask"]
        h, columns, decoder = features["token_embeddings"], features.get("columns"), self.decoder
        if self.pooling == "sum":
            return pooled_weights_sum(
                h, mask, decoder.weight, decoder.bias, self.activation, self.saturation, columns
            )
        logits = pooled_logits_max(h, mask, decoder.weight, decoder.bias, columns)
        weights = activate(logits, self.activation, self.saturation)
        return weights * mask.any(1, keepdim=True)


class ClsMlmHead(Head):
    """TILDE's head (Zhuang and Zuccon 2021): activated logits of the first token alone."""

    config_keys = ["activation", "saturation"]  # noqa: RUF012

    def __init__(self, activation: Activation = "relu", saturation: Saturation = "log1p") -> None:
        super().__init__()
        check_activation(activation, saturation)
        self.activation: Activation = activation
        self.saturation: Saturation = saturation

    def weights(self, features: Features) -> torch.Tensor:
        """See `Head`."""
        mask: torch.Tensor = features["attention_mask"]
        columns = features.get("columns")
        first = first_tokens(features["token_embeddings"], mask)
        weight: torch.Tensor = self.decoder.weight
        bias: torch.Tensor | None = self.decoder.bias
        if columns is not None:
            weight = weight.index_select(0, columns)
            bias = None if bias is None else bias.index_select(0, columns)
        logits = functional.linear(first.to(weight.dtype), weight, bias).float()
        return activate(logits, self.activation, self.saturation) * mask.any(1, keepdim=True)


def is_stock(head: nn.Module) -> bool:
    """Whether `SpladePooling` gives the same values."""
    return (
        type(head) is MlmHead
        and head.activation == "relu"
        and head.saturation in ("log1p", "double_log")
    )
