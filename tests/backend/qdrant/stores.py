"""Stores that tests of Qdrant run over: its engine, and the client's own imitation of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lsr.backend.qdrant.address import QdrantAddress
from lsr.backend.qdrant.client import ClientStore
from lsr.backend.qdrant.store import Layout, Point, PointStore

__all__ = ["ADDRESS", "Stopping", "edge_store", "local_store"]

ADDRESS = QdrantAddress("http://nowhere", "birds")


class _Kept(ClientStore):
    """Stays open, as several use it one after the other."""

    def close(self) -> None:
        """Nothing."""


def edge_store(folder: Path) -> Any:
    """The engine in this process; skipped where it is not installed."""
    pytest.importorskip("qdrant_edge")
    from bench.relevance.edge_points import EdgeStore

    return EdgeStore(folder)


def local_store(folder: Path) -> PointStore:
    """Collections of qdrant-client in memory."""
    client = pytest.importorskip("qdrant_client").QdrantClient(":memory:")
    return _Kept(client, "memory", is_local=True)


class Stopping:
    """A store that stops at a call of one kind, once it has done so many."""

    def __init__(self, store: PointStore, method: str, most: int) -> None:
        self._store = store
        self._method = method
        self._most = most

    def __getattr__(self, name: str) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(self._store, name)
        if name == self._method:
            self._most -= 1
            if self._most < 0:
                raise KeyboardInterrupt
        return found

    # as a protocol sees them
    exists: Callable[[str], bool]
    create: Callable[[str, Layout], None]
    put: Callable[[str, Sequence[Point]], None]
