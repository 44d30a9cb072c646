"""Builds one index in a process of its own, so that its memory and CPU time are its own.

    python -m bench.engine.build METHOD CONFIG DOCUMENTS FOLDER

Run by `bench.engine`. Writes FOLDER/build.json. Peak memory is the process's largest resident
size during the build, documents included; what was there before is given beside it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.engine.data import load_documents
from bench.engine.method import Method, Values
from bench.engine.methods import METHODS

K = 10
"""Documents a query, which an index does not depend on."""

BLOCK_BYTES = 512
"""Of `st_blocks`."""


@dataclass(frozen=True)
class Build:
    """What an index took to build. `parts` are bytes by structure, where known."""

    cpu_seconds: float
    wall_seconds: float
    bytes: int
    parts: dict[str, int]
    peak_rss_bytes: int
    rss_before_bytes: int


def build(method: Method, documents: Path, folder: Path) -> Build:
    """Build and save in this process."""
    matrix = load_documents(documents)
    method.warm_up()
    _reset_peak()
    before = _memory("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    parts = method.build(matrix, folder)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    size = sum(min(file.st_size, file.st_blocks * BLOCK_BYTES) for file in files)
    return Build(cpu, wall, size, parts, _memory("VmHWM"), before)


def build_apart(method: Method, documents: Path, folder: Path, reuse: bool) -> Build:
    """Build in another process, or read what an earlier one left when `reuse`.

    Raises:
        RuntimeError: the other process failed; holds the end of what it printed.
    """
    report = folder / "build.json"
    if not (reuse and report.exists()):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        command = [sys.executable, "-m", "bench.engine.build", method.name]
        arguments = [json.dumps(method.config), str(documents), str(folder)]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip()[-300:] or f"exit code {done.returncode}")
    return Build(**json.loads(report.read_text(encoding="utf-8")))


def _reset_peak() -> None:
    """Let the peak begin at what is resident now, on Linux."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        print("the peak of memory includes the start of the process", file=sys.stderr)


def _memory(field: str) -> int:
    """Bytes of a field of /proc/self/status; 0 where there is none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), 0)


def main() -> None:
    """Build one index and write its report."""
    name, config, documents, folder = sys.argv[1:]
    values: Values = json.loads(config)
    made = build(METHODS[name](values, K), Path(documents), Path(folder))
    report = Path(folder) / "build.json"
    report.write_text(json.dumps(asdict(made), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
