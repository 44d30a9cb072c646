"""Writers of a live collection that are killed, and a look at what is left.

    python -m tests.support.live_kills FOLDER KILLS [SEED]

Each writer is a fork that puts, deletes and patches documents from two threads, publishes in a
process of its own, merges now and then, and is killed at a random moment or at a chosen point. What
it was told is acknowledged must be there afterwards, and at most the requests in flight beside it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lsr.index.live.keeper
import lsr.index.live.live_collection
import lsr.index.live.publication
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import LsrError
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.index.live.committer import Committer
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.log import OperationLog
from lsr.index.live.operation import Operation
from lsr.index.live.worker import Worker, serve_tasks
from lsr.index.storage.manifest import MANIFEST
from lsr.types import Document

__all__ = ["main"]

POINTS = ("", "", "", "append", "commit", "encoded", "vectors", "noted", "staged", "renamed")
"""Where a process kills itself; the last three are the publishing one. None: at some moment."""

Content = dict[str, str]

served: Any = lsr.index.live.live_collection
kept: Any = lsr.index.live.keeper


class ForkedWorker(Worker):
    """A worker that was forked before there were threads: it need not start Python."""

    def __init__(self, collection: Path) -> None:
        super().__init__(collection)
        ours, theirs = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(ours[0], 0)
            os.dup2(theirs[1], 1)
            for descriptor in (*ours, *theirs):
                os.close(descriptor)
            sys.stdin, sys.argv = os.fdopen(0), ["worker", str(collection)]
            try:
                serve_tasks()
            finally:
                os._exit(0)
        os.close(ours[0])
        os.close(theirs[1])
        self.stdin, self.stdout = os.fdopen(ours[1], "wb"), os.fdopen(theirs[0], "rb")

    def _started(self) -> Any:
        return self

    def _forget(self) -> None:
        pass


def die() -> None:
    """Kill this process, as the machine would."""
    os.kill(os.getpid(), signal.SIGKILL)


def dying(function: Callable[..., Any], chance: random.Random) -> Callable[..., Any]:
    """The function, after which the process dies some time."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if chance.random() < 0.2:
            die()
        return result

    return wrapped


def set_point(point: str, chance: random.Random) -> None:
    """Let this process, or its worker, die at a point."""
    places: dict[str, tuple[Any, str]] = {
        "append": (OperationLog, "append"),
        "commit": (Committer, "_outcomes"),
        "encoded": (lsr.index.live.keeper, "encoded"),
        "vectors": (OperationLog, "keep_vectors"),
        "noted": (OperationLog, "note_encoder"),
    }
    if point in places:
        owner, name = places[point]
        setattr(owner, name, dying(getattr(owner, name), chance))
    elif point:
        replace = Path.replace

        def replaced(self: Path, target: Path) -> Path:
            dies = self.name == MANIFEST and chance.random() < 0.4
            if dies and point == "staged":
                die()
            moved = replace(self, target)
            if dies:
                die()
            return moved

        files: Any = Path
        files.replace = replaced


def told(file: int, kind: str, name: str, outcome: list[tuple[str, str | None]]) -> None:
    """Note what was asked, or acknowledged, so that it is there after a kill."""
    os.write(file, json.dumps([kind, name, outcome]).encode() + b"\n")


def write(path: Path, notes: Path, seed: int, point: str) -> None:
    """The life of a writer. It ends by a kill alone."""
    chance = random.Random(seed)
    set_point(point, chance)
    kept._PUBLISHED_FROM, kept._PUBLISHED_SECONDS, kept._PAUSE_SECONDS = 40, 0.1, 0.05
    kept._TRIMMED_SECONDS = 0.2
    worker = ForkedWorker(path)
    served.Worker = lambda _: worker
    live = LiveCollection.open(path, verify=False)
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def ingest(name: str, chance: random.Random) -> None:
        known = {i for i in range(30) if live.stored(f"{name}{i}") is not None}
        while True:
            operations, outcome = [], []
            for number in chance.sample(range(30), chance.randint(1, 8)):
                doc_id, text = f"{name}{number}", f"heron number{chance.randint(0, 10**6)}"
                kind = chance.choice(["put", "put", "delete", "patch"])
                if kind != "put" and number not in known:
                    continue
                if kind == "put":
                    operations.append(Operation.put(Document(doc_id, text)))
                elif kind == "patch":
                    operations.append(Operation("patch", doc_id, fields={"text": text}))
                else:
                    operations.append(Operation.delete(doc_id))
                (known.discard if kind == "delete" else known.add)(number)
                outcome.append((doc_id, None if kind == "delete" else text))
            if operations:
                told(file, "asked", name, outcome)
                assert all(each.is_done for each in live.write(operations))
                told(file, "acknowledged", name, outcome)

    for name in ("a", "b"):
        thread = threading.Thread(target=ingest, args=(name, random.Random(chance.random())))
        thread.daemon = True
        thread.start()
    while True:
        time.sleep(chance.random() * 0.3)
        try:
            chance.choice([live.publish, live.publish, live.merge])()
        except LsrError:
            time.sleep(0.02)


