"""Weights of logits: numbers worked out by hand, and combinations that are refused."""

from __future__ import annotations

from math import log

import pytest
import torch

from lsr.errors import InputError
from lsr.training.models.activations import Activation, Saturation, activate, check_activation


@pytest.mark.parametrize(
    ("activation", "saturation", "expected"),
    [
        ("identity", "none", [-2.0, 0.0, 3.0]),
        ("relu", "none", [0.0, 0.0, 3.0]),
        ("relu", "log1p", [0.0, 0.0, log(4)]),
        ("relu", "double_log", [0.0, 0.0, log(1 + log(4))]),
        ("softplus", "none", [0.126928, log(2), 3.048587]),
        ("softplus", "log1p", [0.119496, log(1 + log(2)), 1.398368]),
        ("softplus", "double_log", [0.112878, log(1 + log(1 + log(2))), 0.874789]),
    ],
)
def test_the_formulas(
    activation: Activation, saturation: Saturation, expected: list[float]
) -> None:
    weights = activate(torch.tensor([-2.0, 0.0, 3.0]), activation, saturation)
    assert weights.tolist() == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(
    ("activation", "saturation", "told"),
    [
        ("gelu", "log1p", "choose relu, softplus or identity"),
        ("relu", "sqrt", "choose none, log1p or double_log"),
        ("identity", "log1p", "negative logits"),
        ("identity", "double_log", "negative logits"),
    ],
)
def test_what_makes_no_weights_is_refused(activation: str, saturation: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        check_activation(activation, saturation)


def test_what_makes_weights_is_not() -> None:
    check_activation("identity", "none")
    check_activation("softplus", "double_log")
