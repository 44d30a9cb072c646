"""The life of a server: settings, names, the port, and how it stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import IndexMissingError, InputError, NotFoundError, StorageError
from lsr.index.collection.build import build_collection
from lsr.service.catalog import Catalog, collection_names
from lsr.service.engine import Limits, SearchEngine
from lsr.service.server import serve
from lsr.service.settings import Settings
from lsr.types import Document


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("server") / "Birds"
    documents = [Document("1", "A heron."), Document("2", "A heron."), Document("3", "An otter.")]
    build_collection(documents, path, sparse=Bm25Encoder())
    return path


def test_names_of_collections(folder: Path, tmp_path: Path) -> None:
    assert collection_names([folder]) == {"birds": folder}
    with pytest.raises(InputError, match="would both be served as 'birds'"):
        collection_names([folder, tmp_path / "birds"])
    with pytest.raises(InputError, match="cannot be named 'two words'"):
        collection_names([tmp_path / "Two words"])
    with pytest.raises(InputError, match="no collection to serve"):
        Catalog({})
    with pytest.raises(IndexMissingError):
        (Catalog.open({"birds": folder, "gone": tmp_path / "gone"}))
    engine = SearchEngine(Catalog.open({"b": folder}))
    with pytest.raises(NotFoundError, match="there is no collection 'x'; there are: b"):
        engine.examples("x")
    engine.catalog.close()


def test_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.read(port=0).port == 0
    monkeypatch.setenv("LSR_MAX_LIMIT", "7")
    monkeypatch.setenv("LSR_PORT", "65536")
    with pytest.raises(InputError, match="LSR_PORT is '65536'"):
        Settings.read()
    monkeypatch.setenv("LSR_PORT", "1")
    assert Settings.read(port=2).model_dump() | {"port": 2, "max_limit": 7} == (
        Settings.read(port=2).model_dump()
    )
    with pytest.raises(InputError, match="^port is -1"):
        Settings.read(port=-1)


def test_limits(folder: Path) -> None:
    engine = SearchEngine(Catalog.open({"b": folder}), Limits(hits=1))
    assert engine.search("b", "heron").limit == 1
    with pytest.raises(InputError, match="at most 1 hits; ask for 1 to 1"):
        engine.search("b", "heron", limit=2)
    engine.catalog.close()


def test_a_port_in_use_is_told(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(port=port)
        with pytest.raises(StorageError, match=f"port {port} on 127.0.0.1 is in use"):
            serve([folder], settings, pytest.fail)
    with pytest.raises(StorageError, match=r"the host 'no\.such\.host\.invalid' is not an address"):
        serve([folder], Settings(host="no.such.host.invalid"), pytest.fail)


SERVER = """
import logging, sys
from pathlib import Path
from lsr.service.server import serve
from lsr.service.settings import Settings
logging.basicConfig(level="WARNING")
serve([Path(sys.argv[1])], Settings.read(port=0), lambda url: print(url, flush=True))
print("torch" in sys.modules)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_stops_when_told(folder: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", SERVER, str(folder)]
    host = "0.0.0.0" if number is signal.SIGINT else "127.0.0.1"
    environment = os.environ | {"LSR_HOST": host, "LSR_DRAIN_SECONDS": "0.1", "LSR_INSECURE": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        answer = httpx.post(
            f"{url}/v1/collections/birds/search", json={"text": "otter"}, timeout=60
        )
        assert [hit["doc_id"] for hit in answer.json()["hits"]] == ["3"]
        server.send_signal(number)
        out, err = server.communicate(timeout=60)
    assert server.returncode == 0
    assert out == "False\n"
    assert ("asks for no key" in err) == (host == "0.0.0.0")
    assert "Traceback" not in err
