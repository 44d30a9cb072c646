"""A real service in a process of its own, with keys and a folder for collections."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lsr.client import Client
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.service.security.keys import KeyFile
from lsr.types import Document
from tests.support.served import serving

ADMIN = "an-admin-key-that-is-long-enough"
PATIENCE = 120.0
"""Seconds: the first search of a process may have to compile."""

DOCUMENTS = [
    Document("heron", "A heron stands in the river.", "Heron", {"year": 2020, "lang": "en"}),
    Document("otter", "An otter fishes in the river.", "Otter", {"year": 2021, "lang": "en"}),
    Document("reiher", "Ein Reiher steht im Fluss.", "", {"year": 2021, "lang": "de"}),
]


@pytest.fixture(scope="package")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service that has the collection `birds`."""
    folder = tmp_path_factory.mktemp("client")
    build_collection(DOCUMENTS, folder / "Birds", sparse=Bm25Encoder())
    KeyFile(folder / "keys.json").create("first", "read")
    with serving(
        folder / "Birds",
        data_dir=folder / "data",
        keys=folder / "keys.json",
        admin_key=ADMIN,
    ) as served:
        yield served.url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    """A client that may do everything."""
    with Client(url, key=ADMIN, timeout=PATIENCE) as client:
        yield client
