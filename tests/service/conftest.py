"""A small collection on disk for tests that serve it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.types import Document


@pytest.fixture(scope="session")
def herons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of 200 documents, all of which have the word heron."""
    path = tmp_path_factory.mktemp("served") / "birds"
    documents = [Document(f"{n}", f"Heron {n} stands in river {n % 7}.") for n in range(200)]
    build_collection(documents, path, sparse=Bm25Encoder())
    return path
