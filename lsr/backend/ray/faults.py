"""Errors of Ray as errors of lsr."""

from __future__ import annotations

from typing import Any

from lsr.backend.ray.package import ray
from lsr.errors import ServiceError

__all__ = ["ours"]

_NO_LSR = "failed to import on the worker"


def ours(error: Any) -> Exception:
    """An error of `ray.get` as what was run raised it; else ServiceError, in one line."""
    cause = getattr(error, "cause", None)
    told = " ".join(str(error).split())
    if isinstance(cause, ModuleNotFoundError) or _NO_LSR in told:
        return ServiceError(
            "a Ray node cannot import what this lsr needs; install lsr with the same version and "
            "extras on all nodes"
        )
    if isinstance(error, ray.exceptions.RayTaskError) and isinstance(cause, Exception):
        return cause
    return ServiceError(f"{type(error).__name__}: {told[:200]}")
