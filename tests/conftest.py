"""Fixtures that many tests share: a small collection, in memory and on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.types import Document

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the hub's client is imported
if os.environ.get("NUMBA_BOUNDSCHECK") == "1":
    # Numba's cache does not tell checked from unchecked code, and would hand out either
    checked = Path(__file__).parent.parent / ".pytest_cache" / "numba-boundscheck"
    os.environ.setdefault("NUMBA_CACHE_DIR", str(checked))

# how long an example takes says more about the machine than about the code
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

BIRDS = [
    Document("heron", "The grey heron waits in shallow water for fish.", "Heron", {"legs": 2}),
    Document("otter", "Otters hunt fish in rivers.", "Otter", {"legs": 4, "tags": ["wet", "fur"]}),
    Document("kestrel", "A kestrel hovers over fields.", "Kestrel", {"legs": 2, "tags": ["dry"]}),
    Document("pike", "The pike is a fish of rivers and lakes.", "Pike", {"legs": 0}),
    Document("empty", ""),
    Document("zebra-2", "Striped grass eater of the plains."),
    Document("zebra-1", "Striped grass eater of the plains."),
]


@pytest.fixture
def documents() -> list[Document]:
    """Seven documents: one is empty, two have the same text."""
    return list(BIRDS)


@pytest.fixture
def built(tmp_path: Path, documents: list[Document]) -> Path:
    """The path of a collection of `documents`, with BM25 only."""
    target = tmp_path / "birds"
    build_collection(documents, target, sparse=Bm25Encoder(), source="birds")
    return target
