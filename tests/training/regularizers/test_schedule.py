"""How lambda rises."""

from __future__ import annotations

import pytest

from lsr.errors import InputError
from lsr.training.regularizers.schedule import quadratic_warmup


def test_it_rises_quadratically_and_stays() -> None:
    assert [quadratic_warmup(step, 4) for step in range(6)] == [0, 1 / 16, 1 / 4, 9 / 16, 1, 1]


def test_without_warm_up_it_is_there_at_once() -> None:
    assert quadratic_warmup(0, 0) == 1.0


@pytest.mark.parametrize(("step", "steps"), [(-1, 4), (1, -4)])
def test_negative_steps_are_refused(step: int, steps: int) -> None:
    with pytest.raises(InputError, match="neither may be negative"):
        quadratic_warmup(step, steps)
