"""Gradient checkpointing: the same gradients, and what cannot have it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from lsr.errors import InputError
from lsr.training.config.train import EncoderConfig, Mlm, Table
from lsr.training.models.networks import checkpoint_gradients, networks
from lsr.training.models.sparse_encoder import make_model
from tests.support.tiny_models import tiny_base

TEXTS = ["the cat and the dog", "a wolf in the forest by the lake", "rain"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("models") / "base")


def gradients(base: Path, *, checkpointed: bool) -> dict[str, torch.Tensor]:
    """Of a loss of all weights, with dropout on."""
    side = Mlm()
    model = make_model(EncoderConfig(base=str(base), query=side, document=side), None)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.1
    if checkpointed:
        checkpoint_gradients(model)
    calls = []
    (network,) = networks(model)
    layer = network.get_submodule("bert.encoder.layer.0.attention.self")
    layer.register_forward_hook(lambda *_: calls.append(1))
    model.train()
    torch.manual_seed(0)
    features = dict(model.preprocess(TEXTS))
    model(features)["sentence_embedding"].square().sum().backward()
    assert len(calls) == (2 if checkpointed else 1), "encoded again in the backward pass"
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_checkpointed_gradients_are_the_same(base: Path) -> None:
    plain, checkpointed = (gradients(base, checkpointed=each) for each in (False, True))
    assert plain.keys() == checkpointed.keys()
    assert any(gradient.abs().max() > 1e-3 for gradient in plain.values())
    for name, gradient in plain.items():
        assert torch.allclose(gradient, checkpointed[name], rtol=0, atol=1e-6), name


def test_a_network_that_does_not_support_it_is_named(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(EncoderConfig(base=str(base), query=Table(weights="ones")), None)
    monkeypatch.setattr(type(networks(model)[0]), "supports_gradient_checkpointing", False)
    with pytest.raises(InputError, match="gradient_checkpointing: BertForMaskedLM does not supp"):
        checkpoint_gradients(model)


def test_tables_have_none(base: Path) -> None:
    ones = Table(weights="ones")
    model = make_model(EncoderConfig(base=str(base), query=ones, document=ones), None)
    assert networks(model) == []
    with pytest.raises(InputError, match="gradient_checkpointing .* this model has none"):
        checkpoint_gradients(model)
