"""The sparsity penalties: numbers by hand, gradients, parts of a batch, samples of columns."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lsr.errors import InputError
from lsr.training.regularizers import (
    DocumentFrequencies,
    active_terms,
    anti_zero,
    df_activation,
    df_flops,
    flops,
    flops_of_mean,
    free_terms,
    idf_flops,
    inverse_mass,
    lp,
    mean_activations,
    position_means,
    retrieval_flops,
    top_k,
    with_others,
)

WEIGHTS = [[1.0, 0.0, 2.0], [3.0, 0.0, 0.0]]
COLUMNS = torch.tensor([1.0, 10.0, 2.0])
IDF = torch.tensor([0.5, 3.0, 2.0])
SHARE = torch.tensor([1.0, 0.1, 0.0])

PENALTIES: dict[str, Callable[[Tensor, Tensor | None], Tensor]] = {
    "flops": flops,
    "idf_flops": lambda w, c: idf_flops(w, IDF.to(w.dtype), c),
    "df_flops": lambda w, c: df_flops(w, torch.tensor([0.9, 0.1, 0.2], dtype=w.dtype), c),
    "l1": lp,
    "l3": lambda w, c: lp(w, c, 3.0),
    "inverse_mass": inverse_mass,
}


def number(scalar: Tensor) -> float:
    return float(scalar.detach())


def weights() -> Tensor:
    return torch.tensor(WEIGHTS, dtype=torch.float64, requires_grad=True)


def random_weights(seed: int, n_documents: int = 7, n_columns: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    drawn = torch.randn(n_documents, n_columns, generator=draw, dtype=torch.float64)
    return drawn.clamp(min=0).requires_grad_()


# Numbers by hand: means 2, 0, 1


def test_flops_by_hand() -> None:
    assert number(flops(weights())) == pytest.approx(4 + 1, abs=1e-12)
    assert number(flops(weights(), COLUMNS)) == pytest.approx(4 + 2 * 1, abs=1e-12)


def test_idf_flops_by_hand() -> None:
    assert number(idf_flops(weights(), IDF)) == pytest.approx((2 / 0.5) ** 2 + 0.25, abs=1e-12)
    assert number(idf_flops(weights(), IDF, COLUMNS)) == pytest.approx(16 + 2 * 0.25, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_idf_flops_of_scaled_weights_is_flops(seed: int) -> None:
    w = random_weights(seed)
    idf = IDF.double()
    assert number(idf_flops(idf * w, idf, COLUMNS)) == pytest.approx(number(flops(w, COLUMNS)))


def test_a_term_without_idf_is_taken_as_it_is() -> None:
    value = idf_flops(weights(), torch.tensor([0.0, 0.0, 2.0]))
    assert number(value) == pytest.approx(4 + 0.25, abs=1e-12)


def test_df_activation_is_zero_a_half_and_one() -> None:
    activation = df_activation(torch.tensor([0.0, 1e-9, 0.1, 1.0]), alpha=0.1, beta=10.0)
    assert activation.tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0], abs=1e-6)
    # x = alpha^2: the power is 4, so 1 / (1 + 3^2)
    assert number(df_activation(torch.tensor(0.04), alpha=0.2, beta=2.0)) == pytest.approx(0.1)


def test_df_flops_by_hand() -> None:
    w = torch.tensor([[2.0, 4.0, 8.0]])
    assert number(df_flops(w, SHARE)) == pytest.approx(4 + (0.5 * 4) ** 2, abs=1e-5)
    assert number(df_flops(w, SHARE, COLUMNS)) == pytest.approx(4 + 10 * 4, abs=1e-4)


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 1.0), (1.0, 1.0), (0.1, 0.0)])
def test_df_flops_refuses(alpha: float, beta: float) -> None:
    with pytest.raises(InputError, match="of DF-FLOPS is"):
        df_flops(weights(), SHARE, None, alpha, beta)


def test_lp_by_hand() -> None:
    assert number(lp(weights())) == pytest.approx((3 + 3) / 2, abs=1e-12)
    assert number(lp(weights(), COLUMNS)) == pytest.approx((1 + 4 + 3) / 2, abs=1e-12)
    assert number(lp(weights(), None, 2.0)) == pytest.approx((1 + 4 + 9) / 2, abs=1e-12)
    with pytest.raises(InputError, match="give 1 or more"):
        lp(weights(), None, 0.5)


def test_anti_zero_by_hand() -> None:
    assert number(inverse_mass(weights())) == pytest.approx(1 / (9 + 1e-6), abs=1e-12)
    both = anti_zero(torch.full((4, 5), 0.4), weights(), COLUMNS)
    assert number(both) == pytest.approx(1 / (4 + 1e-6) + 1 / (16 + 1e-6), abs=1e-6)


def test_anti_zero_falls_with_the_weights_and_is_finite_without() -> None:
    w = weights()
    (gradient,) = torch.autograd.grad(anti_zero(w, w), w)
    assert (gradient[w > 0] < 0).all()
    assert number(inverse_mass(torch.zeros(2, 3))) == pytest.approx(1e6)


def test_active_terms_and_retrieval_flops_by_hand() -> None:
    assert active_terms(weights()).tolist() == [2.0, 1.0]
    assert active_terms(weights(), COLUMNS).tolist() == [3.0, 1.0]
    used = retrieval_flops(torch.tensor([0.5, 1.0]), torch.tensor([0.1, 0.2]))
    assert number(used) == pytest.approx(0.25, abs=1e-7)


def test_free_terms_leaves_short_documents_alone() -> None:
    w = weights()
    masked = free_terms(w, None, 1)
    assert masked.tolist() == [WEIGHTS[0], [0.0, 0.0, 0.0]]
    value = flops(masked)
    assert number(value) == pytest.approx(0.25 + 1, abs=1e-12)  # still over two documents
    (gradient,) = torch.autograd.grad(value, w)
    assert gradient.tolist() == [[0.5, 0.0, 1.0], [0.0, 0.0, 0.0]]
    assert free_terms(w, COLUMNS, 3).abs().sum() == 0  # 3 terms estimated, not above 3
    assert free_terms(w, COLUMNS, 2.9).tolist() == masked.tolist()


def test_top_k_keeps_the_heaviest_and_of_equal_ones_the_first() -> None:
    w = torch.tensor([[1.0, 3.0, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0], [0.0, 5.0, 0.0, 0.0]])
    w.requires_grad_()
    kept = top_k(w, 2)
    assert kept.tolist() == [[0, 3, 0, 3], [1, 1, 0, 0], [0, 5, 0, 0]]
    (gradient,) = torch.autograd.grad(kept.sum(), w)
    assert gradient[0].tolist() == [0, 1, 0, 1]
    assert gradient[1].tolist() == [1, 1, 0, 0]
    assert top_k(w, 4) is w
    assert top_k(torch.zeros(0, 9), 2).shape == (0, 9)
    with pytest.raises(InputError, match="give 1 or more"):
        top_k(w, 0)


@pytest.mark.parametrize("seed", range(3))
def test_top_k_is_a_sort(seed: int) -> None:
    w = random_weights(seed, 6, 40)
    for k in (1, 7, 39):
        expected = w.sort(dim=1, descending=True).values[:, :k].sum(1)
        assert top_k(w, k).sum(1).tolist() == pytest.approx(expected.tolist(), abs=1e-12)
        assert int((top_k(w, k) > 0).sum(1).max()) <= k


# Document frequencies


def test_document_frequencies_by_hand() -> None:
    counted = DocumentFrequencies(3, decay=0.5)
    assert counted.share().tolist() == [1.0, 1.0, 1.0]  # nothing seen: plain FLOPS
    counted.update(weights())
    assert counted.share().tolist() == pytest.approx([1.0, 0.0, 0.5])
    counted.update(torch.tensor([[0.0, 1.0]]), torch.tensor([0, 2]))
    # of terms 0 and 2: 2 / 2 and 1 / 2 halved, plus 0 / 1 and 1 / 1
    assert counted.share().tolist() == pytest.approx([1 / 2, 0.0, 1.5 / 2])
    assert counted.share(torch.tensor([2, 1])).tolist() == pytest.approx([0.75, 0.0])
    again = DocumentFrequencies(3, decay=0.5)
    again.load_state_dict(counted.state_dict())
    assert torch.equal(again.share(), counted.share())
    with pytest.raises(InputError, match="from 0 to 1"):
        DocumentFrequencies(3, decay=1.5)


def test_document_frequencies_find_the_share() -> None:
    draw = torch.Generator().manual_seed(0)
    share = torch.tensor([0.02, 0.3, 0.9])
    counted = DocumentFrequencies(3)
    for _ in range(300):
        counted.update((torch.rand(64, 3, generator=draw) < share).float())
    assert counted.share().tolist() == pytest.approx(share.tolist(), abs=0.02)


# Gradients, parts, order, samples


# Candidate positions


def by_reshape(documents: Tensor, idf: Tensor, n_positions: int) -> Tensor:
    """The published formula: FLOPS of each column of candidates, documents query by query."""
    groups = (documents.abs() / idf).reshape(-1, n_positions, documents.shape[1])
    return (groups.mean(dim=0).square() * COLUMNS.double()).sum()


@pytest.mark.parametrize("n_positions", [1, 2, 3])
@pytest.mark.parametrize("scaled", [False, True])
def test_flops_of_positions_is_the_published_one(n_positions: int, scaled: bool) -> None:
    w = random_weights(6, n_documents=4 * n_positions - 1)
    rows = torch.arange(4 * n_positions).reshape(4, n_positions)
    rows[-1, -1] = 1  # a document that two queries brought
    idf = IDF.double() if scaled else torch.ones(3, dtype=torch.float64)
    expected = by_reshape(w[rows.flatten()], idf, n_positions)
    if scaled:
        found = idf_flops(w, idf, COLUMNS.double(), positions=rows)
    else:
        found = flops(w, COLUMNS.double(), positions=rows)
    assert number(found) == pytest.approx(number(expected), rel=1e-6)
    (gradient,) = torch.autograd.grad(found, w)
    assert torch.allclose(gradient, torch.autograd.grad(expected, w)[0], atol=1e-6)
    if n_positions == 1:
        whole = flops(w[rows.flatten()] / idf, COLUMNS.double())
        assert number(found) == pytest.approx(number(whole), rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_flops_of_positions_is_k_to_k_squared_times_that_of_the_batch(seed: int) -> None:
    w = random_weights(seed, n_documents=12).detach()
    rows = torch.arange(12).reshape(4, 3)
    ratio = number(flops(w, positions=rows)) / number(flops(w))
    assert 3 <= ratio <= 9
    alike = w[:4].repeat_interleave(3, dim=0)
    assert number(flops(alike, positions=rows)) == pytest.approx(3 * number(flops(alike)))
    apart = torch.eye(3, dtype=torch.float64).repeat(4, 1)
    assert number(flops(apart, positions=rows)) == pytest.approx(9 * number(flops(apart)))


def test_a_position_without_a_document_counts_as_an_empty_one() -> None:
    w = torch.tensor([[1.0, 0.0], [3.0, 2.0], [0.0, 4.0]])
    means = position_means(w, torch.tensor([[0, 1], [2, -1]]))
    assert means.tolist() == [[0.5, 2.0], [1.5, 1.0]]


def test_means_of_positions_are_single_precision_under_autocast() -> None:
    w = torch.rand(48, 5, generator=torch.Generator().manual_seed(0))
    rows = torch.arange(48).reshape(24, 2)
    with torch.autocast("cpu", torch.bfloat16):
        found = flops(w, positions=rows)
    assert number(found) == pytest.approx(number(flops(w, positions=rows)), rel=1e-7)


@pytest.mark.parametrize("name", PENALTIES)
def test_gradients(name: str) -> None:
    w = random_weights(5) + 0.1  # away from the kink at 0
    penalty = PENALTIES[name]
    assert torch.autograd.gradcheck(lambda x: penalty(x, COLUMNS.double()), (w,))


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("seed", range(3))
def test_order_of_documents_does_not_matter(name: str, seed: int) -> None:
    w = random_weights(seed)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(seed))
    expected = number(PENALTIES[name](w, COLUMNS))
    assert number(PENALTIES[name](w[order], COLUMNS)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", PENALTIES)
def test_documents_twice_cost_the_same(name: str) -> None:
    w = random_weights(1)
    twice = number(PENALTIES[name](torch.cat([w, w]), COLUMNS))
    assert twice == pytest.approx(number(PENALTIES[name](w, COLUMNS)), abs=1e-12)


@pytest.mark.parametrize("name", ["flops", "idf_flops", "df_flops", "l1", "l3"])
def test_empty_batches_and_empty_documents_cost_nothing(name: str) -> None:
    for empty in (torch.zeros(0, 3), torch.zeros(2, 3)):
        empty.requires_grad_()
        value = PENALTIES[name](empty, COLUMNS)
        assert number(value) == 0.0
        (gradient,) = torch.autograd.grad(value, empty)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("cut", [0, 2, 7])
def test_two_parts_give_the_whole(cut: int) -> None:
    w = random_weights(2)
    whole = flops(w, COLUMNS)
    (expected,) = torch.autograd.grad(whole, w)
    own = [mean_activations(part, n_documents=7) for part in (w[:cut], w[cut:])]
    total = (own[0] + own[1]).detach()
    values = [flops_of_mean(with_others(part, total), COLUMNS) for part in own]
    assert [number(value) for value in values] == pytest.approx([number(whole)] * 2, abs=1e-12)
    (gradient,) = torch.autograd.grad(values[0] + values[1], w)
    assert torch.allclose(gradient, expected, atol=1e-12)


def test_two_parts_of_lp_add_up() -> None:
    w = random_weights(3)
    halves = lp(w[:3], COLUMNS, 2.0, n_documents=7) + lp(w[3:], COLUMNS, 2.0, n_documents=7)
    assert number(halves) == pytest.approx(number(lp(w, COLUMNS, 2.0)), abs=1e-12)


@pytest.mark.parametrize("name", ["flops", "l1"])
def test_a_weighted_sample_of_columns_estimates_the_vocabulary(name: str) -> None:
    draw = torch.Generator().manual_seed(4)
    w = torch.rand(8, 600, generator=draw)
    whole = number(PENALTIES[name](w, None))
    estimates = []
    for _ in range(400):
        columns = torch.randperm(600, generator=draw)[:60]
        estimates.append(number(PENALTIES[name](w[:, columns], torch.full((60,), 10.0))))
    assert sum(estimates) / 400 == pytest.approx(whole, rel=0.01)


def test_half_precision_weights_are_added_up_in_single() -> None:
    w = torch.full((4096, 1), 0.1, dtype=torch.bfloat16)
    assert number(flops(w)) == pytest.approx(number(w[0, 0]) ** 2, rel=1e-5)
    assert flops(w).dtype == torch.float32
