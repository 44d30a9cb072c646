"""Half precision where the machine computes in it: for networks that are only asked, not saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lsr.encoders.learned.torch_network import Precision, resolved_precision

__all__ = ["Precision", "computing_in", "resolved_precision"]


@contextmanager
def computing_in(precision: Precision) -> Iterator[None]:
    """Matrix products in bfloat16 within, if `precision` says so or, at auto, the machine can."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    half = resolved_precision(precision) == "bf16"
    with torch.autocast(device, torch.bfloat16, enabled=half):
        yield
