"""Products of hidden states with a whole vocabulary, pooled over positions before they fill memory.

A masked-LM head gives a logit to each term at each position: documents x positions x terms, a
gigabyte for 32 documents of 256 tokens. Only the largest logit of each term matters, so products
are made for some terms of some documents at a time, of real tokens only, and pooled at once. The
results are those of the plain way, forward and backward.

- Maximum: the gradient of a pooled logit goes to one position, the first that has it. Positions
  are sought in the backward pass, for pairs of document and term that have a gradient: with relu
  and a sparse loss these are few. The rest is two products with a sparse matrix.
- Sum: activations stand inside, so the backward pass makes the products again, part by part.

Bias is the same at all positions and is added after the maximum. Products are of autocast's dtype
where that is on; all that is pooled or added up is float32. On CUDA with Triton installed, the
maximum is one fused kernel (`lsr.training.models.triton_head`).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import torch

from lsr.training.models.activations import Activation, Saturation, activate

__all__ = ["pooled_logits_max", "pooled_weights_sum"]

CPU_TOKENS = 512
CPU_TERMS = 1024
CUDA_TOKENS = 8192
CUDA_TERMS = 4096
"""Tokens and terms of one product: on a CPU they fit its caches."""


def pooled_logits_max(
    h: torch.Tensor,
    mask: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    columns: torch.Tensor | None = None,
    chunk: int | None = None,
) -> torch.Tensor:
    """The largest logit of each term over a document's tokens.

    Args:
        h: hidden states, shape (B, L, H).
        mask: shape (B, L); not 0 for tokens that count.
        weight: shape (V, H). bias: shape (V,).
        columns: int64, shape (C,): terms wanted, in this order; all when None.
        chunk: terms of one product; None chooses.

    Returns:
        float32, shape (B, C) or (B, V); 0 for a document without tokens.
    """
    weight, bias = _chosen(weight, bias, columns)
    states, lengths = _real_tokens(h, mask)
    dtype = _product_dtype(h, weight)
    pooled: torch.Tensor
    if h.is_cuda and importlib.util.find_spec("triton") is not None:
        from lsr.training.models.triton_head import fused_max

        pooled = fused_max(states.to(dtype), lengths, weight.to(dtype))
    else:
        pooled = _Maximum.apply(states, lengths.tolist(), weight, dtype, chunk)
    if bias is not None:
        pooled = pooled + bias.float()
    return torch.where((lengths > 0).unsqueeze(1), pooled, pooled.new_zeros(()))


def pooled_weights_sum(
    h: torch.Tensor,
    mask: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    activation: Activation,
    saturation: Saturation,
    columns: torch.Tensor | None = None,
    chunk: int | None = None,
) -> torch.Tensor:
    """The sum over a document's tokens of each term's activated logit.

    Arguments as for `pooled_logits_max`, and the names of `lsr.training.models.activations`.

    Returns:
        float32, shape (B, C) or (B, V); 0 for a document without tokens.
    """
    weight, bias = _chosen(weight, bias, columns)
    states, lengths = _real_tokens(h, mask)
    dtype = _product_dtype(h, weight)
    given = weight.new_zeros(weight.shape[0]) if bias is None else bias
    pooled: torch.Tensor = _Sum.apply(
        states, lengths.tolist(), weight, given, dtype, chunk, activation, saturation
    )
    return pooled


def _chosen(
    weight: torch.Tensor, bias: torch.Tensor | None, columns: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    if columns is None:
        return weight, bias
    return weight.index_select(0, columns), None if bias is None else bias.index_select(0, columns)


def _real_tokens(h: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    real = mask != 0
    return h[real], real.sum(1)


def _product_dtype(h: torch.Tensor, weight: torch.Tensor) -> torch.dtype:
    if torch.is_autocast_enabled(h.device.type):
        return torch.get_autocast_dtype(h.device.type)
    return torch.promote_types(h.dtype, weight.dtype)


class _Parts:
    """Parts of tokens and of terms that are multiplied at once."""

    def __init__(self, lengths: list[int], n_terms: int, chunk: int | None, on_cuda: bool) -> None:
        self.offsets = [0]
        for length in lengths:
            self.offsets.append(self.offsets[-1] + length)
        self._n_terms = n_terms
        self._chunk = chunk or (CUDA_TERMS if on_cuda else CPU_TERMS)
        self._tokens = CUDA_TOKENS if on_cuda else CPU_TOKENS

    def terms(self) -> Iterator[slice]:
        """Slices of the vocabulary."""
        for start in range(0, self._n_terms, self._chunk):
            yield slice(start, min(start + self._chunk, self._n_terms))

    def documents(self) -> Iterator[tuple[int, int]]:
        """Runs of documents with few tokens in all, as first and last + 1; empty ones left out."""
        first = 0
        for last in range(1, len(self.offsets)):
            at_end = last == len(self.offsets) - 1
            if at_end or self.offsets[last + 1] - self.offsets[first] > self._tokens:
                if self.offsets[last] > self.offsets[first]:
                    yield first, last
                first = last

    def spans(self, first: int, last: int) -> Iterator[tuple[int, slice]]:
        """Documents of a run that have tokens, and where these lie within the run."""
        for document in range(first, last):
            start, end = self.offsets[document], self.offsets[document + 1]
            if end > start:
                yield document, slice(start - self.offsets[first], end - self.offsets[first])


class _Maximum(torch.autograd.Function):
    """Largest products over the rows of each document, without bias."""

    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        lengths: list[int],
        weight: torch.Tensor,
        dtype: torch.dtype,
        chunk: int | None,
    ) -> torch.Tensor:
        parts = _Parts(lengths, weight.shape[0], chunk, states.is_cuda)
        out = states.new_zeros((len(lengths), weight.shape[0]), dtype=torch.float32)
        with torch.autocast(states.device.type, enabled=False):
            rows = states.to(dtype)
            for terms in parts.terms():
                columns = weight[terms].to(dtype).T
                for first, last in parts.documents():
                    logits = rows[parts.offsets[first] : parts.offsets[last]] @ columns
                    for document, span in parts.spans(first, last):
                        out[document, terms] = logits[span].amax(0)
        ctx.save_for_backward(states, weight)
        ctx.parts, ctx.dtype = parts, dtype
        return out

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        states, weight = ctx.saved_tensors
        with torch.autocast(states.device.type, enabled=False):
            rows, terms, values = _first_maxima(states, weight, grad, ctx.parts, ctx.dtype)
            of_states = of_weight = None
            if ctx.needs_input_grad[0]:
                shape = (states.shape[0], weight.shape[0])
                of_states = _sparse_product(rows, terms, values, shape, weight).to(states.dtype)
            if ctx.needs_input_grad[2]:
                shape = (weight.shape[0], states.shape[0])
                of_weight = _sparse_product(terms, rows, values, shape, states).to(weight.dtype)
        return of_states, None, of_weight, None, None


def _first_maxima(
    states: torch.Tensor,
    weight: torch.Tensor,
    grad: torch.Tensor,
    parts: _Parts,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Row, term and gradient of each pair of a document and a term that has a gradient."""
    nothing = torch.zeros(0, dtype=torch.int64, device=grad.device)
    rows, terms, values = [nothing], [nothing], [nothing.float()]
    for document, (start, end) in enumerate(zip(parts.offsets, parts.offsets[1:], strict=False)):
        if end == start:
            continue
        tokens = states[start:end].to(dtype)
        wanted = grad[document].nonzero().squeeze(1)
        for some in wanted.split(CUDA_TERMS if states.is_cuda else CPU_TERMS):
            logits = tokens @ weight.index_select(0, some).to(dtype).T
            rows.append(logits.max(0).indices + start)
        terms.append(wanted)
        values.append(grad[document, wanted].float())
    return torch.cat(rows), torch.cat(terms), torch.cat(values)


