"""Matrix products of a network in eight bits, prepared so that little is lost.

ONNX Runtime quantises activations as they come, with one scale for all of them, so a single large
token or channel leaves the others few steps. Before export, layers are therefore rewritten to
equals that quantise well:

- channels are balanced: the weights take over a part of what makes a channel of the input large
  (SmoothQuant, Xiao et al. 2023), as measured on some texts;
- tokens are balanced: each is divided by its largest value, and multiplied by it afterwards.

Layers that contract, and those of the head before the vocabulary, lose the most and stay as they
are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from lsr.encoders.dense_onnx_graph import quiet

__all__ = ["balanced", "quantise_graph"]

SHARE = 0.6
"""Share of a channel's size that moves into the weights: 0 none, 1 all."""
TINY = 1e-6


class _BalancedLinear(nn.Module):
    """A linear layer whose input has channels and tokens of like sizes; the same values."""

    shrink: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, layer: nn.Linear, sizes: torch.Tensor) -> None:
        super().__init__()
        columns = layer.weight.detach().abs().amax(0).clamp(min=TINY)
        scale = sizes.clamp(min=TINY) ** SHARE / columns ** (1 - SHARE)
        self.register_buffer("shrink", 1 / scale)
        self.register_buffer("weight", layer.weight.detach() * scale)
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As the layer's: (..., in) to (..., out)."""
        x = x * self.shrink
        largest = x.abs().amax(-1, keepdim=True).clamp(min=TINY)
        y = functional.linear(x / largest, self.weight) * largest
        return y if self.bias is None else y + self.bias


@contextmanager
def balanced(model: nn.Module, run: Callable[[], object]) -> Iterator[None]:
    """While this is open, linear layers of a network are balanced; afterwards they are its own.

    Args:
        model: a transformer; of one with a head, the layers of `base_model` are balanced.
        run: encodes the texts that channels are measured on.
    """
    base = getattr(model, "base_model", model)
    layers = {
        name: layer
        for name, layer in base.named_modules()
        if isinstance(layer, nn.Linear) and layer.in_features <= layer.out_features
    }
    sizes: dict[str, torch.Tensor] = {}
    hooks = [
        layer.register_forward_pre_hook(_measuring(name, sizes)) for name, layer in layers.items()
    ]
    try:
        with torch.inference_mode():
            run()
    finally:
        for hook in hooks:
            hook.remove()
    try:
        for name in sizes:
            _put(base, name, _BalancedLinear(layers[name], sizes[name].clone()))
        yield
    finally:
        for name in sizes:
            _put(base, name, layers[name])


def quantise_graph(path: Path) -> None:
    """Put weights into eight bits, in place: of balanced layers, and of the vocabulary.

    Dynamic quantisation: a scale per channel of weights; activations are quantised as they come.
    Of a graph without balanced layers all matrix products are quantised.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(path, load_external_data=False).graph
    shapes = {weight.name: tuple(weight.dims) for weight in graph.initializer}
    makers = {output: node.op_type for node in graph.node for output in node.output}
    products = [
        node
        for node in graph.node
        if node.op_type in ("MatMul", "Gemm") and node.input[1] in shapes
    ]
    widest = max((max(shapes[node.input[1]]) for node in products), default=0)
    chosen = [node for node in products if makers.get(node.input[0]) == "Div"]
    kept = [
        node.name
        for node in products
        if chosen and node not in chosen and max(shapes[node.input[1]]) < widest
    ]
    whole = path.with_name(f"whole-{path.name}")
    path.rename(whole)
    with quiet():
        quantize_dynamic(
            whole,
            path,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=kept,
            extra_options={"DefaultTensorType": 1, "MatMulConstBOnly": True},
        )
    whole.unlink()


def _measuring(name: str, sizes: dict[str, torch.Tensor]) -> Callable[..., None]:
    def measure(_layer: nn.Module, given: tuple[Any, ...]) -> None:
        largest = given[0].detach().abs().flatten(0, -2).amax(0)
        sizes[name] = torch.maximum(sizes[name], largest) if name in sizes else largest

    return measure


def _put(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, layer)
