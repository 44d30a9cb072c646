"""A regulariser's weight, steered so that documents get as many terms as asked for.

Each step adds gain * (e + damping * change of e) to the logarithm of lambda, with e the logarithm
of ema / target and the ema the smoothed observation: active terms of a document, or retrieval
FLOPS. Too many terms raise lambda, too few lower it. Documents answer late, so the change of e is
what keeps lambda from swinging: it eases off as soon as they move towards the target.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lsr.errors import InputError, ModelError

__all__ = ["SparsityController"]

MAX_LOG_RATIO = 1.0
"""No step reacts to a larger e, so that a far start does not carry lambda away."""

MAX_CHANGE = 0.3
"""No step changes lambda's logarithm by more, the trend included."""

FEW = 1e-6
"""Stands for an observation of 0 in a logarithm."""

TOLERANCE = 0.07
"""Share of the target that an observation may be off and count as reached."""


class SparsityController(nn.Module):
    """Lambda by feedback. Its state is in buffers, so a checkpoint resumes it.

    Attributes:
        weight: scalar float32, lambda; without a warm-up factor, which is the caller's.
        ema: scalar float32, the smoothed observation; 0 before the first.
        step: scalar int64, observations so far.
        steps_at_bound: scalar int64, steps that lambda has been at a bound, the target not met.
    """

    weight: Tensor
    ema: Tensor
    step: Tensor
    steps_at_bound: Tensor

    def __init__(
        self,
        weight: float,
        target: float,
        gain: float = 0.05,
        smoothing: float = 0.95,
        bounds: tuple[float, float] = (1e-7, 10.0),
        *,
        warmup_steps: int = 0,
        patience: int = 200,
        damping: float = 30.0,
    ) -> None:
        """
        Args:
            weight: lambda to begin with.
            target: what observations shall come to, in their unit.
            gain: how strongly a step reacts.
            smoothing: share of the old value in the ema.
            bounds: the lowest and highest lambda.
            warmup_steps: steps in which observations are smoothed and lambda stays.
            patience: steps at a bound after which the target counts as out of reach.
            damping: how much the change of e from one step to the next counts, in steps.

        Raises:
            InputError: a number is out of its range.
        """
        super().__init__()
        low, high = bounds
        if not 0 < low < high < math.inf or not low <= weight <= high:
            raise InputError(f"lambda {weight} with bounds {low} and {high}: it must lie between.")
        if not 0 < target < math.inf:
            raise InputError(f"a target of {target} terms or FLOPS: give a number above 0.")
        if not 0 < gain <= 1 or not 0 <= smoothing < 1:
            raise InputError(
                f"gain {gain} and smoothing {smoothing}: give a gain above 0 and up to 1, and "
                "a smoothing from 0 and below 1."
            )
        if warmup_steps < 0 or patience < 1 or not 0 <= damping < math.inf:
            raise InputError(
                f"warm-up of {warmup_steps}, patience of {patience} and damping of {damping} "
                "steps: give 0 or more, and a patience of at least 1."
            )
        self.target, self.gain, self.smoothing, self.bounds = target, gain, smoothing, bounds
        self.warmup_steps, self.patience, self.damping = warmup_steps, patience, damping
        self.register_buffer("weight", torch.tensor(float(weight)))
        self.register_buffer("ema", torch.tensor(0.0))
        self.register_buffer("step", torch.tensor(0))
        self.register_buffer("steps_at_bound", torch.tensor(0))

    @torch.no_grad()
    def update(self, observed: Tensor | float) -> None:
        """Take one step's observation, and move lambda if the warm-up is over.

        Args:
            observed: mean active terms or FLOPS of the whole batch, over all processes.

        Raises:
            ModelError: it is not finite or negative; nothing is changed.
        """
        value = float(torch.as_tensor(observed).detach())
        if not 0 <= value < math.inf:
            raise ModelError(
                f"documents were observed to have {value} terms or FLOPS: the model's weights are "
                "not finite; lower the learning rate."
            )
        share = self.smoothing if int(self.step) else 0.0
        before = float(self.ema) if int(self.step) else value
        ema = share * before + (1 - share) * value
        self.ema.fill_(ema)
        self.step.add_(1)
        if int(self.step) <= self.warmup_steps:
            return
        error = math.log(max(ema, FEW) / self.target)
        error = min(max(error, -MAX_LOG_RATIO), MAX_LOG_RATIO)
        trend = math.log(max(ema, FEW) / max(before, FEW))
        low, high = self.bounds
        change = self.gain * (error + self.damping * trend)
        weight = float(self.weight) * math.exp(min(max(change, -MAX_CHANGE), MAX_CHANGE))
        self.weight.fill_(min(max(weight, low), high))
        stuck = not low < weight < high and abs(ema / self.target - 1) > TOLERANCE
        self.steps_at_bound.copy_(self.steps_at_bound + 1 if stuck else self.steps_at_bound * 0)

    def most_change(self, steps: int) -> float:
        """The factor by which lambda can rise or fall in so many steps, the trend left aside."""
        return math.exp(self.gain * MAX_LOG_RATIO * max(steps - self.warmup_steps, 0))

    def missed(self) -> str | None:
        """By how much the target was missed at the end, in a sentence; None where it was met."""
        share = float(self.ema) / self.target - 1
        if not int(self.step) or abs(share) <= TOLERANCE:
            return None
        return (
            f"documents had {float(self.ema):.4g} terms or FLOPS at the end where "
            f"{self.target:.4g} were asked for, {abs(share):.0%} {'more' if share > 0 else 'fewer'}"
        )

    def reason(self) -> str | None:
        """Why the target is out of reach, in a sentence; None while it may be reached."""
        if int(self.steps_at_bound) < self.patience:
            return None
        few = float(self.ema) < self.target
        return (
            f"lambda has been at its {'lowest' if few else 'highest'}, {float(self.weight):.3g}, "
            f"for {int(self.steps_at_bound)} steps, and documents have {float(self.ema):.4g} terms "
            f"or FLOPS where {self.target:.4g} are asked for: the target is out of reach; "
            f"ask for {'fewer' if few else 'more'}."
        )
