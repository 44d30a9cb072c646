"""Schedule of the regulariser's weight. Learning rates follow the Hugging Face schedules."""

from __future__ import annotations

from lsr.errors import InputError

__all__ = ["quadratic_warmup"]


def quadratic_warmup(step: int, warmup_steps: int) -> float:
    """min(1, (t / T)^2), from 0 to 1: what lambda is multiplied with at step t (SPLADE v2).

    Args:
        step: optimizer steps done, t.
        warmup_steps: T; at 0 there is no warm-up.

    Raises:
        InputError: one of them is negative.
    """
    if step < 0 or warmup_steps < 0:
        raise InputError(f"step {step} of {warmup_steps} warm-up steps: neither may be negative.")
    return 1.0 if step >= warmup_steps else (step / warmup_steps) ** 2
