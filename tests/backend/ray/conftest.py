"""One cluster for all tests of a process, and an index of two shards that was built on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lsr.backend.build import build_sharded
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import LsrError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from tests.support.hybrid_corpus import DOCUMENTS, Topics

if TYPE_CHECKING:
    from bench.scale.ray_nodes import Nodes


NOT_STARTED = 77
"""Exit status where Ray itself does not come up, as on a machine that is very busy."""


@pytest.fixture(scope="session")
def nodes() -> Iterator[Nodes]:
    from bench.scale.ray_nodes import Nodes
    from lsr.backend.ray.connection import connect

    try:
        started = Nodes(2)
        connect(started.address)
    except (LsrError, RuntimeError, OSError) as error:  # before anything of ours runs
        pytest.exit(f"Ray's nodes do not start here: {error}", returncode=NOT_STARTED)
    yield started
    started.close()


@pytest.fixture(scope="session")
def folder(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sharded index with dense vectors."""
    from lsr.backend.ray.tasks import RayTasks

    folder = tmp_path_factory.mktemp("sharded") / "index"
    build_sharded(
        DOCUMENTS,
        folder,
        2,
        sparse=Bm25Encoder(),
        dense=Topics,
        tasks=RayTasks(nodes.address),
        slice_documents=16,
    )
    return folder


@pytest.fixture(scope="session")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectionReader]:
    """The same documents in one index."""
    folder = tmp_path_factory.mktemp("one") / "index"
    build_collection(DOCUMENTS, folder, sparse=Bm25Encoder(), dense=Topics())
    reader = CollectionReader.open(folder, dense=Topics())
    yield reader
    reader.close()
