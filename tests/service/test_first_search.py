"""A service that is ready compiles nothing more: not for a collection that is made later either."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import sys
from pathlib import Path
from tests.support.rest_service import serving

with serving(Path(sys.argv[1])) as rest:
    print("-- ready", flush=True)
    rest.make("shore")
    assert rest.found("shore", "heron") == []
    rest.put("shore", {"a": "A heron stands in the river."})
    assert rest.found("shore", "heron") == ["a"]
    print("-- searched", flush=True)
"""


def test_nothing_is_compiled_after_the_warm_up(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_DEBUG_CACHE": "1", "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", _SCRIPT, str(tmp_path / "data")]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    before, after = told.stdout.split("-- ready\n")
    assert "data" in before  # loaded from the cache or saved to it: the warm-up did it
    searched, _ = after.split("-- searched\n")
    assert searched == ""
