"""Kill a writer before its file operations: what is left is the old or the new state.

Before each operation that touches the collection, and before one in four of those beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.index.collection.merge_policy import MergePolicy
from lsr.index.collection.update import add_documents
from lsr.types import Document

DRIVER = """
import json, os, shutil, signal, sys
from pathlib import Path
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.storage.manifest import MANIFEST, Manifest
from lsr.index.collection.merge_policy import MergePolicy
from lsr.index.collection.update import add_documents, delete_documents, merge_segments
from lsr.types import Document

base, work = Path(sys.argv[1]), Path(sys.argv[2])
NEW = [Document("otter", "a newer otter"), Document("eel", "an eel is a fish")]
WRITERS = {
    "add": lambda path: add_documents(path, NEW, policy=MergePolicy(segments_per_tier=100)),
    "merging add": lambda path: add_documents(path, NEW, policy=MergePolicy(segments_per_tier=1)),
    "delete": lambda path: delete_documents(path, ["otter", "carp"]),
    "merge": merge_segments,
    "build": lambda path: build_collection(NEW, path, sparse=Bm25Encoder()),
}
CHANGING = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "sqlite3.connect"}


def state(path):
    collection = CollectionReader.open(path, verify=True)
    documents = collection.store.documents(collection.live_rows().tolist())
    hits = collection.search("fish otter", k=50).hits
    collection.close()
    return sorted(map(repr, documents)), [(hit.document.doc_id, hit.score) for hit in hits]


def run(path, write, number):
    # in a child; returns where its operations were, or None when it was killed before one
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        calls = []

        def dying(event, arguments):
            writes = event == "open" and arguments[2] and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            inside = str(work) in str(arguments[0]) if arguments else False
            if (event in CHANGING or writes) and inside:
                calls.append(any(str(path) in str(each) for each in arguments))
                if len(calls) == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(dying)
        code = 1
        try:
            write(path)
            code = 0
        finally:
            os.write(writer, json.dumps(calls).encode())
            os._exit(code)
    _, status = os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        said = stream.read()
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return None
    assert os.WEXITSTATUS(status) == 0
    return json.loads(said)


def fresh():
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    return Path(shutil.copytree(base, work / "index"))


os.fsync = lambda descriptor: None  # a killed process loses nothing that it has written
old = state(base)
report = {}
for name, write in WRITERS.items():
    path = fresh()
    calls = run(path, write, 0)
    new = state(path)
    outcomes = []
    for number, in_collection in enumerate(calls, 1):
        if not in_collection and number % 4:
            continue
        path = fresh()
        assert run(path, write, number) is None
        found = state(path)
        assert found in (old, new), (name, number, found)
        outcomes.append(found == new)
        # the next writer is not hindered, and clears what the dead one left
        add_documents(path, [Document("next", "a fish")])
        assert len(state(path)[0]) == len(found[0]) + 1
        files = {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()}
        assert files == {MANIFEST, *Manifest.read(path).files}
        assert [p.name for p in work.iterdir()] == ["index"]
    assert new != old
    report[name] = {"calls": len(calls), "new": outcomes}
print(json.dumps(report))
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two segments, with tombstones and a tie order."""
    path = tmp_path_factory.mktemp("kill") / "base"
    first = [Document("pike", "a pike is a fish"), Document("otter", "otters eat fish")]
    build_collection(first, path, sparse=Bm25Encoder())
    second = [Document("carp", "a carp is a fish"), Document("pike", "no fish any more")]
    add_documents(path, second, policy=MergePolicy(segments_per_tier=100))
    return path


def test_kill_before_every_operation(base: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRIVER, str(base), str(tmp_path / "work")]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert list(report) == ["add", "merging add", "delete", "merge", "build"]
    for name, outcome in report.items():
        assert outcome["calls"] > (8 if name == "delete" else 20)
        assert len(outcome["new"]) > 6
        assert set(outcome["new"]) == {True, False}, "the moment of publication was among them"
        assert outcome["new"] == sorted(outcome["new"]), "one moment separates old from new"
