"""Documents over a real connection: streams answered while they come, cut off; raw paths."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.support.served import Served, serving

PATH = "/v1/collections/herons/documents"


@pytest.fixture(scope="module")
def served(herons: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("streams") / "herons"
    shutil.copytree(herons, folder)
    with serving(folder) as made:
        yield made


def _begin(served: Served) -> socket.socket:
    connection = served.connect()
    head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-ndjson\r\n"
    connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
    return connection


def _send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))


def _read_until(connection: socket.socket, mark: bytes) -> bytes:
    found = b""
    while mark not in found:
        part = connection.recv(65_536)
        assert part, found
        found += part
    return found


def test_lines_are_acknowledged_while_the_stream_goes_on(served: Served) -> None:
    with _begin(served) as connection:
        _send(connection, b'{"id": "s1", "text": "stone"}\n{"id": "s2", ')
        said = _read_until(connection, b'"line":1,')
        assert said.startswith(b"HTTP/1.1 200")
        assert httpx.get(f"{served.url}{PATH}/s1").json()["text"] == "stone"
        _send(connection, b'"text": "otter"}\n')
        _read_until(connection, b'"line":2,')
        _send(connection, b"{bad\n")
        assert b'"invalid"' in _read_until(connection, b'"line":3,')
        connection.sendall(b"0\r\n\r\n")
        assert b'"n_failed":1' in _read_until(connection, b'"n_written":2')


def test_what_was_acknowledged_survives_a_client_that_leaves(served: Served) -> None:
    with _begin(served) as connection:
        _send(connection, b'{"id": "c1", "text": "stone"}\n')
        _read_until(connection, b'"line":1,')
        _send(connection, b'{"id": "c2", "text": "cut off')
    assert httpx.get(f"{served.url}{PATH}/c1").status_code == 200
    assert httpx.get(f"{served.url}{PATH}/c2").status_code == 404


def test_a_client_that_reads_late_does_not_stop_the_stream(served: Served) -> None:
    line = b'{"id": "%s", "text": "x", "unknown": 1}\n'
    n_lines = 40_000  # more status lines than sockets hold
    with _begin(served) as connection:
        for _ in range(0, n_lines, 2_000):
            _send(connection, b"".join(line % (b"y" * 200) for _ in range(2_000)))
        connection.sendall(b"0\r\n\r\n")
        said = _read_until(connection, b'"n_written":0')
    assert said.startswith(b"HTTP/1.1 207")
    summary = json.loads(next(line for line in said.splitlines() if b'"n_written"' in line))
    assert summary["n_failed"] == n_lines


@pytest.mark.parametrize("doc_id", ["%41", "100%25", "a%2Fb", "a/b", "\n", "+", "a b", "é"])
def test_ids_in_raw_paths(served: Served, doc_id: str) -> None:
    url = f"{served.url}{PATH}/{quote(doc_id, safe='')}"
    assert httpx.put(url, json={"text": "x"}).json()["doc_id"] == doc_id
    assert httpx.get(url).json()["doc_id"] == doc_id
    assert httpx.head(url).status_code == 200
    assert "PATCH" in httpx.options(url).headers["Allow"]
