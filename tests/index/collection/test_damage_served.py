"""Files damaged in place while a collection is served: right answers or errors, never a crash.

`LSR_DAMAGES` says how many damages there are for each residence; a few by default.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.index.collection.merge_policy import MergePolicy
from lsr.index.collection.reader import CollectionReader
from lsr.index.collection.update import add_documents, delete_documents
from lsr.index.storage.manifest import Manifest
from lsr.index.storage.resident import FileStamps, Residence
from lsr.types import Document
from tests.support.search_sides import Compass

pytest.importorskip("faiss")

N_DAMAGES = int(os.environ.get("LSR_DAMAGES", "60"))

DRIVER = """
import json, random, sys
from pathlib import Path
import numpy as np
import lsr.retrieval.dense_index
from lsr.errors import IndexCorruptError, IndexStateError, NotFoundError
from lsr.index.collection.reader import CollectionReader
from lsr.index.storage.manifest import MANIFEST, Manifest
from tests.support.search_sides import Compass

lsr.retrieval.dense_index.FLAT_LIMIT = 20
path, residence, count, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rng = random.Random(seed)

def opened(verify=True):
    return CollectionReader.open(path, verify=verify, dense=Compass(), residence=residence)

def searched(reader, text, **how):
    answer = reader.search(text, k=8, **how)
    return [(hit.document, float(hit.score).hex()) for hit in answer.hits]

def listed(reader):
    rows = reader.live_rows().tolist()
    return [reader.store.stored(rows[i::3]) for i in range(3)]

def fetched(reader, doc_id):
    try:
        return reader.document(doc_id)
    except NotFoundError:
        return None

QUESTIONS = [
    lambda reader: searched(reader, "fish w3", mode="sparse"),
    lambda reader: searched(reader, "w1", mode="sparse"),
    lambda reader: searched(reader, "north fish"),
    lambda reader: searched(reader, "into east", mode="dense"),
    lambda reader: searched(reader, "fish", where={"year": 3}),
    lambda reader: searched(reader, "fish w2", where={"kind": "even"}, mode="sparse"),
    *(lambda reader, i=i: fetched(reader, f"d{i}") for i in (0, 7, 41, 190, 1_000)),
    listed,
    lambda reader: reader.store.sparse_vectors(reader.live_rows().tolist()[::5], 1_000),
]

def plain(value):
    return repr([part.tolist() for part in value[:3]]) if hasattr(value, "indptr") else repr(value)

reader = opened()
RIGHT = [plain(ask(reader)) for ask in QUESTIONS]
reader.close()
assert len(set(RIGHT)) == len(RIGHT) - 1  # two are not there
files = [path / name for name in Manifest.read(path).files] + [path / MANIFEST]
told = {"errors": 0, "right": 0, "refused": 0, "files": {}}

def damage(file, good):
    size = len(good)
    kind = rng.choice(["flip", "flip", "overwrite", "truncate", "zero", "shuffle"])
    bad = bytearray(good)
    if kind == "flip":
        for _ in range(rng.choice([1, 5, 50])):
            bad[rng.randrange(size)] ^= 1 << rng.randrange(8)
    elif kind == "overwrite":
        start = rng.randrange(size)
        bad[start : start + rng.choice([4, 64, 4096])] = rng.randbytes(rng.choice([4, 64]))
        del bad[size:]
    elif kind == "truncate":
        del bad[rng.randrange(size) :]
    elif kind == "zero":
        bad = bytearray(size)
    else:
        middle = rng.randrange(size)
        bad = bad[middle:] + bad[:middle]
    with file.open("r+b") as stream:  # in place: whoever has it open sees this
        stream.write(bad)
        stream.truncate(len(bad))

