"""`RayOptions`: the Ray cluster that shards are on. Ray itself is not needed to say which."""

from __future__ import annotations

from dataclasses import dataclass, field

from lsr.backend.replicated_shards import Patience
from lsr.errors import InputError
from lsr.options import check_options, option

__all__ = ["RayOptions"]


@dataclass(frozen=True)
class RayOptions:
    """Shards on a Ray cluster.

    Attributes:
        address: HOST:PORT of its head; None for that of `RAY_ADDRESS`, the one on this machine, or
            else one that is started.
        replicas: copies of every shard.
        patience: with copies that are late.
    """

    address: str | None = None
    replicas: int = option(1, "copies of every shard", low=1, high=64)
    patience: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        check_options(self, error=InputError)
