"""Kill a build at any moment: what can be opened is the old index or the new one, whole."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import IndexMissingError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.types import Document

BUILD = """
import sys
from pathlib import Path
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.types import Document

documents = [Document(f"d{i:04}", f"new heron w{i % 97} w{i % 89}") for i in range(3_000)]
print("ready", flush=True)
build_collection(documents, Path(sys.argv[1]), sparse=Bm25Encoder())
print("done", flush=True)
"""
OLD = [Document("old", "an old heron"), Document("older", "a fish")]
N_KILLS = 12


def start(target: Path) -> tuple[subprocess.Popen[bytes], float]:
    """A build that has begun, and when."""
    process = subprocess.Popen([sys.executable, "-c", BUILD, str(target)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process, time.monotonic()


def answer(target: Path) -> set[str]:
    collection = CollectionReader.open(target, verify=True)
    try:
        assert collection.manifest.n_documents == len(collection.live_rows())
        return {hit.document.doc_id for hit in collection.search("heron", k=2).hits}
    finally:
        collection.close()


def test_kill(tmp_path: Path) -> None:
    process, begun = start(tmp_path / "timing")
    process.communicate()
    assert process.returncode == 0
    duration = time.monotonic() - begun
    rng = random.Random(13)
    seen: set[str] = set()
    for turn in range(N_KILLS):
        target = tmp_path / f"turn{turn}" / "index"
        had_old = turn % 2 == 0
        if had_old:
            build_collection(OLD, target, sparse=Bm25Encoder())
        process, begun = start(target)
        # over the whole build and a little beyond, since no two take the same time
        moment = begun + duration * 1.1 * (turn + rng.random()) / N_KILLS
        while time.monotonic() < moment and process.poll() is None:
            time.sleep(0.001)
        process.kill()
        process.communicate()
        try:
            found = answer(target)
        except IndexMissingError:
            assert not had_old
            found = set()
        assert found in ([{"old"}, {"d0000", "d0001"}] if had_old else [set(), {"d0000", "d0001"}])
        seen.add(" ".join(sorted(found)))
        build_collection(OLD, target, sparse=Bm25Encoder())
        assert answer(target) == {"old"}
        assert {path.name.split("-")[0] for path in target.iterdir()} == {
            *("segment", "encoder", "manifest.json")
        }
        assert len(list(target.iterdir())) == 3
        assert [path.name for path in target.parent.iterdir()] == ["index"]
    assert len(seen) >= 2, "the moments were spread over too little of the build"


KILL_AT = """
import os, signal, sys
from pathlib import Path
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.types import Document

calls = 0

def dying(event, arguments):
    global calls
    if event in ("os.rename", "shutil.rmtree", "os.rmdir", "os.remove", "os.mkdir", "open"):
        inside = any(".building" in str(a) or sys.argv[1] in str(a) for a in arguments)
        if inside:
            calls += 1
            if calls == int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)

documents = [Document(f"d{i:04}", f"new heron w{i}") for i in range(3)]
sys.addaudithook(dying)
build_collection(documents, Path(sys.argv[1]), sparse=Bm25Encoder())
print(calls)
"""


def test_kill_before_every_change_of_publishing(tmp_path: Path) -> None:
    """Not by chance: the process dies right before each of its last file operations."""
    target = tmp_path / "index"

    def run(number: int) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-c", KILL_AT, str(target), str(number)]
        return subprocess.run(command, capture_output=True, check=False)

    build_collection(OLD, target, sparse=Bm25Encoder())
    done = run(0)
    assert done.returncode == 0, done.stderr
    n_calls = int(done.stdout)
    build_collection(OLD, target, sparse=Bm25Encoder())
    outcomes = []
    for number in range(n_calls, max(0, n_calls - 12), -1):
        assert run(number).returncode == -signal.SIGKILL
        found = answer(target)
        assert found in ({"old"}, {"d0000", "d0001"})
        outcomes.append("old" in found)
        build_collection(OLD, target, sparse=Bm25Encoder())
        assert answer(target) == {"old"}
        assert len(list(target.iterdir())) == 3
        assert [path.name for path in tmp_path.iterdir()] == ["index"]
    assert set(outcomes) == {True, False}, "the moment of publication was among them"
