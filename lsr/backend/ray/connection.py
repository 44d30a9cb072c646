"""The Ray cluster that this process works with: one that runs, or one of its own."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from lsr.backend.ray.package import ray
from lsr.errors import InputError, ServiceError

__all__ = ["connect"]

ADDRESS = "RAY_ADDRESS"
_PROBE_SECONDS = 5.0
_FAULTS = (OSError, RuntimeError, ValueError, SystemExit)
"""Of connecting; Ray ends the process where it finds no cluster."""


def connect(address: str | None = None) -> None:
    """Connect to a cluster, unless this process already is.

    Args:
        address: HOST:PORT of its head. None for that of the environment's `RAY_ADDRESS`, else the
            cluster that runs on this machine, else one that is started and ends with this process.

    Raises:
        InputError: the address is none, or the process is connected to another cluster.
        ServiceError: there is no cluster that can be used at the address.
    """
    address = address or os.environ.get(ADDRESS)
    if ray.is_initialized():
        own = ray.get_runtime_context().gcs_address
        if address not in (None, "auto", "local", own):
            raise InputError(f"this process works with the Ray cluster at {own}, not {address}")
        return
    if address in (None, "auto"):
        address = _running_here()
    if address in (None, "local"):
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        where, address = "on this machine", "local"
    else:
        where = f"at {address}"
        _probe(address)
    try:
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        ray.init(address=address, **quiet)
    except _FAULTS as error:
        raise _no_cluster(where, error) from error


def _running_here() -> str | None:
    """The cluster that `ray start` left word of on this machine, if it still answers."""
    path = Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir())) / "ray" / "ray_current_cluster"
    try:
        address = path.read_text("utf-8").strip()
        _probe(address)
    except (OSError, InputError, ServiceError):
        return None
    return address


def _probe(address: str) -> None:
    """See whether anything listens there: Ray itself would try for two minutes."""
    host, _, port = address.rpartition(":")
    if "//" in address or not host or not port.isdecimal():
        raise InputError(f"{address} is no address of a Ray cluster; give HOST:PORT of its head")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PROBE_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(f"at {address}", error) from error


def _no_cluster(where: str, error: BaseException) -> ServiceError:
    told = " ".join(str(error).split())[:200]
    return ServiceError(
        f"no Ray cluster can be used {where} ({told}); start one with ray start --head, or name "
        "its head with --ray-address HOST:PORT"
    )
