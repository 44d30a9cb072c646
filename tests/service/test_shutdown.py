"""How a service stops, and whom it lets in: real processes, sockets and signals."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import threading
from pathlib import Path
from time import sleep

import httpx
import pytest

from lsr.errors import InputError
from lsr.service.security.keys import KeyFile
from lsr.service.server import serve
from lsr.service.settings import Settings
from tests.support.served import serving

SEARCH = "/v1/collections/birds/search"


def test_sigterm_under_load_loses_no_request_of_clients_that_heed_readyz(herons: Path) -> None:
    not_ready = threading.Event()
    failures: list[str] = []
    closed: list[bool] = []

    def ask(url: str) -> None:
        with httpx.Client(timeout=60) as client:
            while not not_ready.is_set():
                try:
                    answer = client.post(f"{url}{SEARCH}", json={"text": "heron", "limit": 100})
                except httpx.HTTPError as error:
                    failures.append(repr(error))
                    return
                if answer.status_code != 200:
                    failures.append(answer.text)
                closed.append(answer.headers.get("Connection") == "close")

    with serving(herons, drain_seconds=5) as served:
        while httpx.get(f"{served.url}/readyz").status_code != 200:
            sleep(0.02)
        askers = [threading.Thread(target=ask, args=(served.url,)) for _ in range(4)]
        for asker in askers:
            asker.start()
        while len(closed) < 20:
            sleep(0.02)
        served.process.send_signal(signal.SIGTERM)
        with httpx.Client() as probe:
            while probe.get(f"{served.url}/readyz").status_code == 200:
                sleep(0.02)
            told = probe.get(f"{served.url}/readyz")
            alive = probe.get(f"{served.url}/livez")
        n_before = len(closed)
        while len(closed) < n_before + 8:  # it goes on answering
            sleep(0.02)
        not_ready.set()
        for asker in askers:
            asker.join()
        assert told.json()["code"] == "not_ready"
        assert "shutting down" in told.json()["detail"]
        assert (alive.status_code, alive.headers["Connection"]) == (200, "close")
        served.process.send_signal(signal.SIGTERM)  # a second signal ends the drain
        assert served.end() == 0
    assert failures == []
    assert closed[-1]
    assert not closed[0]
    assert "Traceback" not in served.log


def test_idle_connections_are_closed_in_order(herons: Path) -> None:
    with serving(herons) as served, served.connect() as idle:
        idle.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            answer += idle.recv(4_096)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert served.end() == 0
        assert idle.recv(4_096) == b""  # an end, not a reset


def test_what_takes_too_long_is_cut_without_a_trace(herons: Path) -> None:
    with serving(herons, shutdown_seconds=1, body_seconds=60) as served, served.connect() as slow:
        slow.sendall(
            f"POST {SEARCH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            'Content-Length: 100\r\n\r\n{"text":'.encode()
        )
        assert httpx.get(f"{served.url}/livez").status_code == 200
        assert served.end() == 0
        answer = slow.recv(4_096)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"the service is stopping" in answer
    assert "Traceback" not in served.log


def test_other_machines_are_not_let_in_without_a_key(herons: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--insecure"):
        serve([herons], Settings(host="0.0.0.0", port=0), pytest.fail)
    missing = Settings(keys=tmp_path / "none.json", port=0)
    with pytest.raises(InputError, match="lsr keys create"):
        serve([herons], missing, pytest.fail)
    with pytest.raises(InputError, match="both --tls-cert and --tls-key"):
        Settings.read(tls_cert=tmp_path / "c.pem")


def test_neither_log_nor_errors_tell_a_key(
    herons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.json"
    _, secret = KeyFile(path).create("shop", "read")
    admin = "an-admin-key-from-the-environment"
    with serving(herons, host="0.0.0.0", keys=path, admin_key=admin) as served:
        url = f"http://127.0.0.1:{served.port}"
        for shown in (secret, admin, "lsr_0_wrong-secret"):
            headers = {"Authorization": f"Bearer {shown}"}
            httpx.post(f"{url}{SEARCH}", json={"text": "heron"}, headers=headers)
            httpx.get(f"{url}/nowhere?key={shown}", headers={"X-Api-Key": shown})
        assert served.end() == 0
    lines = [json.loads(line) for line in served.log.splitlines()]
    access = [line for line in lines if line["logger"] == "lsr.access"]
    searches = [line for line in access if line["route"].endswith("/search")]
    assert [(line["status"], line["key"]) for line in searches] == [
        (200, "shop"),
        (200, "LSR_ADMIN_KEY"),
        (401, ""),
    ]
    for part in (secret.rpartition("_")[2], admin, "wrong-secret", "heron"):
        assert part not in served.log
    monkeypatch.setenv("LSR_ADMIN_KEY", "too-short")
    with pytest.raises(InputError, match="LSR_ADMIN_KEY must be 16") as refused:
        Settings.read()
    assert "too-short" not in str(refused.value)


def test_tls(herons: Path, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            str(key),
            "-out",
            str(certificate),
        ],
        check=True,
        capture_output=True,
    )
    with serving(herons, tls_cert=certificate, tls_key=key) as served:
        assert served.url.startswith("https://")
        trusting = ssl.create_default_context(cafile=str(certificate))
        answer = httpx.get(f"{served.url}/v1/collections", verify=trusting)
        assert [each["name"] for each in answer.json()["collections"]] == ["birds"]
        assert served.end() == 0
    assert "Traceback" not in served.log
