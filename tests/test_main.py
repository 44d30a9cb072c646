"""`python -m lsr`, which launchers of several processes start."""

from __future__ import annotations

import subprocess
import sys

import lsr


def test_the_module_is_the_command() -> None:
    words = [sys.executable, "-m", "lsr", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert lsr.__version__ in done.stdout
