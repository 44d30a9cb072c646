"""Guards: conditions under which training stops by itself, with a reason."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lsr.training.config.train import GuardConfig

__all__ = ["reason_to_stop"]


def reason_to_stop(
    guard: GuardConfig, step: int, loss: float, observed: Mapping[str, float]
) -> str | None:
    """One sentence, or None to go on.

    Args:
        step: optimizer steps done.
        loss: of the last step.
        observed: see `CandidateLoss.observed`; means over the last steps.
    """
    if not math.isfinite(loss):
        return (
            f"the loss is not a finite number at step {step:,}; the last checkpoint is kept: lower "
            "the learning rate, or train in bf16 or fp32"
        )
    if step < guard.after:
        return None
    terms = observed.get("terms", math.nan)
    if terms < guard.min_terms:
        return (
            f"documents have {terms:.1f} active terms at step {step:,}, below {guard.min_terms:g}: "
            "the vectors have collapsed; lower regularizer.weight or set regularizer.anti_zero"
        )
    if terms > guard.max_terms:
        return (
            f"documents have {terms:,.0f} active terms at step {step:,}, above "
            f"{guard.max_terms:,.0f}: nothing holds them sparse; raise regularizer.weight, or let "
            "warm_start calibrate the head"
        )
    spread = observed.get("spread", 0.0)
    if spread > guard.max_spread:
        return (
            f"scores are spread {spread:.0f} times as wide as the teachers' at step {step:,}: the "
            "student diverges; lower the learning rate or set scores.temperature to learned"
        )
    return None