def _sparse_product(
    rows: torch.Tensor,
    columns: torch.Tensor,
    values: torch.Tensor,
    shape: tuple[int, int],
    dense: torch.Tensor,
) -> torch.Tensor:
    sparse = torch.sparse_coo_tensor(
        torch.stack([rows, columns]), values, shape, check_invariants=False
    )
    product: torch.Tensor = torch.sparse.mm(sparse, dense.float())
    return product


class _Sum(torch.autograd.Function):
    """Sums of activated products over the rows of each document."""

    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        lengths: list[int],
        weight: torch.Tensor,
        bias: torch.Tensor,
        dtype: torch.dtype,
        chunk: int | None,
        activation: Activation,
        saturation: Saturation,
    ) -> torch.Tensor:
        parts = _Parts(lengths, weight.shape[0], chunk, states.is_cuda)
        out = states.new_zeros((len(lengths), weight.shape[0]), dtype=torch.float32)
        with torch.autocast(states.device.type, enabled=False):
            rows = states.to(dtype)
            for terms in parts.terms():
                columns = weight[terms].to(dtype).T
                for first, last in parts.documents():
                    logits = rows[parts.offsets[first] : parts.offsets[last]] @ columns
                    weights = activate(logits.float() + bias[terms], activation, saturation)
                    for document, span in parts.spans(first, last):
                        out[document, terms] = weights[span].sum(0)
        ctx.save_for_backward(states, weight, bias)
        ctx.parts, ctx.dtype, ctx.names = parts, dtype, (activation, saturation)
        return out

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        states, weight, bias = ctx.saved_tensors
        parts, dtype = ctx.parts, ctx.dtype
        of_states = torch.zeros_like(states, dtype=torch.float32)
        of_weight = torch.zeros_like(weight, dtype=torch.float32)
        of_bias = torch.zeros_like(bias, dtype=torch.float32)
        with torch.autocast(states.device.type, enabled=False):
            rows = states.to(dtype)
            for terms in parts.terms():
                columns = weight[terms].to(dtype)
                for first, last in parts.documents():
                    run = slice(parts.offsets[first], parts.offsets[last])
                    logits = (rows[run] @ columns.T).float() + bias[terms]
                    wanted = torch.empty_like(logits)
                    for document, span in parts.spans(first, last):
                        wanted[span] = grad[document, terms]
                    with torch.enable_grad():
                        logits.requires_grad_()
                        weights = activate(logits, *ctx.names)
                    (slope,) = torch.autograd.grad(weights, logits, wanted)
                    of_bias[terms] += slope.sum(0)
                    slope = slope.to(dtype)
                    of_states[run] += slope @ columns
                    of_weight[terms] += slope.T @ rows[run]
        gradients = (of_states.to(states.dtype), None, of_weight.to(weight.dtype))
        return (*gradients, of_bias.to(bias.dtype), None, None, None, None)
