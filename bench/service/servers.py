"""Servers in processes of their own, what they have used of the processor, and their clients."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

__all__ = ["Server", "bare", "cpu_seconds", "served", "throughput"]


class Server(NamedTuple):
    """A server that runs: its address, and its process."""

    host: str
    port: int
    pid: int

    def connection(self) -> http.client.HTTPConnection:
        """A connection that is kept for many requests."""
        return http.client.HTTPConnection(self.host, self.port, timeout=120)


@contextmanager
def served(
    paths: Sequence[Path],
    workers: int = 1,
    *,
    options: Sequence[str] = (),
    log: Path | None = None,
) -> Iterator[Server]:
    """`lsr serve` of index folders, warmed up.

    Args:
        options: further ones of the command.
        log: the file that all its output goes to; None for one that is gone at the end.
    """
    more = [*(["--workers", str(workers)] if workers > 1 else []), *options]
    command = [
        sys.executable,
        "-c",
        "from lsr.cli import main; main()",
        "serve",
        *map(str, paths),
        "--port",
        "0",
        *more,
    ]
    with _running(command, log) as server:
        for _ in range(1_200):
            connection = server.connection()
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                break
            time.sleep(0.05)
        yield server


@contextmanager
def bare(size: int) -> Iterator[Server]:
    """The routes of `bench.service.bare`."""
    with _running([sys.executable, "-m", "bench.service.bare", str(size)]) as server:
        yield server


@contextmanager
def _running(command: list[str], log: Path | None = None) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        log = log or Path(folder) / "log"  # a pipe would fill up, and stop the server
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            process.wait(60)


def _address(process: subprocess.Popen[bytes], log: Path) -> Server:
    for _ in range(2_400):
        found = re.search(r"http://([\d.]+):(\d+)", log.read_text("utf-8"))
        if found:
            return Server(found[1], int(found[2]), process.pid)
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit(f"the server did not start: {log.read_text('utf-8')}")


def cpu_seconds(pid: int) -> float:
    """Seconds of processor that a process, its threads and its children have used so far."""
    used = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            used += int((task / "schedstat").read_text().split()[0]) / 1e9
            children = (task / "children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            continue
        used += sum(cpu_seconds(int(child)) for child in children)
    return used


def throughput(server: Server, path: str, body: str, script: Path, seconds: int = 5) -> float:
    """Requests a second over 8 connections, by wrk.

    Args:
        script: a file to write wrk's program to.

    Raises:
        SystemExit: wrk is not installed, or an answer was not 200.
    """
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = [[{body}]]\n'
        'wrk.headers["Content-Type"] = "application/json"\n'
    )
    address = f"http://{server.host}:{server.port}{path}"
    command = ["wrk", "-t1", "-c8", f"-d{seconds}s", "-s", str(script), address]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError as error:
        raise SystemExit("wrk is not installed; apt-get install wrk") from error
    if "Non-2xx" in told:
        raise SystemExit(f"{path}: some answers were refusals\n{told}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    return float(found[1]) if found else 0.0
