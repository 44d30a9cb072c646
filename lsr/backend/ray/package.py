"""The package `ray`, or an error that names the extra which brings it."""

from __future__ import annotations

from lsr.errors import UnavailableError

__all__ = ["ray"]

try:
    import ray
    import ray.exceptions
    import ray.util.scheduling_strategies
except ModuleNotFoundError as error:
    raise UnavailableError(
        "shards on a cluster need Ray, which is not installed; run: pip install 'lsr-search[ray]'"
    ) from error
