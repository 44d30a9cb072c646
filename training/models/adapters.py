"""Low-rank adapters in the networks of a model (LoRA, Hu et al. 2021), by peft.

An adapter stands beside a linear layer W and adds scale * B A x to its output, with A and B of a
small rank; only these are trained. B starts at 0, so that the model starts as it is. At the end
W becomes W + scale * B A, and nothing of the adapters is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lsr.errors import InputError, UnavailableError
from lsr.training.config.optim import LoraConfig
from lsr.training.models.networks import networks

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["add_adapters", "merge_adapters", "merged_adapters"]


def add_adapters(model: nn.Module, lora: LoraConfig, *, seed: int = 0) -> int:
    """Put adapters into all networks of a model, and freeze these but for their heads.

    A head whose matrix is tied to the embeddings trains all but this matrix.

    Args:
        seed: of the matrices A.

    Returns:
        How many linear layers have one.

    Raises:
        InputError: the model has no network, or no layer of the names that are asked for.
        UnavailableError: peft is not installed.
    """
    try:
        from peft import LoraConfig as PeftConfig
        from peft import inject_adapter_in_model
    except ImportError as error:
        raise UnavailableError(
            "optim.lora needs peft, which is not installed; run: pip install 'lsr-search[train]'"
        ) from error
    found = networks(model)
    if not found:
        raise InputError(
            "optim.lora puts adapters into a network, and this model has none (both sides are "
            "tables); leave it out"
        )
    places = [_targets(network, lora) for network in found]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for network, names in zip(found, places, strict=True):
            settings = PeftConfig(
                r=lora.rank,
                lora_alpha=lora.alpha,
                lora_dropout=lora.dropout,
                target_modules=names,
                bias="none",
            )
            inject_adapter_in_model(settings, network.base_model)
    return sum(map(len, places))


def _targets(network: PreTrainedModel, lora: LoraConfig) -> list[str]:
    """Paths of the linear layers within the network, without its head, that get adapters."""
    body = network.base_model
    layers = [
        name
        for name, part in body.named_modules()
        if isinstance(part, nn.Linear) and not name.startswith("pooler.")  # nothing reads that
    ]
    if not lora.targets:
        return layers
    for target in lora.targets:
        if not any(_ends_with(name, target) for name in layers):
            known = sorted({name.rsplit(".", 1)[-1] for name in layers})
            raise InputError(
                f"optim.lora.targets: {type(network).__name__} has no linear layer {target!r}; it "
                f"has {', '.join(known)}"
            )
    return [name for name in layers if any(_ends_with(name, each) for each in lora.targets)]


def _ends_with(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


@contextmanager
def merged_adapters(model: nn.Module) -> Iterator[None]:
    """The model as it is without adapters and with what they learned, to be saved within.

    Afterwards it has its adapters again, and the very weights that it had.
    """
    layers = list(_adapted(model))
    kept = [layer.get_base_layer().weight.detach().clone() for _, _, layer in layers]
    configs = [(body, vars(body).pop("peft_config")) for body in _configured(model)]
    try:
        for parent, name, layer in layers:
            setattr(parent, name, _merged(layer))
        yield
    finally:
        for (parent, name, layer), weight in zip(layers, kept, strict=True):
            setattr(parent, name, layer)
            with torch.no_grad():
                layer.get_base_layer().weight.copy_(weight)
        for body, config in configs:
            body.peft_config = config


def merge_adapters(model: nn.Module) -> None:
    """Add what adapters learned to the network's weights, and take them away, in place.

    Harmless where there is none.
    """
    for parent, name, layer in list(_adapted(model)):
        setattr(parent, name, _merged(layer))
    for part in _configured(model):
        del part.peft_config


def _merged(layer: Any) -> nn.Linear:
    base: nn.Linear = layer.get_base_layer()
    with torch.no_grad():
        for adapter in layer.active_adapters:
            base.weight.add_(layer.get_delta_weight(adapter).to(base.weight.dtype))
    return base


def _adapted(model: nn.Module) -> Iterator[tuple[nn.Module, str, Any]]:
    """Layers with adapters: what holds them, by what name, and they themselves."""
    for part in model.modules():
        for name, child in part.named_children():
            if hasattr(child, "lora_A"):
                yield part, name, child


def _configured(model: nn.Module) -> list[Any]:
    bodies = [network.base_model for network in networks(model)]
    return [body for body in bodies if "peft_config" in vars(body)]
