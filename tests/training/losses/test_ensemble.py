"""The teachers' target and the student's temperature: numbers by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from lsr.errors import InputError
from lsr.training.losses.ensemble import combined, normalized, targets
from lsr.training.losses.temperature import Temperature, spread, temperature_from_spreads

NAN = math.nan
NOBODY = torch.tensor([-1])


def row(*scores: float) -> Tensor:
    return torch.tensor([scores])


def same(found: Tensor, expected: list[float]) -> bool:
    return bool(found[0].tolist() == pytest.approx(expected, abs=1e-6, nan_ok=True))


def all_known(n: int) -> Tensor:
    return torch.ones(1, n, dtype=torch.bool)


# Normalising


def test_min_max_by_hand() -> None:
    assert same(normalized(row(2.0, 10.0, NAN, 4.0)), [0.0, 1.0, NAN, 0.25])
    # the floor is part of the formula: 1e-6 over 1e-6 + 1e-6
    assert same(normalized(torch.tensor([[0.0, 1e-6]], dtype=torch.float64)), [0.0, 0.5])


def test_z_score_by_hand() -> None:
    deviation = math.sqrt(8 / 3)
    expected = [-2 / deviation, 0.0, NAN, 2 / deviation]
    assert same(normalized(row(1.0, 3.0, NAN, 5.0), "z_score"), expected)


def test_none_leaves_scores_as_they_are() -> None:
    assert same(normalized(row(7.0, NAN, -3.0), "none"), [7.0, NAN, -3.0])


@pytest.mark.parametrize("how", ["min_max", "z_score"])
def test_equal_scores_single_ones_and_none_at_all(how: Any) -> None:
    assert same(normalized(row(5.0, 5.0), how), [0.0, 0.0])
    assert same(normalized(row(NAN, 5.0), how), [NAN, 0.0])
    assert same(normalized(row(NAN, NAN), how), [NAN, NAN])
    assert normalized(torch.zeros(2, 0), how).shape == (2, 0)
    assert normalized(torch.zeros(0, 2), how).shape == (0, 2)


def test_an_infinite_score_is_unknown() -> None:
    assert same(normalized(row(0.0, math.inf, 2.0)), [0.0, NAN, 1.0])


@pytest.mark.parametrize("how", ["min_max", "z_score"])
def test_scale_and_place_of_a_teacher_do_not_matter(how: Any) -> None:
    scores = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(normalized(scores, how), normalized(scores * 30 - 7, how), atol=1e-5)


def test_an_unknown_normalisation_is_refused() -> None:
    wrong: Any = "minmax"
    with pytest.raises(InputError, match="use min_max, z_score or none"):
        normalized(row(1.0), wrong)


# Combining


def test_the_weighted_mean_by_hand() -> None:
    mean, known = combined([row(0.0, 5.0, 10.0), row(3.0, 1.0, 2.0)], [3.0, 1.0])
    assert same(mean, [0.25, 0.375, 0.75 + 0.125])
    assert known.tolist() == [[True, True, True]]
    assert mean.dtype == torch.float32


def test_pairs_that_a_teacher_does_not_know_are_left_out_before_normalising() -> None:
    # of the first teacher 0 and 4 are left, though it also knows 100
    mean, known = combined([row(0.0, 4.0, 100.0), row(9.0, 8.0, NAN)], [1.0, 1.0])
    assert known.tolist() == [[True, True, False]]
    assert same(mean, [0.5, 0.5, 0.0])


def test_a_teacher_is_not_asked_where_it_knows_nothing_to_compare() -> None:
    everywhere = torch.tensor([[0.0, 4, 2], [2, 0, 4], [1, 2, 3], [0, 0, 0]])
    some = torch.tensor([[1.0, NAN, 3], [NAN, NAN, NAN], [NAN, 7, NAN], [NAN, 5, NAN]])
    mean, known = combined([everywhere, some], [1.0, 3.0])
    assert known.tolist() == [[True, False, True], [True] * 3, [True] * 3, [True] * 3]
    expected: list[list[float]] = [[0, 0, 1], [0.5, 0, 1], [0, 0.5, 1], [0, 0, 0]]
    assert all(same(mean[place:], each) for place, each in enumerate(expected))
    alone, known = combined([some], [1.0])
    assert known.tolist() == some.isfinite().tolist(), "alone it is asked all the same"
    assert same(alone, [0, 0, 1])


def test_order_of_teachers_and_documents_does_not_matter() -> None:
    draw = torch.Generator().manual_seed(1)
    one, two = torch.randn(3, 5, generator=draw), torch.randn(3, 5, generator=draw)
    order = torch.randperm(5, generator=draw)
    mean, known = combined([one, two], [1.0, 2.0])
    swapped, _ = combined([two, one], [2.0, 1.0])
    moved, _ = combined([one[:, order], two[:, order]], [1.0, 2.0])
    assert torch.allclose(swapped, mean, atol=1e-6)
    assert torch.allclose(moved, mean[:, order], atol=1e-6)
    assert known.all()


@pytest.mark.parametrize(
    ("scores", "weights", "message"),
    [
        ([], [], "at least one teacher"),
        ([row(1.0)], [1.0, 1.0], "one weight for each"),
        ([row(1.0)], [0.0], "above 0"),
        ([row(1.0)], [NAN], "above 0"),
        ([row(1.0), row(1.0, 2.0)], [1.0, 1.0], "of the same pairs"),
    ],
)
def test_what_cannot_be_combined(scores: list[Tensor], weights: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        combined(scores, weights)


# Targets


def test_targets_by_hand() -> None:
    t, known = row(1.0, 0.0, 9.0), torch.tensor([[True, True, False]])
    likely = math.e**2 / (math.e**2 + 1)
    assert same(targets(t, known, 2.0, 0.2, NOBODY), [likely, 1 - likely, 0.0])
    second = targets(t, known, 2.0, 0.2, torch.tensor([1]))
    assert same(second, [0.8 * likely, 0.8 * (1 - likely) + 0.2, 0.0])
    unknown = targets(t, known, 2.0, 0.2, torch.tensor([2]))
    assert same(unknown, [likely, 1 - likely, 0.0])


def test_a_label_share_of_one_is_the_label_alone() -> None:
    found = targets(row(0.3, 0.1), all_known(2), 12.0, 1.0, torch.tensor([1]))
    assert same(found, [0.0, 1.0])


def test_rows_of_targets_sum_to_one_or_nothing() -> None:
    known = torch.tensor([[True, True], [False, True], [False, False]])
    found = targets(torch.rand(3, 2), known, 30.0, 0.5, torch.tensor([0, -1, 1]))
    assert found.sum(1).tolist() == pytest.approx([1.0, 1.0, 0.0], abs=1e-6)
    assert (found[~known] == 0).all()


@pytest.mark.parametrize(("scale", "share"), [(0.0, 0.5), (1.0, 1.5), (1.0, -0.1), (NAN, 0.5)])
def test_targets_refuse(scale: float, share: float) -> None:
    with pytest.raises(InputError, match="of the ensemble is"):
        targets(row(1.0), all_known(1), scale, share, NOBODY)


# Temperature


def test_spread_by_hand() -> None:
    scores = torch.tensor([[1.0, 3.0, 99.0], [0.0, 6.0, 0.0], [5.0, 99.0, 99.0]])
    known = torch.tensor([[True, True, False], [True, True, True], [True, False, False]])
    # deviations 1 and sqrt(8); the third row has one score
    assert spread(scores, known) == pytest.approx((1 + math.sqrt(8)) / 2, abs=1e-6)
    assert spread(scores, torch.zeros(3, 3, dtype=torch.bool)) == 0.0


def test_the_temperature_from_spreads() -> None:
    assert temperature_from_spreads(6.0, 1.5) == 4.0
    for student, teacher in [(0.0, 1.0), (1.0, 0.0), (NAN, 1.0)]:
        with pytest.raises(InputError, match="give it as a number"):
            temperature_from_spreads(student, teacher)


def test_a_fixed_temperature_divides_and_stays() -> None:
    temperature = Temperature("fixed", 4.0)
    assert same(temperature(row(8.0, 0.0), row(1.0, 0.0), all_known(2)), [2.0, 0.0])
    assert list(temperature.parameters()) == []


def test_an_automatic_temperature_is_of_the_first_batch_that_spreads() -> None:
    temperature, known = Temperature(), all_known(2)
    assert same(temperature(row(3.0, 3.0), row(1.0, 0.0), known), [3.0, 3.0])  # no spread: 1
    assert same(temperature(row(6.0, 0.0), row(2.0, 0.0), known), [2.0, 0.0])
    assert same(temperature(row(6.0, 0.0), row(9.0, 0.0), known), [2.0, 0.0])
    assert same(temperature(row(6.0, 0.0)), [2.0, 0.0])


@pytest.mark.parametrize("mode", ["auto", "learned"])
def test_a_resumed_temperature_goes_on(mode: str) -> None:
    temperature, known = Temperature(mode), all_known(2)
    temperature(row(6.0, 0.0), row(2.0, 0.0), known)
    again = Temperature(mode)
    again.load_state_dict(temperature.state_dict())
    assert same(again(row(6.0, 0.0), row(9.0, 0.0), known).detach(), [2.0, 0.0])


def test_a_learned_temperature_has_a_gradient() -> None:
    temperature = Temperature("learned", 2.0)
    temperature(row(3.0, 1.0)).sum().backward()
    assert temperature.log_value.grad is not None
    assert float(temperature.log_value.grad) == pytest.approx(-2.0, abs=1e-6)  # - sum / value


def test_what_is_no_temperature() -> None:
    with pytest.raises(InputError, match="use fixed, auto or learned"):
        Temperature("automatic")
    with pytest.raises(InputError, match="above 0"):
        Temperature("fixed", 0.0)
