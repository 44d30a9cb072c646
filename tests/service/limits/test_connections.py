"""Connections that make a server wait: a real one, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.served import Served, serving

SEARCH = "/v1/collections/birds/search"
HALVES = {
    "nothing": b"",
    "half a header": b"POST /v1/collections/birds/search HTTP/1.1\r\nHost: localhost\r\nX-A: b",
    "half a body": (
        b"POST /v1/collections/birds/search HTTP/1.1\r\nHost: localhost\r\n"
        b'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"text":'
    ),
}


@pytest.fixture(scope="module")
def served(herons: Path) -> Iterator[Served]:
    with serving(herons, header_seconds=1, body_seconds=1) as served:
        yield served


def _until_closed(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            received += part
    return received


@pytest.mark.parametrize("sent", HALVES.values(), ids=HALVES)
def test_a_slow_client_is_closed(served: Served, sent: bytes) -> None:
    with served.connect() as connection:
        connection.sendall(sent)
        answer = _until_closed(connection)
    if sent:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"x-request-id: " in head
        assert json.loads(body)["code"] == "timeout"
    else:
        assert answer == b""


def test_a_client_that_drips_is_closed(served: Served) -> None:
    with served.connect() as connection:
        connection.settimeout(0.3)
        answer = b""
        with contextlib.suppress(OSError):
            for byte in b"GET /livez HTTP/1.1\r\nX: " + b"y" * 10_000:
                connection.sendall(bytes([byte]))
                with contextlib.suppress(TimeoutError):
                    answer = connection.recv(4_096)
                    break
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_headers_without_end_are_refused(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ")
        with contextlib.suppress(OSError):
            for _ in range(100):
                connection.sendall(b"y" * 4_096)
        answer = _until_closed(connection)
    assert not answer or answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
    assert httpx.get(f"{served.url}/livez").status_code == 200


def test_what_is_not_http_is_told_with_its_address(herons: Path) -> None:
    with serving(herons) as served:
        with served.connect() as connection:
            port = connection.getsockname()[1]
            connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
            answer = _until_closed(connection)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert served.end() == 0
    lines = [json.loads(line) for line in served.log.splitlines()]
    (told,) = [line["message"] for line in lines if "not HTTP" in line.get("message", "")]
    assert f"127.0.0.1, port {port}," in told
    assert "Invalid HTTP" not in served.log.replace(told, "")


def test_idle_sockets_neither_stop_the_service_nor_fill_the_log(herons: Path) -> None:
    with serving(herons, files=256, header_seconds=30) as served, contextlib.ExitStack() as open_:
        for number in range(400):
            connection = open_.enter_context(served.connect())
            with contextlib.suppress(OSError):  # the oldest are closed by then
                connection.sendall((HALVES["half a header"], HALVES["half a body"])[number % 2])
        for _ in range(5):
            assert httpx.get(f"{served.url}/livez", timeout=30).status_code == 200
            found = httpx.post(f"{served.url}{SEARCH}", json={"text": "heron"}, timeout=30)
            assert found.status_code == 200, found.text
        open_.close()
        assert served.end() == 0
    assert "Traceback" not in served.log
    assert len(served.log) < 100_000
    assert "the oldest idle are closed" in served.log


def test_a_client_that_leaves_cancels_its_request(herons: Path) -> None:
    with serving(herons, max_searches=1, max_waiting=50, wait_seconds=30) as served:
        body = json.dumps({"text": "heron " * 300, "limit": 200}).encode()
        head = (
            f"POST {SEARCH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        for _ in range(30):
            with served.connect() as connection:
                connection.sendall(head + body)
        found = httpx.post(f"{served.url}{SEARCH}", json={"text": "heron"}, timeout=60)
        assert found.status_code == 200
        assert served.end() == 0
    lines = [json.loads(line) for line in served.log.splitlines()]
    assert 499 in [line.get("status") for line in lines]
    assert "Traceback" not in served.log
