"""Reasons to stop training, and none."""

from __future__ import annotations

import math

import pytest

from lsr.training.config.train import GuardConfig
from lsr.training.loop.guards import reason_to_stop

GUARD = GuardConfig(min_terms=5, max_terms=500, after=50, max_spread=10)
FINE = {"terms": 100.0, "spread": 1.0}


@pytest.mark.parametrize(
    ("step", "loss", "observed", "said"),
    [
        (60, 1.0, FINE, None),
        (1, math.nan, FINE, "not a finite number at step 1"),
        (60, math.inf, FINE, "not a finite number"),
        (60, 1.0, {"terms": 4.9}, "4.9 active terms at step 60, below 5"),
        (49, 1.0, {"terms": 0.0}, None),
        (60, 1.0, {"terms": 501.0}, "501 active terms at step 60, above 500"),
        (60, 1.0, {**FINE, "spread": 11.0}, "spread 11 times as wide"),
        (49, 1.0, {**FINE, "spread": 11.0}, None),
        (60, 1.0, {}, None),
    ],
)
def test_reasons(step: int, loss: float, observed: dict[str, float], said: str | None) -> None:
    reason = reason_to_stop(GUARD, step, loss, observed)
    if said is None:
        assert reason is None
    else:
        assert said in str(reason)
