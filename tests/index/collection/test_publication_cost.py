"""The cost of publishing a document: syncs, and bytes read and written, whatever is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.index.collection.merge_policy import MergePolicy
from lsr.index.collection.update import add_documents, delete_documents
from lsr.types import Document

KEEP_ALL = MergePolicy(segments_per_tier=1_000)

IO = """
import json, sys
from pathlib import Path
from lsr.index.collection.update import add_documents, delete_documents
from lsr.types import Document

def counted():
    lines = Path("/proc/self/io").read_text().splitlines()
    return {name: int(value) for name, value in (line.split(": ") for line in lines)}

path = Path(sys.argv[1])
add_documents(path, [Document("warm", "a fish")])
delete_documents(path, ["warm"])
before = counted()
add_documents(path, [Document("new", "a fish")])
after = counted()
delete_documents(path, ["new"])
last = counted()
spans = [(before, after), (after, last)]
print(json.dumps([{n: b[n] - a[n] for n in ("rchar", "wchar")} for a, b in spans]))
"""


@contextmanager
def synced() -> Iterator[list[str]]:
    """Paths that were brought to disk meanwhile."""
    paths: list[str] = []
    true = {name: getattr(os, name) for name in ("fsync", "fdatasync")}

    def counting(name: str, descriptor: int) -> None:
        paths.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        true[name](descriptor)

    with pytest.MonkeyPatch.context() as patch:
        for name in true:
            patch.setattr(os, name, lambda descriptor, name=name: counting(name, descriptor))
        yield paths


def built(path: Path, n_documents: int) -> Path:
    documents = (Document(f"d{i}", f"a fish number w{i % 50}") for i in range(n_documents))
    build_collection(documents, path, sparse=Bm25Encoder())
    return path


def test_six_syncs_for_an_addition(tmp_path: Path) -> None:
    path = built(tmp_path / "c", 20)
    for i in range(3):
        with synced() as paths:
            add_documents(path, [Document(f"new{i}", "a new fish")], policy=KEEP_ALL)
        names = [each.removeprefix(str(tmp_path)) for each in paths]
        staged = f"/.c.building/collection/segment-{i + 2:06d}"
        assert sorted(names) == sorted(
            [
                f"{staged}/documents.sqlite",
                f"{staged}/arrays.bin",
                staged,
                f"/.c.building/collection/encoder-{i + 2:06d}.bin",
                "/.c.building/collection/manifest.json",
                "/c",
            ]
        )
    with synced() as paths:
        delete_documents(path, ["d3"])
    assert len(paths) == 4, "tombstones, their folder, the manifest, its folder"
    with synced() as paths:
        add_documents(path, [Document("d4", "a replaced fish")], policy=KEEP_ALL)
    assert len(paths) == 8


def test_everything_is_synced_before_the_manifest_is_there(tmp_path: Path) -> None:
    path = built(tmp_path / "c", 20)
    events: list[str] = []
    replace = Path.replace

    def replacing(source: Path, target: Path) -> Path:
        events.extend(paths)
        return replace(source, target)

    with pytest.MonkeyPatch.context() as patch, synced() as paths:
        patch.setattr(Path, "replace", replacing)
        add_documents(path, [Document("d4", "a fish")], policy=KEEP_ALL)
    assert events == paths[:-1]
    assert paths[-1] == str(path)


def test_bytes_do_not_grow_with_the_collection(tmp_path: Path) -> None:
    told = []
    for n_documents in (500, 20_000):
        path = built(tmp_path / f"c{n_documents}", n_documents)
        done = subprocess.run(
            [sys.executable, "-c", IO, str(path)], capture_output=True, check=True, text=True
        )
        told.append(json.loads(done.stdout))
    for small, large in zip(*told, strict=True):
        assert large["wchar"] < small["wchar"] + 4_000, "tombstones are a bit a row"
        assert large["rchar"] < small["rchar"] + 40_000, "the database's upper pages"
