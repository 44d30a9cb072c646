"""The README's two commands, timed from a fresh clone: `make test`, and `make demo` to a first hit.

    python -m bench.fresh [--json FILE] [--only tests|demo]

What is cloned is the last commit of this repository, so uncommitted changes are not measured. Each
command gets a clone and an environment of its own in a temporary folder. Packages come from pip's
cache or from the network, which is why setting up is timed apart.
"""

from __future__ import annotations

import argparse
import http
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.engine.exact import data_folder

ROOT = Path(__file__).resolve().parents[1]
QUERY = "read+lines+of+a+file"
HIT = 'class="hit"'
DEMO_LIMIT_SECONDS = 900.0
INHERITED_SETTINGS = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONPATH", "VIRTUAL_ENV")


class FreshError(Exception):
    """A step failed; the message ends with what it said last."""


def time_tests() -> dict[str, float]:
    """Seconds of `make setup`, and of `make test` once that is done."""
    with _clone() as clone:
        return {
            "setup_seconds": _timed_make(clone, "setup"),
            "test_seconds": _timed_make(clone, "test"),
        }


def time_demo() -> dict[str, float]:
    """Seconds of `make setup-core`, and from its end until the demo's page shows a hit."""
    with _clone() as clone:
        setup = _timed_make(clone, "setup-core")
        start = time.perf_counter()
        with _running_demo(clone) as url:
            _wait_for_hit(url, deadline=start + DEMO_LIMIT_SECONDS)
            demo = time.perf_counter() - start
    return {"setup_core_seconds": setup, "demo_seconds": demo}


@contextmanager
def _clone() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lsr-fresh-") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        yield clone


def _timed_make(clone: Path, target: str) -> float:
    print(f"a fresh clone: make {target}", file=sys.stderr)
    log = clone.parent / f"{target}.log"
    start = time.perf_counter()
    with log.open("w") as stream:
        done = subprocess.run(
            ["make", target], cwd=clone, env=_environment(), stdout=stream, stderr=stream
        )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise FreshError(f"make {target} failed after {seconds:.0f} s:\n{_end_of(log)}")
    return seconds


@contextmanager
def _running_demo(clone: Path) -> Iterator[str]:
    """The demo's address, once it is announced; the demo is stopped in the end."""
    print("a fresh clone: lsr demo", file=sys.stderr)
    log = clone.parent / "demo.log"
    with log.open("w") as stream:
        demo = subprocess.Popen(
            [clone / ".venv/bin/lsr", "demo", "--port", "0", "--no-browser"],
            cwd=clone,
            env=_environment(),
            stdout=stream,
            stderr=stream,
        )
    try:
        deadline = time.perf_counter() + DEMO_LIMIT_SECONDS
        while not (found := re.search(r"the demo is at (http://\S+)", log.read_text())):
            if demo.poll() is not None or time.perf_counter() > deadline:
                raise FreshError("lsr demo announced no address")
            time.sleep(0.02)
        yield found[1]
    except FreshError as error:
        raise FreshError(f"{error}\nIts log ends with:\n{_end_of(log)}") from error
    finally:
        demo.terminate()
        try:
            demo.wait(20)
        except subprocess.TimeoutExpired:
            demo.kill()
            demo.wait()


def _wait_for_hit(url: str, deadline: float) -> None:
    page = ""
    while HIT not in page:
        if time.perf_counter() > deadline:
            raise FreshError(f"{url} showed no hit for {QUERY}; it said last:\n{page[-2_000:]}")
        try:
            with urllib.request.urlopen(f"{url}/?q={QUERY}", timeout=60) as answer:
                page = answer.read().decode()
        except urllib.error.HTTPError as error:
            page = f"{error}: {error.read().decode(errors='replace')}"
            if error.code != http.HTTPStatus.SERVICE_UNAVAILABLE:
                raise FreshError(f"{url} answered {page[:2_000]}") from error
        except (urllib.error.URLError, TimeoutError) as error:
            page = str(error)
        time.sleep(0.02)


def _environment() -> dict[str, str]:
    kept = {name: v for name, v in os.environ.items() if name not in INHERITED_SETTINGS}
    return kept | {"LSR_DATA": str(data_folder().resolve())}


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-30:])


def main() -> None:
    """Time both, print, and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    parser.add_argument("--only", choices=("tests", "demo"), help="time one of the two")
    options = parser.parse_args()
    figures: dict[str, float] = {}
    try:
        if options.only != "demo":
            figures |= time_tests()
        if options.only != "tests":
            figures |= time_demo()
    except FreshError as error:
        sys.exit(f"error: {error}")
    for name, seconds in figures.items():
        print(f"{name:<20}{seconds:>8.1f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