def look(path: Path) -> dict[str, Any]:
    """What is there: every file compared with its checksum, and all of the log searchable."""

    class NoWorker(Worker):
        def run(self, *_: Any, **__: Any) -> dict[str, Any]:
            raise LsrError("not now")

    served.Worker = NoWorker
    for _ in range(50):
        try:
            begin = time.monotonic()
            live = LiveCollection.open(path, verify=True)
            break
        except LsrError:  # an orphaned publication may just have removed a file
            time.sleep(0.1)
    else:
        live = LiveCollection.open(path, verify=True)
    seconds = time.monotonic() - begin
    last = live.state.acknowledged
    assert live.wait_searchable(last, 60), live.state
    view: CollectionReader = live.view
    stored = view.store.stored(view.live_rows().tolist())
    n_found = len(view.search("heron", k=100).hits)
    assert n_found == len(stored), (n_found, len(stored))
    for document, version in stored:
        found = live.stored(document.doc_id)
        assert found is not None
        assert (found.document, found.version) == (document, version)
    content = {document.doc_id: document.text for document, _ in stored}
    versions = {document.doc_id: version for document, version in stored}
    return {"content": content, "last": last, "seconds": seconds, "versions": versions}


def forked(function: Callable[[], Any]) -> Any:
    """What a function returns in a process of its own."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, json.dumps(function()).encode())
        except BaseException as error:  # noqa: BLE001
            os.write(writer, json.dumps({"error": repr(error)}).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read()
    os.waitpid(pid, 0)
    return json.loads(said)


def applied(content: Content, outcome: list[tuple[str, str | None]]) -> Content:
    """The content after a request."""
    new = dict(content)
    for doc_id, text in outcome:
        new.pop(doc_id, None)
        if text is not None:
            new[doc_id] = text
    return new


def killed_once(path: Path, notes: Path, before: Content, seed: int) -> dict[str, Any]:
    """Start a writer, kill it, and compare what is there with what it was told."""
    chance = random.Random(seed)
    point = chance.choice(POINTS)
    notes.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        try:
            write(path, notes, seed, point)
        finally:
            os._exit(1)
    end = time.monotonic() + 30
    while time.monotonic() < end and os.waitpid(pid, os.WNOHANG) == (0, 0):
        if notes.exists() and b"acknowledged" in notes.read_bytes():
            time.sleep(chance.choice([0.2, 0.5, 1.5]) * chance.random())
            break
        time.sleep(0.01)
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
    found = forked(lambda: look(path))
    assert "error" not in found, (point, found)
    parts = {name: {k: v for k, v in before.items() if k[0] == name} for name in "ab"}
    in_flight: dict[str, list[tuple[str, str | None]]] = {}
    n_acknowledged = 0
    for line in notes.read_text().splitlines() if notes.exists() else []:
        kind, name, outcome = json.loads(line)
        if kind == "asked":
            in_flight[name] = outcome
        else:
            parts[name] = applied(parts[name], in_flight.pop(name))
            n_acknowledged += len(outcome)
    n_more = 0
    for name, part in parts.items():
        here = {k: v for k, v in found["content"].items() if k[0] == name}
        also = applied(part, in_flight.get(name, []))
        if here not in (part, also):
            copy = shutil.copytree(path.parent, path.parent.with_name("bad"), dirs_exist_ok=True)
            wrong = set(here.items()) ^ set(also.items())
            raise AssertionError((point, seed, name, wrong, in_flight, found["versions"], copy))
        n_more += here != part
    return {**found, "point": point, "acknowledged": n_acknowledged, "more": n_more}


def main(folder: Path, n_kills: int, seed: int = 0) -> dict[str, Any]:
    """Kill writers of one collection, one after the other. Returns the figures."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path, notes = folder / "index", folder / "notes"
    build_collection([Document("z", "a heron")], path, sparse=Bm25Encoder())
    with_kernels = CollectionReader.open(path)
    with_kernels.search("heron")
    with_kernels.close()
    content: Content = {}
    rounds = []
    for number in range(n_kills):
        rounds.append(killed_once(path, notes, content, seed * 100_000 + number))
        content = rounds[-1].pop("content")
        assert content.pop("z") == "a heron"
    return {
        "kills": n_kills,
        "points": {point: sum(each["point"] == point for each in rounds) for point in set(POINTS)},
        "acknowledged": sum(each["acknowledged"] for each in rounds),
        "in flight and there": sum(each["more"] for each in rounds),
        "lost": 0,
        "generation": json.loads((path / MANIFEST).read_text())["generation"],
        "slowest reopening": max(each["seconds"] for each in rounds),
    }


if __name__ == "__main__":
    figures = main(Path(sys.argv[1]), int(sys.argv[2]), *map(int, sys.argv[3:]))
    sys.stdout.write(json.dumps(figures) + "\n")
