"""Collections of Qdrant that are not as lsr made them, each told in one sentence."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.backend.qdrant.address import QdrantAddress, is_address
from lsr.backend.qdrant.client import ClientStore
from lsr.backend.qdrant.migrate import migrate_from, migrate_to
from lsr.backend.qdrant.open import open_stored
from lsr.backend.qdrant.store import Layout, Point
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import (
    IndexCorruptError,
    IndexMissingError,
    IndexVersionError,
    InputError,
    ServiceError,
    ShardsMissingError,
    UnavailableError,
)
from lsr.files import read_signed, signed
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from tests.backend.qdrant.stores import ADDRESS, edge_store, local_store
from tests.support.hybrid_corpus import DOCUMENTS, Topics

SIDE = ADDRESS.side
FIELDS = ["doc_id", "title", "text", "metadata", "lsr_values", "lsr_stamp", "lsr_checks"]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    build_collection(DOCUMENTS, tmp_path / "one", sparse=Bm25Encoder(), dense=Topics())
    made = edge_store(tmp_path)
    reader = CollectionReader.open(tmp_path / "one", dense=Topics())
    migrate_to(reader, made, ADDRESS)
    reader.close()
    return made


def point(store: Any, number: int) -> Point:
    """A point as it is."""
    (found,) = store.fetch("birds", [number], FIELDS, ["sparse", "dense"])
    return Point(*found)


def rewrite(store: Any, **changes: Any) -> None:
    """Write the record again with other values."""
    (found,) = store.fetch(SIDE, [0], ["record"], ())
    content, _ = read_signed(found.payload["record"])
    store.put(SIDE, [Point(0, {"record": signed(content | changes)})])


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("modifier", "idf", "has modifier idf, which multiplies weights, which hold the idf"),
        ("sparse_datatype", "float16", "has sparse datatype float16, which rounds weights"),
        ("dense_datatype", "uint8", "has dense datatype uint8, which rounds dense vectors"),
        ("distance", "Cosine", "has distance Cosine, which compares dense vectors otherwise"),
        ("dimension", 7, "has dimension 7, which is of other vectors; it must be 6"),
        ("has_sparse", False, "has no sparse vectors"),
    ],
)
def test_collections_that_keep_vectors_otherwise(
    store: Any, field: str, value: Any, problem: str
) -> None:
    store.layouts["birds"] = store.layouts["birds"]._replace(**{field: value})
    with pytest.raises(IndexVersionError, match=f"the collection birds {problem}"):
        open_stored(store, ADDRESS)


@pytest.mark.parametrize(
    "layout",
    [
        Layout(),
        Layout(3),
        Layout(3, "Cosine"),
        Layout(3, dense_datatype="float16"),
        Layout(3, sparse_datatype="uint8", modifier="idf"),
        Layout(3, has_sparse=False),
    ],
)
def test_the_client_tells_how_vectors_are_kept(tmp_path: Path, layout: Layout) -> None:
    local = local_store(tmp_path)
    local.create("x", layout)
    assert local.layout("x") == layout


def test_collections_without_all_that_belongs_to_them(store: Any) -> None:
    with pytest.raises(IndexMissingError, match="no collection fish; make it with: lsr migrate"):
        open_stored(store, QdrantAddress("http://nowhere", "fish"))
    rewrite(store, is_complete=False)
    with pytest.raises(IndexMissingError, match="is being migrated, or that was interrupted"):
        open_stored(store, ADDRESS)
    store.drop(SIDE)
    with pytest.raises(IndexMissingError, match="birds has no birds--lsr beside it"):
        open_stored(store, ADDRESS)


def test_records_that_are_damaged_or_of_another_lsr(store: Any, tmp_path: Path) -> None:
    rewrite(store, format_version=2)
    with pytest.raises(IndexVersionError, match="has format 2 and this lsr reads 1"):
        open_stored(store, ADDRESS)
    rewrite(store, format_version=1, kind="other")
    with pytest.raises(IndexCorruptError, match="birds--lsr is damaged"):
        open_stored(store, ADDRESS)
    rewrite(store, kind="qdrant", files=[])
    with pytest.raises(IndexCorruptError, match="birds--lsr is damaged .it names no encoder"):
        open_stored(store, ADDRESS)
    store.put(SIDE, [Point(0, {"record": json.dumps({"checksum": ""})})])
    with pytest.raises(IndexCorruptError, match="birds--lsr is damaged"):
        open_stored(store, ADDRESS)
    store.put(SIDE, [Point(0, {})])
    with pytest.raises(IndexCorruptError, match="birds--lsr is damaged"):
        open_stored(store, ADDRESS)


def test_encoders_of_another_index(store: Any) -> None:
    (found,) = store.fetch(SIDE, [0], ["record"], ())
    content, _ = read_signed(found.payload["record"])
    rewrite(store, sparse=content["sparse"] | {"sha256": "1" * 64})
    with pytest.raises(IndexCorruptError, match="is not the bm25 that made the vectors of birds"):
        open_stored(store, ADDRESS)
    rewrite(store, sparse=content["sparse"] | {"kind": "telepathy"})
    with pytest.raises(IndexVersionError, match="birds needs an encoder 'telepathy'"):
        open_stored(store, ADDRESS)
    outside = content["files"][-1] | {"path": "encoder/../../out"}
    rewrite(store, sparse=content["sparse"], files=[*content["files"], outside])
    with pytest.raises(IndexCorruptError, match="names a file 'encoder/../../out'"):
        open_stored(store, ADDRESS)
    rewrite(store, files=content["files"])
    last = content["files"][-1]
    store.put(SIDE, [Point(last["first"], {"piece": "AAAA"})])
    with pytest.raises(IndexCorruptError, match=f"the file {last['path']} is damaged"):
        open_stored(store, ADDRESS)


def test_points_that_came_or_went(store: Any) -> None:
    extra = point(store, 3)._replace(number=70)
    store.put("birds", [extra])
    with pytest.raises(IndexCorruptError, match="71 points, 71 of them written by lsr, .* says 70"):
        open_stored(store, ADDRESS)
    store.delete("birds", [70, 4])
    with pytest.raises(IndexCorruptError, match="has 69 points, 69 of them"):
        open_stored(store, ADDRESS)
    store.put("birds", [extra._replace(number=4, payload={"doc_id": "d04"})])
    with pytest.raises(IndexCorruptError, match="has 70 points, 69 of them"):
        open_stored(store, ADDRESS)


def test_points_that_were_changed(store: Any, tmp_path: Path) -> None:
    collection = open_stored(store, ADDRESS, Topics())
    number = 0
    good = point(store, number)
    assert good.sparse is not None
    assert good.dense is not None
    query = DOCUMENTS[number].text
    changes: tuple[tuple[str, Point], ...] = (
        ("sparse", good._replace(sparse=good.sparse._replace(weights=good.sparse.weights * 2))),
        ("dense", good._replace(dense=good.dense * 2)),
        ("sparse", good._replace(payload=good.payload | {"text": "other"})),
        ("sparse", good._replace(payload=good.payload | {"lsr_checks": None})),
        ("dense", good._replace(payload=good.payload | {"metadata": 3})),
    )
    for mode, changed in changes:
        store.put("birds", [changed])
        for searched in (mode, "hybrid"):
            with pytest.raises(ShardsMissingError, match=r"point 0 of birds \('d00'\) is not what"):
                collection.search(query, mode=searched, k=70)  # type: ignore[arg-type]
        with pytest.raises(IndexCorruptError, match="is not what lsr wrote there"):
            migrate_from(store, ADDRESS, tmp_path / "back")
    store.put("birds", [good])
    assert collection.search(query, mode="hybrid").hits[0].document == DOCUMENTS[number]
    store.delete("birds", [number])
    shards: Any = collection._shards
    (error,) = shards.call("documents", {0: (np.array([number]),)}).failures.values()
    assert "point 0 of birds is gone; lsr did not delete it" in str(error)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("birds", "is no address of a Qdrant collection; write qdrant:http://HOST:6333/NAME"),
        ("qdrant:birds", "is no address"),
        ("qdrant:http://host:6333", "names no server|is no address|can be no collection"),
        ("qdrant:http://host/", "ends in ''"),
        ("qdrant:http://host/a b", "ends in 'a b'"),
        ("qdrant:http://host/a--lsr", "--lsr at the end is taken"),
        ("qdrant:http:///a", "names no server"),
        ("qdrant:https://host/path/a", "names no server"),
    ],
)
def test_addresses_that_are_none(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        QdrantAddress.parse(text)


def test_addresses() -> None:
    found = QdrantAddress.parse("qdrant:https://host:6333/my-notes")
    assert (found.server, found.name, found.is_local) == ("https://host:6333", "my-notes", False)
    assert str(found) == "qdrant:https://host:6333/my-notes"
    local = QdrantAddress.parse("qdrant:some/folder/notes")
    assert (local.server, local.is_local) == ("some/folder", True)
    assert is_address(Path("qdrant:x"))
    assert not is_address("a/qdrant:x")


def test_servers_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("qdrant_client")
    store = ClientStore.open(QdrantAddress("http://127.0.0.1:9", "birds"))
    with pytest.raises(ServiceError, match=r"Qdrant at http://127.0.0.1:9 does not answer"):
        store.exists("birds")
    store.close()
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    with pytest.raises(UnavailableError, match=r"pip install 'lsr-search\[qdrant\]'"):
        ClientStore.open(ADDRESS)
