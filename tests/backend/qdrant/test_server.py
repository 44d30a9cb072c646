"""Over HTTP, as a server of Qdrant has it: the client, the key, the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lsr.backend.open import open_collection
from lsr.backend.qdrant.client import KEY as VARIABLE
from lsr.backend.sharded_collection import ShardedCollection
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from tests.support.command_line import done, refused
from tests.support.hybrid_corpus import DOCUMENTS

pytest.importorskip("qdrant_client")
pytest.importorskip("qdrant_edge")


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_at_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.qdrant_server import KEY, qdrant_server

    index, back, query = tmp_path / "one", tmp_path / "back", ("heron river", "--json", "-k", 5)
    build_collection(DOCUMENTS, index, sparse=Bm25Encoder())
    (tmp_path / "server").mkdir()
    monkeypatch.delenv(VARIABLE, raising=False)
    with qdrant_server(tmp_path / "server") as (url, _):
        address = f"qdrant:{url}/birds"
        assert f"Qdrant at {url} refuses the key (401)" in refused("migrate", index, address)
        monkeypatch.setenv(VARIABLE, KEY)
        assert "there is no collection birds; make it with" in refused("search", address, "heron")
        assert done("migrate", index, address) == f"{address}: 70 documents are there\n"
        again = json.loads(done("migrate", index, address, "--json"))
        assert again == {"target": address, "n_documents": 70, "n_found": 70}
        found, expected = (json.loads(done("search", each, *query)) for each in (address, index))
        assert found["hits"] == expected["hits"]
        assert found["shards"] == {"total": 1, "ok": 1}
        collection = open_collection(address)
        assert isinstance(collection, ShardedCollection)
        hits = collection.search("heron", where={"year": {"gte": 2002}}).hits
        assert {hit.document.metadata["year"] for hit in hits} == {2002, 2003}
        assert collection.document("d07") == DOCUMENTS[7]
        collection.close()
        assert "70 documents" in done("migrate", address, back)
        assert "are as they were written" in done("index", "verify", back)
        told = refused("search", address, "heron", "--count")
        assert f"{address} is in Qdrant, and count of all shards" in told
        assert "--no-verify is for a folder" in refused("search", address, "a", "--no-verify")
    assert f"Qdrant at {url} does not answer" in refused("search", address, "heron")
    for command in (["index", "info", address], ["tune", address, "queries"]):
        assert "which this command does not take; lsr search and lsr migrate" in refused(*command)
    for pair in ((index, back), (address, address)):
        assert "one of FROM and TO is an index folder" in refused("migrate", *pair)


def test_a_local_folder(tmp_path: Path) -> None:
    index, address = tmp_path / "one", f"qdrant:{tmp_path}/local/birds"
    build_collection(DOCUMENTS[:20], index, sparse=Bm25Encoder())
    done("migrate", index, address)
    query = ("heron river", "--json")
    found, expected = (json.loads(done("search", each, *query)) for each in (address, index))
    assert found["hits"] == expected["hits"]
