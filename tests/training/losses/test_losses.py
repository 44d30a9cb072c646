"""The losses of training: numbers by hand, gradients, rows with nothing to learn, order."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lsr.training.losses import (
    infonce,
    infonce_rows,
    kl,
    kl_rows,
    margin_mse,
    margin_pairs,
    term_recall,
)

ALL = torch.ones(2, 3, dtype=torch.bool)
KNOWN = torch.tensor([[True, True, False], [True, True, True]])


def number(scalar: Tensor) -> float:
    return float(scalar.detach())


def doubles(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64, requires_grad=True)


def random_batch(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scores, teacher scores, positives and known pairs of 5 queries and 6 documents."""
    draw = torch.Generator().manual_seed(seed)
    scores = torch.randn(5, 6, generator=draw, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(5, 6, generator=draw, dtype=torch.float64)
    positives = torch.tensor([0, 3, -1, 2, 5])
    known = torch.rand(5, 6, generator=draw) < 0.6
    known[3] = False
    return scores, teacher, positives, known


def probabilities(teacher: Tensor, known: Tensor) -> Tensor:
    return torch.nan_to_num(teacher.masked_fill(~known, -torch.inf).softmax(1))


def every_loss(scores: Tensor, teacher: Tensor, positives: Tensor, known: Tensor) -> list[Tensor]:
    return [
        infonce(scores, positives, known),
        kl(scores, probabilities(teacher, known), known),
        margin_mse(scores, teacher, positives, known),
        term_recall(scores, teacher, known),
    ]


# Numbers by hand


def test_infonce_by_hand() -> None:
    # row 0: 1 and 2 of which 1 is the positive: log(1 + e); row 1: three equal ones: log 3
    scores = doubles([1.0, 2.0, 50.0], [4.0, 4.0, 4.0])
    loss = infonce(scores, torch.tensor([0, 2]), KNOWN)
    assert number(loss) == pytest.approx((math.log(1 + math.e) + math.log(3)) / 2, abs=1e-12)
    loss.backward()
    assert scores.grad is not None
    first = [-math.e / (1 + math.e) / 2, math.e / (1 + math.e) / 2, 0.0]
    assert scores.grad[0].tolist() == pytest.approx(first, abs=1e-12)


def test_infonce_counts_a_labelled_positive_that_is_not_known() -> None:
    scores = doubles([0.0, 0.0, math.log(2)])
    loss = infonce(scores, torch.tensor([2]), torch.tensor([[True, True, False]]))
    assert number(loss) == pytest.approx(math.log(2), abs=1e-12)


def test_kl_by_hand() -> None:
    scores = doubles([0.0, math.log(3), 9.0], [1.0, 1.0, 1.0])
    target = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    first = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    loss = kl(scores, target, KNOWN)
    assert number(loss) == pytest.approx((first + math.log(3)) / 2, abs=1e-12)
    loss.backward()
    assert scores.grad is not None  # softmax less target, over two rows
    assert scores.grad[0].tolist() == pytest.approx([-0.125, 0.125, 0.0], abs=1e-12)


def test_kl_is_zero_at_the_target() -> None:
    teacher = torch.tensor([[3.0, 1.0, -2.0], [0.0, 5.0, 0.5]])
    assert number(kl(teacher, teacher.softmax(1), ALL)) == pytest.approx(0.0, abs=1e-7)


def test_margin_mse_by_hand() -> None:
    scores = doubles([5.0, 3.0, 99.0], [1.0, 2.0, 4.0])
    teacher = torch.tensor([[2.0, 1.0, math.nan], [1.0, 0.0, 3.0]])
    # row 0, positive 0: margins 2 against 1. Row 1, no positive, the teacher's best is 2:
    # margins 3 and 2 against 2 and 3
    loss = margin_mse(scores, teacher, torch.tensor([0, -1]), KNOWN)
    assert number(loss) == pytest.approx((1 + 1 + 1) / 3, abs=1e-12)
    loss = margin_mse(scores, teacher, torch.tensor([0, 1]), KNOWN)
    # row 1, positive 1: margins 1 and -2 against -1 and -3
    assert number(loss) == pytest.approx((1 + 4 + 1) / 3, abs=1e-12)


def test_margin_mse_takes_the_best_document_where_the_positive_is_unknown() -> None:
    scores, teacher = doubles([5.0, 3.0, 1.0]), torch.tensor([[0.0, 1.0, 9.0]])
    known = torch.tensor([[True, True, False]])
    loss = margin_mse(scores, teacher, torch.tensor([2]), known)
    assert number(loss) == pytest.approx((-2 - 1) ** 2, abs=1e-12)


def test_term_recall_by_hand() -> None:
    weights, recall = doubles([0.5, 1.0, 7.0]), torch.tensor([[0.0, 0.4, math.nan]])
    present = torch.tensor([[True, True, False]])
    loss = term_recall(weights, recall, present)
    assert number(loss) == pytest.approx((0.25 + 0.36) / 2, abs=1e-7)


# Gradients


@pytest.mark.parametrize("which", range(4), ids=["infonce", "kl", "margin_mse", "term_recall"])
def test_gradients(which: int) -> None:
    scores, teacher, positives, known = random_batch(0)

    def loss(values: Tensor) -> Tensor:
        return every_loss(values, teacher, positives, known)[which]

    assert torch.autograd.gradcheck(loss, (scores,))


# What does not count


def test_unknown_pairs_do_not_matter_even_if_not_a_number() -> None:
    scores, teacher, positives, known = random_batch(1)
    positives = torch.where(known.gather(1, positives.clamp(min=0)[:, None])[:, 0], positives, -1)
    expected = [number(loss) for loss in every_loss(scores, teacher, positives, known)]
    holed = scores.detach().masked_fill(~known, math.nan).requires_grad_()
    losses = every_loss(holed, teacher.masked_fill(~known, math.nan), positives, known)
    assert [number(loss) for loss in losses] == pytest.approx(expected, abs=1e-12)
    torch.stack(losses).sum().backward()
    assert holed.grad is not None
    assert holed.grad.isfinite().all()
    assert (holed.grad[~known] == 0).all()


@pytest.mark.parametrize("n_documents", [0, 1, 3])
def test_nothing_to_learn_is_zero_with_no_gradient(n_documents: int) -> None:
    scores = torch.full((2, n_documents), 2.0, requires_grad=True)
    unknown = torch.zeros(2, n_documents, dtype=torch.bool)
    for known in (unknown, unknown.clone().index_fill_(1, torch.arange(min(1, n_documents)), True)):
        nobody = torch.tensor([-1, -1])
        losses = [
            infonce(scores, nobody, known),
            kl(scores, known.float(), known),
            margin_mse(scores, scores.detach(), nobody, known),
            term_recall(scores, scores.detach(), unknown),
        ]
        assert [number(loss) for loss in losses] == [0.0] * 4
        (gradient,) = torch.autograd.grad(torch.stack(losses).sum(), scores)
        assert (gradient == 0).all()


def test_a_row_with_nothing_to_learn_does_not_dilute_the_others() -> None:
    scores, teacher, positives, known = random_batch(2)
    rows = torch.tensor([0, 1, 2, 4])  # row 3 knows nothing
    positives[3] = -1
    with_it = every_loss(scores, teacher, positives, known)
    without = every_loss(scores[rows], teacher[rows], positives[rows], known[rows])
    assert [number(x) for x in with_it] == pytest.approx([number(x) for x in without], abs=1e-12)


def test_half_precision_scores_are_added_up_in_single() -> None:
    scores = torch.tensor([[8.0, 7.5, 1.0]], dtype=torch.bfloat16)
    known = torch.ones(1, 3, dtype=torch.bool)
    loss = infonce(scores, torch.tensor([0]), known)
    assert loss.dtype == torch.float32
    assert number(loss) == pytest.approx(math.log(1 + math.exp(-0.5) + math.exp(-7)), abs=1e-6)


# Parts and order


def test_parts_with_the_whole_number_add_up() -> None:
    scores, teacher, positives, known = random_batch(3)
    whole = every_loss(scores, teacher, positives, known)
    counts = [
        int(infonce_rows(positives, known).sum()),
        int(kl_rows(known).sum()),
        int(margin_pairs(teacher, positives, known).sum()),
        int(known.sum()),
    ]

    def part(rows: slice) -> list[Tensor]:
        s, t, p, k = scores[rows], teacher[rows], positives[rows], known[rows]
        return [
            infonce(s, p, k, n_total=counts[0]),
            kl(s, probabilities(t, k), k, n_total=counts[1]),
            margin_mse(s, t, p, k, n_total=counts[2]),
            term_recall(s, t, k, n_total=counts[3]),
        ]

    parts = zip(part(slice(0, 2)), part(slice(2, 5)), strict=True)
    assert [number(a + b) for a, b in parts] == pytest.approx([number(x) for x in whole], abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("permute", ["queries", "documents"])
def test_order_does_not_matter(seed: int, permute: str) -> None:
    scores, teacher, positives, known = random_batch(seed)
    draw = torch.Generator().manual_seed(seed)
    expected = [number(x) for x in every_loss(scores, teacher, positives, known)]
    if permute == "queries":
        order = torch.randperm(5, generator=draw)
        moved = every_loss(scores[order], teacher[order], positives[order], known[order])
    else:
        order = torch.randperm(6, generator=draw)
        where = torch.where(positives >= 0, order.argsort()[positives.clamp(min=0)], -1)
        moved = every_loss(scores[:, order], teacher[:, order], where, known[:, order])
    assert [number(x) for x in moved] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("loss", [infonce, kl])
def test_a_constant_added_to_a_row_changes_nothing(loss: Callable[..., Tensor]) -> None:
    scores, teacher, positives, known = random_batch(4)
    second = positives if loss is infonce else probabilities(teacher, known)
    args = (second, known)
    shifted = scores + torch.arange(5.0)[:, None] * 100
    assert number(loss(shifted, *args)) == pytest.approx(number(loss(scores, *args)), abs=1e-9)
