"""Several processes at one port: killed, replaced, counted together, stopped in order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from time import sleep

import httpx
import pytest

from tests.support.served import Served, serving

SEARCH = "/v1/collections/birds/search"


def _workers(served: Served) -> set[int]:
    """The processes that hold the port, but for the parent."""
    found = set()
    pid = served.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    for child in map(int, children):
        if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text("utf-8"):
            found.add(child)
    return found


def _metric(url: str, name: str) -> float:
    text = httpx.get(f"{url}/metrics").text
    return sum(
        float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name)
    )


def test_a_killed_worker_is_replaced_while_others_answer(herons: Path) -> None:
    stop = threading.Event()
    statuses: list[int] = []
    broken: list[str] = []

    def ask(url: str) -> None:
        while not stop.is_set():
            try:
                with httpx.Client(timeout=60) as client:
                    answer = client.post(f"{url}{SEARCH}", json={"text": "heron"})
                statuses.append(answer.status_code)
            except httpx.HTTPError as error:
                broken.append(repr(error))

    with serving(herons, workers=2) as served:
        before = _workers(served)
        assert len(before) == 2
        askers = [threading.Thread(target=ask, args=(served.url,)) for _ in range(2)]
        for asker in askers:
            asker.start()
        while len(statuses) < 50:
            sleep(0.02)
        n_before = _metric(served.url, "lsr_http_requests_total")
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        n_at_kill = len(statuses)
        while len(statuses) < n_at_kill + 50 or len(_workers(served) - {killed}) < 2:
            sleep(0.02)
        stop.set()
        for asker in askers:
            asker.join()
        assert set(statuses) == {200}
        assert len(broken) <= 4  # those that the killed one had begun
        assert _metric(served.url, "lsr_http_requests_total") > n_before
        ids = _metric(served.url, 'lsr_http_requests_total{method="POST"')
        assert len(statuses) - 4 <= ids <= len(statuses) + 4
        workers = _workers(served)
        assert served.end(signal.SIGINT) == 0
        assert not any(_is_running(pid) for pid in workers)
    assert "a worker died by signal 9 (SIGKILL); another takes its place" in served.log
    assert "Traceback" not in served.log


def test_workers_stop_with_their_parent(herons: Path) -> None:
    with serving(herons, workers=2) as served:
        workers = _workers(served)
        served.process.kill()
        served.process.wait(timeout=60)
        while any(_is_running(pid) for pid in workers):
            sleep(0.02)


def test_what_keeps_workers_from_starting_is_told_once(tmp_path: Path) -> None:
    command = "from lsr.cli import main; main()"
    environment = os.environ | {"LSR_WORKERS": "2", "LSR_PORT": "0"}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"if __name__ == '__main__':\n    {command}",
            "serve",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert json.dumps(line)


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSR_ACCESS_LOG", "0")
