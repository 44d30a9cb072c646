"""A service in a process of its own, for tests that need sockets and signals."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Served", "serving"]

_PROGRAM = """
import sys
from pathlib import Path
from lsr.cli.commands.serve import run
if __name__ == "__main__":
    run([Path(sys.argv[1])], {"port": 0}, lambda url: print(url, flush=True))
"""


@dataclass
class Served:
    """A running service; `log` is all of its standard error, once it has ended."""

    process: subprocess.Popen[str]
    url: str
    log: str = field(default="")

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.url.rpartition(":")[2])

    def connect(self) -> socket.socket:
        """A connection of its own."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to stop; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, log = self.process.communicate(timeout=60)
        self.log += log
        return self.process.returncode


@contextmanager
def serving(folder: Path, *, files: int | None = None, **settings: object) -> Iterator[Served]:
    """Serve an index with settings by name, under a limit of open files if one is given."""
    environment = os.environ | {"LSR_DRAIN_SECONDS": "0"}
    environment |= {f"LSR_{name.upper()}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    if files is not None:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (files, files))
    assert process.stdout is not None
    served = Served(process, process.stdout.readline().strip())
    try:
        if not served.url:
            served.end()
            raise AssertionError(served.log)
        yield served
    finally:
        if process.poll() is None:
            process.kill()
        if not process.stdout.closed:
            process.communicate(timeout=60)