for turn in range(count):
    file = files[turn % len(files)] if turn % 3 else path / "segment-000001" / "documents.sqlite"
    good = file.read_bytes()
    before_opening = turn % 4 == 0
    reader = None
    if before_opening:
        damage(file, good)
    try:
        reader = opened(verify=rng.random() < 0.5)
    except IndexStateError as error:
        assert str(path) in str(error), error
        told["refused"] += 1
    if reader is not None:
        for i in rng.sample(range(len(QUESTIONS)), rng.randrange(3)):
            assert before_opening or plain(QUESTIONS[i](reader)) == RIGHT[i]
        if not before_opening:
            damage(file, good)
        for i in rng.sample(range(len(QUESTIONS)), len(QUESTIONS)):
            try:
                found = plain(QUESTIONS[i](reader))
            except IndexCorruptError as error:
                assert file.name in str(error), error
                told["errors"] += 1
                told["files"][file.name] = told["files"].get(file.name, 0) + 1
            else:
                assert found == RIGHT[i], (turn, file, i, found, RIGHT[i])
                told["right"] += 1
        reader.close()
    with file.open("r+b") as stream:
        stream.write(good)
        stream.truncate(len(good))
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BM25 and dense vectors, blocks that are calibrated, two segments with tombstones, a graph."""
    path = tmp_path_factory.mktemp("served") / "index"
    places = ["north", "south", "east", "west", "into"]
    first = [
        Document(
            f"d{i}",
            f"a fish w{i % 7} w{i % 11} {places[i % 5]} {places[i % 3]}",
            f"Title {i}",
            {"year": i % 9, "kind": "odd" if i % 2 else "even"},
        )
        for i in range(200)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lsr.retrieval.dense_index.FLAT_LIMIT", 20)
        build_collection(first, path, sparse=Bm25Encoder(), dense=Compass(), blocks=True)
        again = [Document(f"d{i}", f"another fish w3 {places[i % 4]}") for i in range(5, 45)]
        keep = MergePolicy(segments_per_tier=100)
        add_documents(path, again, dense=Compass(), policy=keep)
        delete_documents(path, ["d6", "d41", "d100"])
    reader = CollectionReader.open(path, dense=Compass())
    reader.calibrate([f"fish w{i % 7} w{i % 11}" for i in range(40)], 0.9)
    reader.close()
    return path


def test_what_is_served(served: Path) -> None:
    manifest = Manifest.read(served)
    kinds = {Path(name).suffix for name in manifest.files}
    assert kinds >= {".bin", ".json", ".npy", ".sqlite", ".hnsw"}
    assert [bool(record.n_deleted) for record in manifest.segments] == [True, True]


@pytest.mark.parametrize("residence", ["memory", "shared"])
def test_no_crash_and_no_wrong_answer(served: Path, residence: str) -> None:
    command = [sys.executable, "-c", DRIVER, str(served), residence, str(N_DAMAGES), "5"]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, (done.returncode, done.stderr[-3_000:])
    told = json.loads(done.stdout)
    assert told["right"] > 5 * N_DAMAGES
    assert told["refused"] > N_DAMAGES // 8
    assert told["errors"] > N_DAMAGES // 10
    assert set(told["files"]) == {"documents.sqlite"}, "all else was read when it was opened"


def test_a_look_names_the_file(served: Path) -> None:
    stamps = FileStamps(served, Manifest.read(served))
    assert stamps.damage_since() is None
    for name in Manifest.read(served).files:
        path = served / name
        good, at = path.read_bytes(), path.stat()
        with path.open("r+b") as stream:
            stream.write(bytes([good[0] ^ 1]))
        assert stamps.damage_since() == f"{path} has changed since it was opened"
        path.write_bytes(good)
        os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
        assert stamps.damage_since() is None
    kept = path.rename(path.with_name("elsewhere"))
    assert stamps.damage_since() == f"{path} is missing"
    kept.rename(path)


def test_residence_does_not_change_answers(served: Path) -> None:
    answers = []
    residences: list[Residence] = ["mapped", "memory", "shared"]
    for residence in residences:
        reader = CollectionReader.open(served, dense=Compass(), residence=residence)
        hits = reader.search("fish w3 north", k=20).hits
        answers.append([(hit.document.doc_id, hit.score) for hit in hits])
        assert reader.document("d5").text.startswith("another fish")
        reader.close()
    assert answers[0] == answers[1] == answers[2]
