"""Writers that are killed: nothing acknowledged is lost, and every file is as it was written.

`make soak` does the same 500 times.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.live_kills import POINTS

N_KILLS = int(os.environ.get("LSR_SOAK_KILLS", "25"))


def test_kills(tmp_path: Path) -> None:
    """In a process of its own, as it forks."""
    command = [sys.executable, "-m", "tests.support.live_kills", str(tmp_path / "k"), str(N_KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    print(figures)  # noqa: T201
    assert figures["lost"] == 0
    assert figures["acknowledged"] > 20 * N_KILLS
    assert figures["generation"] > N_KILLS // 8, "publications were among what was killed"
    assert all(figures["points"][point] for point in POINTS)
