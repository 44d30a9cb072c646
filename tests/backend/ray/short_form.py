"""Shards on a cluster of two nodes, as far as a minute goes. Run by `test_on_a_cluster.py`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lsr.backend.ray.copies
import lsr.backend.ray.tasks
from bench.scale.ray_nodes import Nodes
from lsr.backend.build import build_sharded
from lsr.backend.open import open_collection
from lsr.backend.ray.tasks import RayTasks
from lsr.backend.ray_options import RayOptions
from lsr.backend.replicated_shards import Patience
from lsr.backend.shards_file import ShardsFile
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import (
    DataError,
    IndexCorruptError,
    QueryError,
    ServiceError,
    ShardsMissingError,
    StorageError,
)
from lsr.index.collection.reader import CollectionReader
from tests.backend.ray.collections import PARTIAL, check_answers, is_whole, on_ray, until
from tests.backend.test_build import contents
from tests.support.command_line import done, refused
from tests.support.hybrid_corpus import DOCUMENTS, Topics


def dying(marks: Path, function: Callable[..., Any], *given: Any) -> Any:
    """A task whose worker is killed in it, the first two times: soon, and later."""
    mark = marks / f"{function.__name__}-{zlib.crc32(str(given).encode())}"
    deaths = len(mark.read_text()) if mark.exists() else 0
    if deaths < 2:
        mark.write_text("x" * (deaths + 1))
        signal.setitimer(signal.ITIMER_REAL, (0.001, 0.03)[deaths])
    result = function(*given)
    if deaths < 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return result


class Dying(RayTasks):
    """Tasks whose workers are killed."""

    def __init__(self, address: str, marks: Path) -> None:
        super().__init__(address)
        self._marks = marks

    def map(self, function: Any, arguments: Any, report: Any) -> Any:
        given = [(self._marks, function, *each) for each in arguments]
        return super().map(dying, given, report)


def test_a_build_whose_workers_are_killed(nodes: Nodes, folder: Path, tmp_path: Path) -> None:
    local = build_sharded(
        DOCUMENTS, tmp_path / "x", 2, sparse=Bm25Encoder(), dense=Topics, slice_documents=16
    )
    expected = contents(tmp_path / "x", local)
    assert contents(folder, ShardsFile.read(folder)) == expected
    marks = tmp_path / "marks"
    marks.mkdir()
    reports: list[str] = []
    made = build_sharded(
        DOCUMENTS,
        tmp_path / "y",
        2,
        sparse=Bm25Encoder(),
        dense=Topics,
        tasks=Dying(nodes.address, marks),
        slice_documents=35,
        progress=lambda stage, done, total: reports.append(f"{stage} {done}/{total}"),
    )
    assert sum(len(mark.read_text()) for mark in marks.iterdir()) == 8
    assert {"count 2/2", "shards 1/2", "shards 2/2"} <= set(reports)
    assert len(expected) == len(contents(tmp_path / "y", made))
    again = build_sharded(
        DOCUMENTS, tmp_path / "z", 2, sparse=Bm25Encoder(), dense=Topics, slice_documents=35
    )
    assert contents(tmp_path / "y", made) == contents(tmp_path / "z", again)


def failing(path: str) -> None:
    raise DataError("no record", path=path, line=3)


def reading(path: Path) -> bytes:
    return path.read_bytes()


def test_errors_of_tasks(nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = RayTasks(nodes.address)
    with pytest.raises(DataError, match="a.jsonl, line 3: no record") as caught:
        tasks.map(failing, [("a.jsonl",)], print)
    assert caught.value.line == 3
    with pytest.raises(StorageError, match="a Ray node does not find .*away; build in a folder"):
        tasks.map(reading, [(tmp_path / "away",)], print)
    monkeypatch.setattr(lsr.backend.ray.tasks, "own_version", lambda: "9.8.7")
    with pytest.raises(ServiceError, match="has lsr .* and this is lsr 9.8.7; install one version"):
        tasks.map(len, [("x",)], print)


def test_every_plan(nodes: Nodes, folder: Path, one: CollectionReader) -> None:
    with on_ray(folder, 2) as found:
        check_answers(found, one)
        with pytest.raises(QueryError):
            found.search("river", where={"colour": "red"})


def test_shards_that_cannot_be_used(
    nodes: Nodes, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = ShardsFile.read(folder)
    record = listed.shards[1]
    other = ShardsFile(1, "", "", "", (listed.shards[0], type(record)(record.folder, "0", 1, 1, 1)))
    monkeypatch.setattr(ShardsFile, "read", lambda path: other)
    with pytest.raises(IndexCorruptError, match=r"shard 1 of 2 .* is not the one"):
        open_collection(folder, ray=RayOptions(nodes.address))
    monkeypatch.undo()
    monkeypatch.setattr(lsr.backend.ray.copies, "own_version", lambda: "9.8.7")
    with pytest.raises(ServiceError, match="has lsr .* and this is lsr 9.8.7; install one version"):
        open_collection(folder, ray=RayOptions(nodes.address))
    monkeypatch.undo()
    with on_ray(folder, 2):  # there is no room for more
        asked = RayOptions(nodes.address, 1, Patience(start_ms=2_000))
        with pytest.raises(ServiceError, match="no copy of shard 0 was open in 2 s; see whether"):
            open_collection(folder, ray=asked)


def test_at_the_terminal(nodes: Nodes, tmp_path: Path) -> None:
    lines, target = tmp_path / "birds.jsonl", tmp_path / "x"
    lines.write_text(
        "\n".join(json.dumps({"_id": each.doc_id, "text": each.text}) for each in DOCUMENTS)
    )
    build = ("index", "build", lines, target, "--sparse", "bm25", "--backend", "ray")
    assert "70 documents in 2 shards" in done(*build, "--shards", 2)
    query = ("search", target, "heron river", "--json", "-k", "5")
    found = json.loads(done(*query, "--backend", "ray", "--replicas", 2))
    assert found["hits"] == json.loads(done(*query))["hits"]
    assert found["shards"] == {"total": 2, "ok": 2}
    assert "say how many with --shards N" in refused(*build)
    assert "goes with --backend ray only" in refused(*query, "--replicas", 2)
    assert "there is no backend 'rat'; choose local, ray" in refused(*query, "--backend", "rat")
    elsewhere = ("--backend", "ray", "--ray-address", "127.0.0.1:9")
    assert f"works with the Ray cluster at {nodes.address}" in refused(*query, *elsewhere)
    done("index", "build", lines, tmp_path / "one", "--sparse", "bm25")
    told = refused("search", tmp_path / "one", "heron", "--backend", "ray")
    assert "is one index and needs no cluster" in told


def test_no_cluster(nodes: Nodes, folder: Path) -> None:
    command = [sys.executable, "-m", "lsr", "search", str(folder), "heron", "--backend", "ray"]
    for address, expected in (
        ("127.0.0.1:9", "error: no Ray cluster can be used at 127.0.0.1:9 ("),
        ("ray://127.0.0.1:10001", "error: ray://127.0.0.1:10001 is no address of a Ray cluster"),
    ):
        ended = subprocess.run(
            [*command, "--ray-address", address], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 2
        assert ended.stdout == ""
        (line,) = ended.stderr.splitlines()
        assert line.startswith(expected)
        assert "HOST:PORT" in line


def test_nodes_are_lost(nodes: Nodes, folder: Path, one: CollectionReader) -> None:
    """The last test: the nodes are others afterwards."""
    with on_ray(folder, 2) as found:
        nodes.kill()
        check_answers(found, one)
        nodes.kill()
        until(lambda: not is_whole(found))
        with pytest.raises(ShardsMissingError, match="2 of 2 shards did not answer"):
            found.search("heron", plan=PARTIAL)
