"""Sharing among the processes of a run: rows of weights, with gradients.

Every process knows the whole batch and encodes a share of its documents. The weights are gathered,
and each process computes the loss of the whole batch; so the loss, and what lambda means, do not
depend on the number of processes. Gathering adds gradients up over processes, and data-parallel
training takes their mean, so parameters get the gradient that one process would give them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from lsr.errors import InputError

__all__ = [
    "gather_rows",
    "is_main_process",
    "main_process_first",
    "process_index",
    "process_share",
    "refuse_sharding",
    "wait_for_all",
]


def _processes() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process_index() -> int:
    """The number of this process, 0 for the only one."""
    return dist.get_rank() if _processes() > 1 else 0


def is_main_process() -> bool:
    """Whether this process writes what a run leaves."""
    return process_index() == 0


def refuse_sharding() -> None:
    """Refuse a launcher's wish that networks be spread over processes.

    Raises:
        InputError: it asks for FSDP or DeepSpeed.
    """
    for name in ("FSDP", "DeepSpeed"):
        if os.environ.get(f"ACCELERATE_USE_{name.upper()}", "false").lower() == "true":
            raise InputError(
                f"the launcher asks for {name}, and here each process holds the whole network; "
                "launch with distributed_type MULTI_GPU, and save memory by optim.lora, "
                "optim.gradient_checkpointing and optim.recompute"
            )


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if _processes() > 1:
        dist.barrier()


@contextmanager
def main_process_first() -> Iterator[None]:
    """Work that leaves files which the other processes then find, and do not do again."""
    if not is_main_process():
        wait_for_all()
    try:
        yield
    finally:
        if is_main_process():
            wait_for_all()


def process_share(n: int) -> range:
    """Rows, of `n`, that this process encodes."""
    return range(process_index(), n, _processes())


class _GatherRows(torch.autograd.Function):
    """All processes' tensors of one shape; gradients are added up over processes."""

    @staticmethod
    def forward(ctx: object, rows: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG004
        parts = [torch.empty_like(rows) for _ in range(_processes())]
        dist.all_gather(parts, rows.contiguous())
        return tuple(parts)

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        mine = [gradient.contiguous() for gradient in gradients]
        for gradient in mine:
            dist.all_reduce(gradient)
        return mine[process_index()]


def gather_rows(rows: Tensor, n: int) -> Tensor:
    """Rows of all processes in the order of the batch.

    Args:
        rows: this process's, shape (len(process_share(n)), ...).
        n: rows of the batch.

    Returns:
        Shape (n, ...).
    """
    processes = _processes()
    if processes == 1:
        return rows
    each = -(-n // processes)
    missing = each - len(rows)
    if missing:
        rows = torch.cat([rows, rows.new_zeros(missing, *rows.shape[1:])])
    parts = torch.stack(_GatherRows.apply(rows), 1)
    return parts.flatten(0, 1)[:n]
