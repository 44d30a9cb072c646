"""Compiled code that is kept: used again as long as nothing it was compiled with has changed."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lsr.index import jit as module
from lsr.index.jit import fingerprint, kernel
from tests.support.block_indexes import compiled

FILES = {
    "__init__.py": "",
    "constants.py": "FACTOR = 3\nUNUSED = 5\n",
    "places.py": "SHIFT = 100\n",
    "deeper.py": "DEEP = 2\n",
    "tools.py": """
from lsr.jit import kernel
from lsr.deeper import DEEP


@kernel
def scaled(value):
    return value * DEEP
""",
    "entry.py": """
from lsr import places as at
from lsr.jit import kernel
from lsr.constants import FACTOR
from lsr.tools import scaled

OWN = 10_000


@kernel
def run(value):
    return scaled(value) * FACTOR + at.SHIFT + OWN


@kernel
def alone(value):
    return value + OWN
""",
}
"""A small package of the same name: only modules of `lsr` are looked at."""

PROGRAM = """
import importlib
import json
from lsr.jit import fingerprint
from lsr.entry import alone, run
kernels = (run, alone)
print(json.dumps({
    "results": [int(kernel(1)) for kernel in kernels],
    "hits": [sum(kernel.stats.cache_hits.values()) for kernel in kernels],
    "prints": [fingerprint(kernel.py_func) for kernel in kernels],
}))
"""


def installed(folder: Path) -> Path:
    package = folder / "lsr"
    package.mkdir()
    for name, text in FILES.items():
        (package / name).write_text(text, encoding="utf-8")
    source = Path(module.__file__).read_text(encoding="utf-8")
    (package / "jit.py").write_text(source, encoding="utf-8")
    return package


def called(package: Path) -> dict[str, list[int | str]]:
    environment = os.environ | {
        "PYTHONPATH": str(package.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NUMBA_CACHE_DIR": str(package.parent / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        cwd=package.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[int | str]] = json.loads(done.stdout)
    return answer


@compiled
def test_changes_elsewhere_are_compiled_and_nothing_else(tmp_path: Path) -> None:
    """Each file is changed in its turn; the kernel that does not use it is kept."""
    package = installed(tmp_path)
    first, again = called(package), called(package)
    expected = 2 * 3 + 100 + 10_000
    assert first["results"] == again["results"] == [expected, 10_001]
    assert first["hits"] == [0, 0]
    assert again == {**first, "hits": [1, 1]}

    changes: list[tuple[str, str, str, int]] = [
        ("constants.py", "FACTOR = 3", "FACTOR = 4", 2 * 4 + 100 + 10_000),
        ("places.py", "SHIFT = 100", "SHIFT = 200", 2 * 4 + 200 + 10_000),
        ("tools.py", "value * DEEP", "value + DEEP", 3 * 4 + 200 + 10_000),
        ("deeper.py", "DEEP = 2", "DEEP = 7", 8 * 4 + 200 + 10_000),
    ]
    prints = set(map(str, first["prints"]))
    for name, old, new, expected in changes:
        text = (package / name).read_text(encoding="utf-8")
        assert text.count(old) == 1
        (package / name).write_text(text.replace(old, new), encoding="utf-8")
        found = called(package)
        assert found["results"] == [expected, 10_001], name
        assert found["hits"] == [0, 1], name
        assert found["prints"][0] not in prints
        assert found["prints"][1] == first["prints"][1]
        prints |= set(map(str, found["prints"]))

    text = (package / "constants.py").read_text(encoding="utf-8")
    (package / "constants.py").write_text(text.replace("UNUSED = 5", "UNUSED = 6"))
    assert called(package) == {**found, "hits": [1, 1]}, "a constant that nobody uses"


def test_without_a_compiler_functions_stay_as_they_are(tmp_path: Path) -> None:
    program = """
from lsr.index.jit import kernel
from lsr.index.blocks.scan_lists import _fill
def plain(value):
    return value
assert kernel(plain) is plain
assert type(_fill) is type(plain)
"""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


NUMBER = 5
OTHER = 2.5


def _uses_numbers(value: float) -> float:
    return value * NUMBER + OTHER


def _uses_none(value: float) -> float:
    return abs(value)


def test_fingerprints_are_of_what_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(_uses_numbers), fingerprint(_uses_none)
    assert before == (fingerprint(_uses_numbers), fingerprint(_uses_none))
    for name, value in (("NUMBER", 6), ("NUMBER", 5.0), ("NUMBER", True), ("OTHER", 2)):
        with monkeypatch.context() as patch:
            patch.setattr(sys.modules[__name__], name, value)
            assert fingerprint(_uses_numbers) != before[0]
            assert fingerprint(_uses_none) == before[1]
    assert fingerprint(_uses_numbers) == before[0]


@compiled
def test_code_that_two_processes_keep_at_one_time_is_never_mixed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has read the index before the other wrote it, as when a service starts its workers."""
    (tmp_path / "halves.py").write_text("def half(value):\n    return value / 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    half = importlib.import_module("halves").half
    first, second = kernel(half), kernel(half)
    caches = [each._cache._cache_file for each in (first, second)]
    for cache in caches:
        monkeypatch.setattr(cache, "_load_index", dict)
    save = caches[0]._save_data

    def save_late(name: str, data: object) -> None:
        assert second(3.5) == 1.75  # compiled and kept between two steps of the first
        save(name, data)

    monkeypatch.setattr(caches[0], "_save_data", save_late)
    assert first(3) == 1.5
    files = sorted(path.name for path in Path(caches[0]._cache_path).glob("halves*.nbc"))
    assert len(files) == 1  # the other's, which the index does not name any more, went
    for given in (3, 3.5, np.int64(5), np.float32(1.5)):
        third = kernel(half)
        assert third(given) == given / 2
    assert sum(third.stats.cache_hits.values()) + sum(third.stats.cache_misses.values()) == 1
