"""Pooled products against the plain way: all logits, then the pool, then autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lsr.training.models.activations import Activation, Saturation, activate
from lsr.training.models.chunked_head import pooled_logits_max, pooled_weights_sum

LENGTHS = (9, 1, 5, 9, 3)
"""Of documents padded to 9 tokens."""

COLUMNS = torch.tensor([40, 3, 3, 17, 0])
"""In no order, one of them twice."""


def _inputs(seed: int = 0, n_terms: int = 41) -> tuple[Any, Any, Any, Any]:
    made = torch.Generator().manual_seed(seed)
    h = torch.randn((len(LENGTHS), 9, 8), generator=made).requires_grad_()
    mask = (torch.arange(9) < torch.tensor(LENGTHS)[:, None]).long()
    weight = torch.randn((n_terms, 8), generator=made).requires_grad_()
    bias = torch.randn(n_terms, generator=made).requires_grad_()
    return h, mask, weight, bias


def _plain_max(h: Any, mask: Any, weight: Any, bias: Any, columns: Any) -> Any:
    logits = h @ weight.T + (0 if bias is None else bias)
    logits = logits.masked_fill(mask.unsqueeze(-1) == 0, float("-inf"))
    pooled = logits.max(1).values
    return pooled if columns is None else pooled[:, columns]


def _plain_sum(h: Any, mask: Any, weight: Any, bias: Any, columns: Any, names: Any) -> Any:
    weights = activate(h @ weight.T + bias, *names) * mask.unsqueeze(-1)
    pooled = weights.sum(1)
    return pooled if columns is None else pooled[:, columns]


def _with_gradients(make: Callable[[], Any], leaves: list[Any], seed: int = 9) -> list[Any]:
    for leaf in leaves:
        leaf.grad = None
    out = make()
    out.backward(torch.randn(out.shape, generator=torch.Generator().manual_seed(seed)))
    return [out.detach(), *(leaf.grad.clone() for leaf in leaves)]


def _assert_same(found: list[Any], expected: list[Any], atol: float = 1e-5) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("columns", [None, COLUMNS])
@pytest.mark.parametrize("chunk", [None, 1, 7, 41])
def test_the_maximum_is_that_of_the_plain_way(columns: Any, chunk: int | None) -> None:
    h, mask, weight, bias = _inputs()
    leaves = [h, weight, bias]
    found = _with_gradients(
        lambda: pooled_logits_max(h, mask, weight, bias, columns, chunk), leaves
    )
    expected = _with_gradients(lambda: _plain_max(h, mask, weight, bias, columns), leaves)
    assert found[0].dtype == torch.float32
    _assert_same(found, expected)


@pytest.mark.parametrize("columns", [None, COLUMNS])
@pytest.mark.parametrize("chunk", [None, 1, 7])
@pytest.mark.parametrize(
    "names", [("relu", "log1p"), ("softplus", "double_log"), ("identity", "none")]
)
def test_the_sum_is_that_of_the_plain_way(
    columns: Any, chunk: int | None, names: tuple[Activation, Saturation]
) -> None:
    h, mask, weight, bias = _inputs()
    leaves = [h, weight, bias]
    found = _with_gradients(
        lambda: pooled_weights_sum(h, mask, weight, bias, *names, columns, chunk), leaves
    )
    expected = _with_gradients(lambda: _plain_sum(h, mask, weight, bias, columns, names), leaves)
    _assert_same(found, expected)


def test_no_bias() -> None:
    h, mask, weight, _ = _inputs()
    found = _with_gradients(lambda: pooled_logits_max(h, mask, weight, None), [h, weight])
    expected = _with_gradients(lambda: _plain_max(h, mask, weight, None, None), [h, weight])
    _assert_same(found, expected)


def test_many_documents_are_multiplied_in_runs() -> None:
    """Runs hold 512 tokens: 20 documents of 60 are three runs, one of 600 is one of its own."""
    made = torch.Generator().manual_seed(1)
    h = torch.randn((21, 600, 4), generator=made).requires_grad_()
    lengths = torch.tensor([60] * 10 + [600] + [60] * 10)
    mask = torch.arange(600) < lengths[:, None]
    weight = torch.randn((6, 4), generator=made).requires_grad_()
    found = _with_gradients(lambda: pooled_logits_max(h, mask, weight, None), [h, weight])
    expected = _with_gradients(lambda: _plain_max(h, mask, weight, None, None), [h, weight])
    _assert_same(found, expected, atol=1e-4)


def test_negative_logits_stay_negative() -> None:
    h, mask, weight, _ = _inputs()
    bias = torch.full((41,), -100.0)
    found = pooled_logits_max(h, mask, weight, bias)
    assert bool((found < 0).all())
    torch.testing.assert_close(found, _plain_max(h, mask, weight, bias, None))


def test_padding_may_lie_anywhere() -> None:
    h, _, weight, bias = _inputs()
    mask = torch.tensor([[0, 0, 1, 0, 1, 0, 0, 1, 0]] * 5)
    found = _with_gradients(lambda: pooled_logits_max(h, mask, weight, bias), [h, weight])
    expected = _with_gradients(lambda: _plain_max(h, mask, weight, bias, None), [h, weight])
    _assert_same(found, expected)


def test_ties_go_to_the_first_position() -> None:
    h = torch.tensor([[[1.0, 0.0], [2.0, 0.0], [2.0, 5.0], [2.0, 0.0]]]).requires_grad_()
    weight = torch.tensor([[1.0, 0.0]]).requires_grad_()
    pooled_logits_max(h, torch.ones(1, 4), weight, None).sum().backward()
    assert h.grad is not None
    assert weight.grad is not None
    assert h.grad.tolist() == [[[0, 0], [1, 0], [0, 0], [0, 0]]]
    assert weight.grad.tolist() == [[2.0, 0.0]]


@pytest.mark.parametrize("masked", [[0], [0, 1, 2, 3, 4]])
def test_a_document_without_tokens_has_zeros_and_no_gradient(masked: list[int]) -> None:
    h, mask, weight, bias = _inputs()
    mask[masked] = 0
    for pooled in (
        pooled_logits_max(h, mask, weight, bias),
        pooled_weights_sum(h, mask, weight, bias, "softplus", "log1p"),
    ):
        h.grad = bias.grad = None
        pooled.sum().backward()
        assert not pooled[masked].any()
        assert not h.grad[masked].any()
        assert bool(h.grad.any()) == (len(masked) < 5)
        assert bool(bias.grad.any()) == (len(masked) < 5)


def test_no_gradient_where_none_is_wanted() -> None:
    h, mask, weight, bias = _inputs()
    frozen = weight.detach()
    pooled_logits_max(h, mask, frozen, bias.detach(), COLUMNS).sum().backward()
    assert frozen.grad is None
    assert bool(h.grad.any())
    with torch.inference_mode():
        assert not pooled_logits_max(h, mask, weight, bias).requires_grad


def test_a_sparse_loss_reaches_few_pairs() -> None:
    """Only one pair has a gradient: it moves one state and one vector."""
    h, mask, weight, bias = _inputs()
    pooled_logits_max(h, mask, weight, bias)[2, 7].backward()
    position = int((h[2, : LENGTHS[2]] @ weight[7]).argmax())
    assert h.grad.abs().sum(2).nonzero().tolist() == [[2, position]]
    assert weight.grad.abs().sum(1).nonzero().tolist() == [[7]]
    torch.testing.assert_close(h.grad[2, position], weight[7].detach())
    torch.testing.assert_close(weight.grad[7], h[2, position].detach())
    assert bias.grad.nonzero().tolist() == [[7]]


@pytest.mark.parametrize("pool", ["max", "sum"])
def test_under_autocast_products_are_bfloat16_and_pools_float32(pool: str) -> None:
    h, mask, weight, bias = _inputs()
    leaves = [h, weight, bias]

    def made() -> Any:
        if pool == "max":
            return pooled_logits_max(h, mask, weight, bias)
        return pooled_weights_sum(h, mask, weight, bias, "relu", "log1p")

    exact = _with_gradients(made, leaves)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = made()
    assert out.dtype == torch.float32
    assert not torch.equal(out, exact[0])
    torch.testing.assert_close(out, exact[0], rtol=2e-2, atol=6e-2)
    rounded = (h.detach().bfloat16() @ weight.detach().bfloat16().T).float()
    if pool == "max":
        rounded = rounded.masked_fill(mask.unsqueeze(-1) == 0, float("-inf"))
        torch.testing.assert_close(out, rounded.max(1).values + bias)
    out.sum().backward()
    assert all(leaf.grad.dtype == torch.float32 for leaf in leaves)


def test_what_is_held_for_the_backward_pass_is_no_cube() -> None:
    """Positions x terms of one document are more than all that is saved."""
    h = torch.randn((2, 50, 4)).requires_grad_()
    weight = torch.randn((3000, 4)).requires_grad_()
    saved: list[int] = []

    def count(tensor: Any) -> Any:
        saved.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        pooled = torch.relu(pooled_logits_max(h, torch.ones(2, 50), weight, None))
    pooled.sum().backward()
    assert max(saved) < 50 * 3000


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the fused kernel runs on CUDA alone")
@pytest.mark.parametrize("columns", [None, COLUMNS])
def test_the_fused_kernel_is_the_plain_way(columns: Any) -> None:
    pytest.importorskip("triton")
    from lsr.training.models.triton_head import fused_max

    h, mask, weight, bias = (tensor.detach().cuda() for tensor in _inputs())
    h.requires_grad_()
    weight.requires_grad_()
    bias.requires_grad_()
    on_card = None if columns is None else columns.cuda()
    leaves = [h, weight, bias]
    found = _with_gradients(lambda: pooled_logits_max(h, mask, weight, bias, on_card), leaves)
    expected = _with_gradients(lambda: _plain_max(h, mask, weight, bias, on_card), leaves)
    _assert_same(found, expected)
    lengths = torch.tensor([0, 3], device="cuda")
    assert not fused_max(h[0, :3].detach(), lengths, weight.detach())[0].any()
