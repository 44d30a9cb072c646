"""A wheel of this package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.markdown import ROOT

__all__ = ["built_wheel"]


def built_wheel(work: Path) -> Path:
    """Built from a copy of what git tracks or would, so that nothing of a checkout comes along."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        source, target = ROOT / name, work / "source" / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--wheel-dir", str(work / "dist"), str(work / "source")]
    subprocess.run(command, check=True, capture_output=True)
    (made,) = (work / "dist").glob("lsr_search-*.whl")
    return made
