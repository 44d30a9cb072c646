"""The pooled maximum as fused kernels for CUDA: products never leave the chip.

Forward, a program takes one document and some terms, multiplies block after block of the
document's tokens, and keeps the largest product of each term and its row. Backward, the gradient
goes to these rows: for hidden states by atomic additions, for the vocabulary's vectors by a loop
over documents. A loss that is not a number stays visible: where no product of a term is a number,
its maximum is none either.

Imported only where CUDA is in use and Triton installed.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

__all__ = ["fused_max"]

TOKENS = 64
TERMS = 128
HIDDEN = 64


def fused_max(states: torch.Tensor, lengths: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The largest product of each term over the rows of each document, differentiable.

    Args:
        states: shape (N, H): real tokens, document after document.
        lengths: int64, shape (B,), of sum N: tokens of each document.
        weight: shape (C, H), of the dtype of `states`.

    Returns:
        float32, shape (B, C); 0 for a document without tokens. Ties go to the first row.
    """
    pooled: torch.Tensor = _FusedMaximum.apply(states, lengths, weight)
    return pooled


class _FusedMaximum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, states: torch.Tensor, lengths: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        states, weight = states.contiguous(), weight.contiguous()
        n_documents, n_terms, width = len(lengths), weight.shape[0], weight.shape[1]
        offsets = torch.zeros(n_documents + 1, dtype=torch.int32, device=states.device)
        offsets[1:] = lengths.cumsum(0)
        best = states.new_empty((n_documents, n_terms), dtype=torch.float32)
        rows = states.new_empty((n_documents, n_terms), dtype=torch.int32)
        grid = (n_documents, triton.cdiv(n_terms, TERMS))
        _forward[grid](states, weight, offsets, best, rows, n_terms, width, TOKENS, TERMS, HIDDEN)
        ctx.save_for_backward(states, weight, rows)
        return best

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        states, weight, rows = ctx.saved_tensors
        grad = grad.float().contiguous()
        n_documents, n_terms = grad.shape
        width = states.shape[1]
        of_states = of_weight = None
        if ctx.needs_input_grad[0]:
            sums = torch.zeros_like(states, dtype=torch.float32)
            grid = (n_documents, triton.cdiv(n_terms, TOKENS))
            _to_states[grid](grad, rows, weight, sums, n_terms, width, TOKENS, HIDDEN)
            of_states = sums.to(states.dtype)
        if ctx.needs_input_grad[2]:
            sums = torch.empty_like(weight, dtype=torch.float32)
            grid = (triton.cdiv(n_terms, TOKENS), triton.cdiv(width, HIDDEN))
            _to_weight[grid](grad, rows, states, sums, n_documents, n_terms, width, TOKENS, HIDDEN)
            of_weight = sums.to(weight.dtype)
        return of_states, None, of_weight


@triton.jit  # type: ignore[untyped-decorator]
def _forward(  # type: ignore[no-untyped-def]
    states,
    weight,
    offsets,
    best_out,
    rows_out,
    n_terms,
    width,
    block_tokens: tl.constexpr,
    block_terms: tl.constexpr,
    block_hidden: tl.constexpr,
):
    """A document (program 0) and a block of terms (program 1)."""
    document = tl.program_id(0)
    terms = tl.program_id(1) * block_terms + tl.arange(0, block_terms)
    is_term = terms < n_terms
    start = tl.load(offsets + document)
    end = tl.load(offsets + document + 1)
    best = tl.full((block_terms,), float("-inf"), tl.float32)
    where = tl.full((block_terms,), -1, tl.int32)
    for first in range(start, end, block_tokens):
        tokens = first + tl.arange(0, block_tokens)
        is_token = tokens < end
        logits = tl.zeros((block_tokens, block_terms), tl.float32)
        for column in range(0, width, block_hidden):
            hidden = column + tl.arange(0, block_hidden)
            is_hidden = hidden < width
            left = tl.load(
                states + tokens[:, None].to(tl.int64) * width + hidden[None, :],
                mask=is_token[:, None] & is_hidden[None, :],
                other=0.0,
            )
            right = tl.load(
                weight + terms[None, :].to(tl.int64) * width + hidden[:, None],
                mask=is_term[None, :] & is_hidden[:, None],
                other=0.0,
            )
            logits = tl.dot(left, right, logits, input_precision="ieee")
        logits = tl.where(is_token[:, None], logits, float("-inf"))
        largest, place = tl.max(logits, axis=0, return_indices=True)
        better = largest > best
        best = tl.where(better, largest, best)
        where = tl.where(better, first + place, where)
    unknown = tl.where(end > start, float("nan"), 0.0)
    best = tl.where(where >= 0, best, unknown)
    target = document.to(tl.int64) * n_terms + terms
    tl.store(best_out + target, best, mask=is_term)
    tl.store(rows_out + target, where, mask=is_term)


@triton.jit  # type: ignore[untyped-decorator]
def _to_states(  # type: ignore[no-untyped-def]
    grad,
    rows,
    weight,
    sums,
    n_terms,
    width,
    block_terms: tl.constexpr,
    block_hidden: tl.constexpr,
):
    """Adds gradient times vector of a term to the row that the term's maximum came from."""
    document = tl.program_id(0)
    terms = tl.program_id(1) * block_terms + tl.arange(0, block_terms)
    source = document.to(tl.int64) * n_terms + terms
    value = tl.load(grad + source, mask=terms < n_terms, other=0.0)
    row = tl.load(rows + source, mask=terms < n_terms, other=-1)
    counts = (row >= 0) & (value != 0.0)
    for column in range(0, width, block_hidden):
        hidden = column + tl.arange(0, block_hidden)
        inside = counts[:, None] & (hidden < width)[None, :]
        vectors = tl.load(
            weight + terms[:, None].to(tl.int64) * width + hidden[None, :], mask=inside, other=0.0
        )
        tl.atomic_add(
            sums + row[:, None].to(tl.int64) * width + hidden[None, :],
            value[:, None] * vectors.to(tl.float32),
            mask=inside,
        )


@triton.jit  # type: ignore[untyped-decorator]
def _to_weight(  # type: ignore[no-untyped-def]
    grad,
    rows,
    states,
    sums,
    n_documents,
    n_terms,
    width,
    block_terms: tl.constexpr,
    block_hidden: tl.constexpr,
):
    """Adds up, over documents, gradient times the row that a term's maximum came from."""
    terms = tl.program_id(0) * block_terms + tl.arange(0, block_terms)
    hidden = tl.program_id(1) * block_hidden + tl.arange(0, block_hidden)
    is_term = terms < n_terms
    is_hidden = hidden < width
    total = tl.zeros((block_terms, block_hidden), tl.float32)
    for document in range(n_documents):
        source = tl.cast(document, tl.int64) * n_terms + terms
        value = tl.load(grad + source, mask=is_term, other=0.0)
        row = tl.load(rows + source, mask=is_term, other=-1)
        counts = (row >= 0) & (value != 0.0)
        vectors = tl.load(
            states + row[:, None].to(tl.int64) * width + hidden[None, :],
            mask=counts[:, None] & is_hidden[None, :],
            other=0.0,
        )
        total += value[:, None] * vectors.to(tl.float32)
    tl.store(
        sums + terms[:, None].to(tl.int64) * width + hidden[None, :],
        total,
        mask=is_term[:, None] & is_hidden[None, :],
    )
