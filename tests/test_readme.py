"""The README's commands, in order: in this environment, and from a wheel in empty ones.

The second takes minutes and a package index, and is `make test-wheel`.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import pytest

from tests.support.command_line import done
from tests.support.readme import Follower, follow
from tests.support.served import serving
from tests.support.wheel import built_wheel

VERSIONS = ("3.11", "3.12", "3.13")


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_commands_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    @contextmanager
    def serve(words: list[str]) -> Iterator[str]:
        with serving(tmp_path / words[1]) as served:
            yield served.url

    def python(code: str) -> str:
        said = io.StringIO()
        with redirect_stdout(said):
            exec(code, {})  # in this process, which has the model by now
        return said.getvalue()

    follow(tmp_path, Follower(lambda words: done(*words), serve, python))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_wheel(tmp_path_factory.mktemp("wheel"))


def interpreter(version: str) -> Path:
    """A Python of a version on the path; the test is skipped where there is none that runs."""
    found = shutil.which(f"python{version}")
    if found is not None:
        asked = [found, "-c", "import sys; print(sys.executable)"]
        said = subprocess.run(asked, capture_output=True, text=True, check=False)
        if said.returncode == 0:
            return Path(said.stdout.strip())
    pytest.skip(f"no python{version} on the path")


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_commands_run_from_a_wheel(version: str, wheel: Path, tmp_path: Path) -> None:
    kept = {"HOME", "LANG", "TMPDIR"}
    environment = {name: value for name, value in os.environ.items() if name in kept}
    environment |= {"PATH": os.defpath, "LSR_DRAIN_SECONDS": "0"}
    environment |= {name: value for name, value in os.environ.items() if name[:4] == "PIP_"}

    def run(line: str) -> str:
        said = subprocess.run(
            ["sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert said.returncode == 0, f"{line}\n{said.stdout}{said.stderr}"
        return said.stdout

    run(f"{shlex.quote(str(interpreter(version)))} -m venv .venv")
    run(f". .venv/bin/activate && pip install --quiet {shlex.quote(str(wheel))}")

    def python(code: str) -> str:
        return run(f". .venv/bin/activate && python -W error -c {shlex.quote(code)}")

    @contextmanager
    def serve(words: list[str]) -> Iterator[str]:
        command = [str(tmp_path / ".venv" / "bin" / "lsr"), *words, "--port", "0"]
        log = tmp_path / "serve.log"
        with (
            log.open("w") as errors,
            subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=errors) as process,
        ):
            try:
                while not (found := re.search(r"serving at (\S+)", log.read_text())):
                    assert process.poll() is None, log.read_text()
                    time.sleep(0.1)
                yield found[1]
            finally:
                process.send_signal(signal.SIGTERM)

    def lsr(words: list[str]) -> str:
        return run(f". .venv/bin/activate && lsr {shlex.join(words)}")

    assert python("import sys; print('%s.%s' % sys.version_info[:2])") == f"{version}\n"
    assert python("import lsr; print(lsr.__file__)").startswith(str(tmp_path))
    follow(tmp_path, Follower(lsr, serve, python))
