"""Durations in words."""

from __future__ import annotations

import pytest

from lsr.training.planning.durations import in_words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "no time"),
        (0.2, "less than a second"),
        (1.2, "about a second"),
        (1.6, "about 2 seconds"),
        (40.3, "about 40 seconds"),
        (89, "about 89 seconds"),
        (90, "about 2 minutes"),
        (61 * 60, "about 61 minutes"),
        (2.6 * 3600, "about 3 hours"),
        (40 * 3600, "about 2 days"),
        (86400 * 123, "about 120 days"),
    ],
)
def test_a_duration_is_a_rough_number_of_one_unit(seconds: float, said: str) -> None:
    assert in_words(seconds) == said


def test_no_duration_is_of_one_or_of_no_unit() -> None:
    said = [in_words(tenths / 10) for tenths in range(0, 100_000, 7)]
    assert not [each for each in said if each.split()[1] in ("0", "1")]
