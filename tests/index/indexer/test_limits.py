"""Threads and memory of building blocks: what is taken, refused, and never seen in the index."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.cli.build_options import build_limits
from lsr.errors import InputError
from lsr.index.collection import segment_writer
from lsr.index.indexer import block_builder
from lsr.index.indexer.block_builder import build_blocks
from lsr.index.indexer.limits import BuildLimits
from lsr.index.sparse_index import SparseIndex
from lsr.index.storage.manifest import Manifest
from lsr.sparse import CSR
from tests.support.changing_collection import content
from tests.support.command_line import done, refused

WORDS = [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(200)]
N = 400
REWRITTEN = N // 2 + 1
"""So many documents replaced make an addition rewrite the segment that they were in."""


def corpus(path: Path, n: int, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    lines = [{"_id": f"d{i}", "text": " ".join(rng.choice(WORDS, 20))} for i in range(n)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Path, Path]:
    """Documents, and newer versions of most of them."""
    return (
        corpus(tmp_path / "first.jsonl", N, 0),
        corpus(tmp_path / "second.jsonl", REWRITTEN, 1),
    )


def hashes(path: Path) -> dict[str, str]:
    return {name: file.sha256 for name, file in Manifest.read(path).files.items()}


def test_the_same_bytes_for_any_threads(
    sources: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_builder, "PART_POSTINGS", 100)
    states: list[list[dict[str, str]]] = []
    for n_threads in (1, 2):
        path, options = tmp_path / f"{n_threads}", ("--threads", n_threads)
        done("index", "build", sources[0], path, "--blocks", "always", "--sparse", "bm25", *options)
        state = [hashes(path)]
        told = done("index", "add", path, sources[1], *options)
        assert "1 segments merged" in told
        state.append(hashes(path))
        done("index", "delete", path, "d0")
        done("index", "merge", path, *options)
        states.append([*state, hashes(path)])
    assert states[0] == states[1]
    assert all(any(name.endswith("blocks.bin") for name in files) for files in states[0])


def test_limits_reach_the_builder(
    sources: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int | None]] = []

    def recorded(*arguments: Any, n_threads: int, max_memory: int | None, progress: Any) -> Any:
        seen.append((n_threads, max_memory))
        return build_blocks(*arguments, progress=progress)

    monkeypatch.setattr(segment_writer, "build_blocks", recorded)
    path, options = tmp_path / "index", ("--threads", 3, "--max-memory", "1.5G")
    done("index", "build", sources[0], path, "--blocks", "always", "--sparse", "bm25", *options)
    done("index", "add", path, sources[1], *options)
    done("index", "delete", path, "d0")
    done("index", "merge", path, *options)
    assert seen == [(3, 1_500_000_000)] * 3
    done("index", "build", sources[0], path, "--blocks", "always", "--sparse", "bm25")
    assert seen[-1] == (len(os.sched_getaffinity(0)), None)


def test_memory_that_does_not_suffice(sources: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "index"
    done(
        "index",
        "build",
        sources[0],
        path,
        "--blocks",
        "always",
        "--sparse",
        "bm25",
        "--max-memory",
        "10M",
    )
    done("index", "delete", path, "d0")
    before = content(tmp_path)
    for words in (
        ("build", sources[0], path, "--blocks", "always", "--sparse", "bm25"),
        ("build", sources[0], tmp_path / "new", "--blocks", "always", "--sparse", "bm25"),
        ("add", path, sources[1]),
        ("merge", path),
    ):
        sentence = refused("index", *words, "--max-memory", "2K")
        assert sentence.startswith("error: building takes ")
        assert "MB; allow more" in sentence
        assert content(tmp_path) == before
    done("index", "merge", path, "--max-memory", "10M")


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--threads", "0", "--threads is 0; give a whole number from 1 to 1,024"),
        ("--threads", "-1", "--threads is -1; give"),
        ("--threads", "1025", "--threads is 1025; give"),
        *(
            ("--max-memory", size, f"--max-memory is {size!r}; give a number of bytes from 1 on")
            for size in ("0", "0.9", "", "G", "1T", "1e9", "-1", "1 G", "٣", "nan", "1" * 15 + "G")
        ),
    ],
)
def test_values_that_are_wrong(tmp_path: Path, option: str, value: str, sentence: str) -> None:
    source = corpus(tmp_path / "first.jsonl", 3, 0)
    done("index", "build", source, tmp_path / "index", "--sparse", "bm25")
    before = content(tmp_path)
    for words in (
        ("build", source, tmp_path / "index", "--sparse", "bm25"),
        ("add", tmp_path / "index", source),
        ("merge", tmp_path / "index"),
    ):
        assert sentence in refused("index", *words, option, value)
        assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("size", "n_bytes"),
    [
        ("1", 1),
        ("2k", 2_000),
        ("12.3M", 12_300_000),
        ("2.5G", 2_500_000_000),
        ("0.000000001G", 1),
        ("1.9", 1),
    ],
)
def test_sizes(size: str, n_bytes: int) -> None:
    assert build_limits(None, size) == BuildLimits(None, n_bytes)


def test_limits_check_themselves() -> None:
    assert BuildLimits().threads >= 1
    assert BuildLimits(7).threads == 7
    for wrong in ({"n_threads": 0}, {"n_threads": 1.5}, {"max_memory": 0}, {"max_memory": "1G"}):
        message = f"{next(iter(wrong))} is .*; it must be a whole"
        with pytest.raises(InputError, match=message) as caught:
            BuildLimits(**wrong)
        assert caught.value.code == "invalid_input"


@pytest.mark.parametrize("n_threads", [0, -1])
def test_a_build_without_threads(n_threads: int) -> None:
    documents = CSR.from_rows([{0: 1.0}, {1: 2.0}])
    for build in (build_blocks, SparseIndex.build):
        with pytest.raises(InputError, match=f"^{n_threads} threads; at least 1 is needed$"):
            build(documents, n_threads=n_threads)
