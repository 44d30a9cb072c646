"""The prefetch instruction is there, and searches do without it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from lsr.index.blocks.block_index import BlockIndex
from lsr.index.indexer.block_builder import build_blocks
from lsr.index.kernels.prefetch import HAS_PREFETCH, _hint, _nothing, prefetch
from lsr.sparse import CSR
from tests.support.block_indexes import compiled, random_collection, random_queries, search

pytestmark = pytest.mark.kernel


@compiled
def test_there_is_an_instruction() -> None:
    if platform.machine() in ("x86_64", "AMD64", "aarch64", "arm64"):
        assert HAS_PREFETCH
    assert prefetch is (_hint if HAS_PREFETCH else _nothing)


def touching(hint: Any) -> Any:
    """A kernel that gives a hint and returns what the place holds."""

    @numba.njit  # type: ignore[untyped-decorator]
    def touch(array: Any, place: int) -> Any:
        hint(array, place)
        return array[place]

    return touch


@compiled
@pytest.mark.skipif(not HAS_PREFETCH, reason="there is no such instruction")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint64])
def test_hints_are_instructions_and_change_nothing(dtype: type[np.generic]) -> None:
    array = np.arange(100).astype(dtype)
    array.flags.writeable = False
    for hint, expected in ((_hint, True), (_nothing, False)):
        kernel = touching(hint)
        assert [int(kernel(array, place)) for place in (0, 63, 99)] == [0, 63, 99]
        (assembly,) = kernel.inspect_asm().values()
        lines = [line.split() for line in assembly.splitlines()]
        found = [words[0] for words in lines if words and words[0].startswith(("prefetch", "prfm"))]
        assert bool(found) is expected


@pytest.mark.skipif(not HAS_PREFETCH, reason="there is no such instruction")
def test_places_beyond_the_end_may_be_hinted_at() -> None:
    """Kernels hint at the end of an array where a list is empty."""
    array = np.zeros(3, np.uint16)
    for place in (3, 4, 1 << 20, 1 << 40):
        prefetch(array, place)


WITHOUT_INTRINSICS = """
import numba.extending
numba.extending.intrinsic = lambda function: {stub}
from lsr.index.kernels import prefetch
from numba import njit
import numpy as np
assert not prefetch.HAS_PREFETCH
assert prefetch.prefetch is prefetch._nothing
njit(lambda array: prefetch.prefetch(array, 0))(np.zeros(1))
print("good")
"""


def python(program: str, *arguments: object, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@compiled
@pytest.mark.parametrize("stub", ["None", "(lambda array, place: 1 / 0)", "numba.njit(function)"])
def test_where_there_is_no_intrinsic_nothing_is_done(stub: str, tmp_path: Path) -> None:
    """As with a Numba or an LLVM that has none, or another one."""
    program = WITHOUT_INTRINSICS.format(stub=stub)
    assert python(program, NUMBA_CACHE_DIR=str(tmp_path)) == "good"


SEARCH = """
import json, sys
from pathlib import Path
import numpy as np
from lsr.index.blocks.block_index import BlockIndex
from lsr.index.kernels.prefetch import HAS_PREFETCH
from lsr.sparse import CSR
from tests.support.block_indexes import search

assert not HAS_PREFETCH
folder = Path(sys.argv[1])
queries = CSR(*(np.load(folder / f"{name}.npy") for name in ("indptr", "terms", "weights")), 50)
hits = [search(BlockIndex.load(folder), queries, 5, heap_factor=h) for h in (0.0, 0.7, 1.0)]
print(json.dumps(hits))
"""


def test_searches_without_hints_find_the_same(tmp_path: Path) -> None:
    """Without a compiler there are none, and every kernel of a search is a plain function."""
    index = build_blocks(random_collection(3, [0, 5, 14, 25] * 20, 40))
    queries = random_queries(CSR.empty(0, 40)._replace(terms=np.arange(40, dtype=np.int32)), 5, n=4)
    index.save(tmp_path)
    for name in ("indptr", "terms", "weights"):
        np.save(tmp_path / f"{name}.npy", getattr(queries, name))
    found = json.loads(python(SEARCH, tmp_path, NUMBA_DISABLE_JIT="1"))
    loaded = BlockIndex.load(tmp_path)
    for hits, heap_factor in zip(found, (0.0, 0.7, 1.0), strict=True):
        assert any(hits)
        expected = search(loaded, queries, 5, heap_factor=heap_factor)
        assert [[tuple(hit) for hit in line] for line in hits] == expected
