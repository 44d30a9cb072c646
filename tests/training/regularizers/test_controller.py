"""The sparsity controller: steps by hand, and a small head that it steers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from lsr.errors import InputError, ModelError
from lsr.training.regularizers import active_terms, flops
from lsr.training.regularizers.controller import SparsityController
from lsr.training.regularizers.schedule import quadratic_warmup


def test_a_step_by_hand() -> None:
    controller = SparsityController(0.5, 100.0, gain=0.1, smoothing=0.75, damping=2.0)
    controller.update(200.0)
    assert float(controller.ema) == 200.0
    assert float(controller.weight) == pytest.approx(0.5 * 2**0.1, rel=1e-6)
    controller.update(torch.tensor(40.0))
    assert float(controller.ema) == pytest.approx(0.75 * 200 + 0.25 * 40)
    assert float(controller.weight) == pytest.approx(0.5 * (2 * 1.6 * 0.8**2) ** 0.1, rel=1e-6)


def test_it_waits_for_the_warm_up() -> None:
    controller = SparsityController(0.5, 100.0, warmup_steps=3)
    for _ in range(3):
        controller.update(900.0)
    assert float(controller.weight) == 0.5
    controller.update(900.0)
    assert float(controller.weight) > 0.5


def test_a_far_observation_moves_it_no_further_than_a_limit() -> None:
    up, down = SparsityController(1.0, 1.0), SparsityController(1.0, 1.0)
    up.update(1e9)
    down.update(0.0)
    assert float(up.weight) == pytest.approx(math.exp(0.05), rel=1e-6)
    assert float(down.weight) == pytest.approx(math.exp(-0.05), rel=1e-6)


def test_no_step_changes_lambda_by_more_than_a_limit() -> None:
    controller = SparsityController(1.0, 10.0, smoothing=0.0)
    controller.update(10.0)
    controller.update(10000.0)
    assert float(controller.weight) == pytest.approx(math.exp(0.3), rel=1e-6)


def test_it_stays_within_its_bounds_and_says_that_the_target_is_out_of_reach() -> None:
    controller = SparsityController(1e-3, 500.0, gain=0.5, bounds=(1e-4, 1e-2), patience=20)
    for _ in range(30):
        assert controller.reason() is None
        controller.update(80.0)
        if int(controller.steps_at_bound) == 20:
            break
    assert float(controller.weight) == pytest.approx(1e-4)
    assert controller.reason() == (
        "lambda has been at its lowest, 0.0001, for 20 steps, and documents have 80 terms or FLOPS "
        "where 500 are asked for: the target is out of reach; ask for fewer."
    )
    for _ in range(200):
        controller.update(501.0)  # reached after all, at the bound
    assert controller.reason() is None


def test_above_the_target_for_long_is_out_of_reach_too() -> None:
    controller = SparsityController(1.0, 10.0, gain=1.0, bounds=(0.1, 2.0), patience=5)
    for _ in range(7):
        controller.update(300.0)
    reason = controller.reason()
    assert reason is not None
    assert "highest, 2, for" in reason
    assert reason.endswith("ask for more.")


def test_a_resumed_controller_goes_on_exactly() -> None:
    whole, first, second = (SparsityController(0.1, 50.0, warmup_steps=4) for _ in range(3))
    observed = [200.0, 150.0, 90.0, 70.0, 65.0, 40.0, 30.0, 60.0]
    for value in observed:
        whole.update(value)
    for value in observed[:5]:
        first.update(value)
    second.load_state_dict(first.state_dict())
    for value in observed[5:]:
        second.update(value)
    for name, value in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], value), name


@pytest.mark.parametrize("observed", [math.nan, math.inf, -1.0])
def test_what_is_not_an_observation_changes_nothing(observed: float) -> None:
    controller = SparsityController(0.1, 50.0)
    controller.update(60.0)
    before = {name: value.clone() for name, value in controller.state_dict().items()}
    with pytest.raises(ModelError, match="not finite"):
        controller.update(observed)
    assert all(torch.equal(before[name], value) for name, value in controller.state_dict().items())


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight": 0.0},
        {"weight": 20.0},
        {"target": 0.0},
        {"gain": 0.0},
        {"smoothing": 1.0},
        {"bounds": (2.0, 1.0)},
        {"warmup_steps": -1},
        {"patience": 0},
        {"damping": -1.0},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        SparsityController(**({"weight": 0.1, "target": 100.0} | wrong))


class Plant:
    """A head that learns to give documents the weights of another, and is pushed to be sparse.

    Features of documents and the head's matrix are shared by all terms, as in an encoder, so a
    term that was pushed to zero can come back.
    """

    def __init__(self, seed: int, lr: float) -> None:
        self.draw = torch.Generator().manual_seed(seed)
        self.features = torch.randn(256, 16, generator=self.draw) / 4
        taught = torch.randn(16, 300, generator=self.draw) * 2
        offset = torch.randn(300, generator=self.draw) - 0.5
        self.wanted = torch.log1p((self.features @ taught + offset).clamp(min=0))
        self.matrix = nn.Parameter(torch.randn(16, 300, generator=self.draw) * 0.5)
        self.bias = nn.Parameter(torch.full((300,), 0.5))
        self.optimizer = torch.optim.Adam([self.matrix, self.bias], lr=lr)

    def weights(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.log1p((self.features[rows] @ self.matrix + self.bias).clamp(min=0))

    def train(self, controller: SparsityController, steps: int, warmup_steps: int) -> float:
        """Active terms of all documents in the end."""
        for step in range(steps):
            rows = torch.randperm(256, generator=self.draw)[:32]
            weights = self.weights(rows)
            push = float(controller.weight) * quadratic_warmup(step, warmup_steps)
            task = (weights - self.wanted[rows]).square().sum(1).mean()
            self.optimizer.zero_grad()
            (task + push * flops(weights)).backward()
            self.optimizer.step()
            controller.update(active_terms(weights).mean())
        return float(active_terms(self.weights(torch.arange(256))).mean())


@pytest.mark.parametrize(
    ("target", "start", "lr"), [(20.0, 0.01, 0.02), (60.0, 10.0, 0.02), (20.0, 0.01, 0.003)]
)
def test_it_brings_active_terms_within_seven_percent(
    target: float, start: float, lr: float
) -> None:
    controller = SparsityController(start, target, bounds=(1e-7, 1e4), warmup_steps=200)
    terms = Plant(0, lr).train(controller, 600, 200)
    assert terms == pytest.approx(target, rel=0.07)
    assert controller.reason() is None


def test_without_it_the_head_keeps_its_terms() -> None:
    still = SparsityController(0.01, 60.0, gain=1e-9)
    assert Plant(0, 0.02).train(still, 300, 100) > 1.5 * 60.0
