"""Weights from logits: an activation, then a saturation.

    relu(z) = max(z, 0)        softplus(z) = log(1 + e^z)        identity(z) = z
    none(a) = a                log1p(a) = log(1 + a)             double_log(a) = log(1 + log(1 + a))

log1p of relu is SPLADE's (Formal et al. 2021), log1p of softplus EPIC's (MacAvaney et al. 2020),
double_log of relu that of the third inference-free models of Geng et al. (2025). All rise with z,
so the largest of several logits may be taken before.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch.nn import functional

from lsr.errors import InputError

__all__ = ["Activation", "Saturation", "activate", "check_activation"]

Activation = Literal["relu", "softplus", "identity"]
Saturation = Literal["none", "log1p", "double_log"]


def activate(logits: torch.Tensor, activation: Activation, saturation: Saturation) -> torch.Tensor:
    """Weights of logits, of their shape and dtype."""
    weights = logits
    if activation == "relu":
        weights = torch.relu(weights)
    elif activation == "softplus":
        weights = functional.softplus(weights)
    if saturation != "none":
        weights = torch.log1p(weights)
    if saturation == "double_log":
        weights = torch.log1p(weights)
    return weights


def check_activation(activation: str, saturation: str) -> None:
    """Refuse names that are unknown, and a logarithm of what may be negative.

    Raises:
        InputError: with the choices there are.
    """
    if activation not in ("relu", "softplus", "identity"):
        raise InputError(
            f"the activation {activation!r} is unknown; choose relu, softplus or identity"
        )
    if saturation not in ("none", "log1p", "double_log"):
        raise InputError(
            f"the saturation {saturation!r} is unknown; choose none, log1p or double_log"
        )
    if activation == "identity" and saturation != "none":
        raise InputError(
            f"identity leaves negative logits, of which {saturation} is undefined; choose the "
            "saturation none, or the activation relu or softplus"
        )
