"""The networks of a model, each once, whatever routes share it."""

from __future__ import annotations

from sentence_transformers.base.modules import Transformer
from torch import nn
from transformers import PreTrainedModel

from lsr.errors import InputError

__all__ = ["checkpoint_gradients", "networks"]


def networks(model: nn.Module) -> list[PreTrainedModel]:
    """Networks of transformers in a model, with their heads, in the order of its modules."""
    return [module.model for module in model.modules() if isinstance(module, Transformer)]


def checkpoint_gradients(model: nn.Module) -> None:
    """Let networks keep their layers' inputs alone, and encode again in the backward pass.

    Gradients stay what they are, those of dropout included (Chen et al. 2016).

    Raises:
        InputError: a network cannot do so, or the model has none.
    """
    found = networks(model)
    if not found:
        raise InputError(
            "optim.gradient_checkpointing is of a network, and this model has none (both sides are "
            "tables); leave it out"
        )
    for network in found:
        if not network.supports_gradient_checkpointing:
            raise InputError(
                f"optim.gradient_checkpointing: {type(network).__name__} does not support it; "
                "leave it out, and set optim.recompute or a smaller optim.micro_batch to save "
                "memory"
            )
    for network in found:
        former = network.gradient_checkpointing_enable  # the only name in older versions
        enable = getattr(network, "activation_checkpointing_enable", former)
        enable({"use_reentrant": False})
