"""Ray nodes on this machine, in a network namespace where nothing else is, killed by their ids."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

__all__ = ["Nodes"]

HEAD_PORT = 6400
PORTS = (
    *("node_manager_port", "object_manager_port", "metrics_agent_port", "metrics_export_port"),
    *("runtime_env_agent_port", "dashboard_agent_listen_port"),
)
STARTS = 3
"""A node whose agents are late on a loaded machine ends by itself; then another is started."""


class Nodes:
    """A head without room for shards, and nodes with room for two copies each.

    Args:
        n: nodes beside the head.
    """

    def __init__(self, n: int) -> None:
        self._ports = 7_000
        self._cluster = Cluster()
        self._added(
            gcs_server_port=HEAD_PORT,
            num_cpus=0,
            include_dashboard=False,
            _system_config={"health_check_initial_delay_ms": 0, "health_check_period_ms": 1_000},
        )
        self.nodes: list[Any] = []
        for _ in range(n):
            self.add()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{HEAD_PORT}"

    def add(self) -> None:
        """A node more."""
        self.nodes.append(self._added(resources={"lsr": 2}, num_cpus=2))

    def _added(self, **more: Any) -> Any:
        for last in (False,) * (STARTS - 1) + (True,):
            ports = range(self._ports, self._ports + 6)
            self._ports += 10
            fixed = dict(zip(PORTS, ports, strict=True))
            local = {"node_ip_address": "127.0.0.1", "include_log_monitor": False}
            try:
                return self._cluster.add_node(**fixed, **local, **more)
            except Exception:
                if last:
                    raise
        raise AssertionError

    def kill(self) -> None:
        """Kill the oldest node as a machine dies: its raylet and its workers at once."""
        raylet = self.nodes.pop(0).all_processes["raylet"][0].process.pid
        for each in (raylet, *_children(raylet)):
            os.kill(each, signal.SIGKILL)

    def n_alive(self) -> int:
        """Nodes beside the head, as the cluster believes."""
        return sum(bool(each["Alive"] and each["Resources"].get("lsr")) for each in ray.nodes())

    def close(self) -> None:
        ray.shutdown()
        self._cluster.shutdown()


def _children(parent: int) -> list[int]:
    """Processes that one started, by their ids."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = path.read_text("utf-8").rpartition(")")[2]
        except OSError:
            continue  # it has ended
        if int(after_name.split()[1]) == parent:
            found.append(int(path.parent.name))
    return found
