"""Shards on Ray nodes in a network namespace of their own: a short form, and a long one.

Ray's nodes find one another by the machine's address and listen on many ports; in a namespace with
nothing but a loopback they neither meet others nor are met.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NOT_STARTED = 77
"""What `conftest.py` ends with where Ray's own processes do not come up."""
IS_LONG = os.environ.get("LSR_RAY_LONG") == "1"
ISOLATED = ("unshare", "--map-root-user", "--net")


def _may_isolate() -> bool:
    try:
        return subprocess.run([*ISOLATED, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(not find_spec("ray"), reason="Ray is not installed: the extra ray"),
    pytest.mark.skipif(not _may_isolate(), reason="unshare --net is not permitted here"),
]


@pytest.mark.parametrize(
    "form",
    [
        "short",
        pytest.param("long", marks=pytest.mark.skipif(not IS_LONG, reason="make test-ray runs it")),
    ],
)
def test_on_a_cluster(form: str, tmp_path: Path) -> None:
    command = 'ip link set lo up && exec "$@"'
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    ended = subprocess.run(
        [*ISOLATED, "sh", "-c", command, "-", *pytest_, str(HERE / f"{form}_form.py")],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "HOME": str(tmp_path),
            "PYTHONPATH": str(HERE.parents[2]),
            "RAY_AUTH_MODE": "disabled",
            "RAY_TMPDIR": "/tmp",
            "RAY_USAGE_STATS_ENABLED": "0",
        },
    )
    if ended.returncode == NOT_STARTED:
        pytest.skip(ended.stdout[-500:])
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-5_000:]
