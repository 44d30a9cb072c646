"""Whether a target of sparsity is within the steps of a stage, as far as the config says it."""

from __future__ import annotations

from lsr.training.config.train import StageConfig
from lsr.training.regularizers.controller import SparsityController

__all__ = ["target_notes"]

ENOUGH_CHANGE = 1_000.0
"""Lambda that can change by this factor comes to most targets from most beginnings."""


def target_notes(stage: StageConfig) -> list[str]:
    """A sentence where lambda has too few steps to come to a target from afar."""
    settings, steps = stage.regularizer, stage.optim.steps
    target = settings.target_terms or settings.target_flops
    if target is None:
        return []
    warmup = round(settings.warmup * steps)
    controller = SparsityController(settings.weight, target, warmup_steps=warmup)
    change = controller.most_change(steps)
    if change >= ENOUGH_CHANGE:
        return []
    return [
        f"stage {stage.name}: lambda can change by a factor of {change:,.0f} at most in the "
        f"{steps - warmup:,} steps after its warm-up, so that the target of {target:g} may be out "
        "of reach; give more steps, less warm-up, or a weight to begin with that is nearer"
    ]
