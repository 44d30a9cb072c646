"""Estimate of a run beside the run: how far the dry run's figure is from what happens.

`python -m bench.training.estimate CONFIG... [--cpu]` estimates each config as `lsr train --dry-run`
does, trains it in a new folder right afterwards, and prints the ratio of the two, which should lie
between .5 and 2. With `--cpu` both are CPU seconds, which others on the machine change less.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lsr.training.config.yaml_file import read_config
from lsr.training.planning.clock import wall_clock
from lsr.training.planning.estimate import estimate_run

TRAIN = "from lsr.cli.app import app; app()"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("configs", type=Path, nargs="+", help="runs of a minute or two")
    parser.add_argument("--cpu", action="store_true", help="CPU seconds in place of time")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    started_s = time.process_time()
    lines = [_measured(config, started_s, cpu=given.cpu) for config in given.configs]
    if given.json:
        given.json.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


def _measured(config: Path, started_s: float, *, cpu: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="lsr-estimate-") as folder:
        settings = [f"output={folder}/run"]
        clock = time.process_time if cpu else wall_clock
        found = estimate_run(read_config(config, settings), clock=clock, started_s=started_s)
        command = [sys.executable, "-c", TRAIN, "train", str(config), "--set", *settings]
        used, began = _children_cpu_s(), time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        real = _children_cpu_s() - used if cpu else time.perf_counter() - began
    unit = "CPU s" if cpu else "s"
    for line in found.lines():
        print(line)
    ratio = found.seconds / real
    print(f"{config}: {found.seconds:.0f} {unit} estimated, {real:.0f} {unit} real: {ratio:.2f}")
    parts = {part.name: part.seconds for part in found.parts}
    return {"config": str(config), "real_s": real, "ratio": ratio, "cpu": cpu, "parts": parts}


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
