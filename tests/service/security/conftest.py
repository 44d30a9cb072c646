"""A collection of two tenants, for tests of keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.types import Document

TENANTS = [
    Document("a1", "A heron stands in the river.", "Heron", {"tenant": "a"}),
    Document("a2", "A heron fishes.", "Fisher", {"tenant": "a"}),
    Document("b1", "A heron of the other tenant.", "Other", {"tenant": "b"}),
    Document("none", "A heron of nobody.", "Nobody"),
]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two collections with the same documents: birds and fish."""
    root = tmp_path_factory.mktemp("tenants")
    for name in ("birds", "fish"):
        build_collection(TENANTS, root / name, sparse=Bm25Encoder())
    return [root / "birds", root / "fish"]
