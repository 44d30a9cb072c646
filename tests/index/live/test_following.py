"""Following: whoever changes a collection, all see it; what did not change stays open."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import LsrError, StorageError, TaskCancelledError
from lsr.index.collection.build import build_collection
from lsr.index.collection.update import add_documents, delete_documents, merge_segments
from lsr.index.live.keeper import keeper_address
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.operation import Operation
from lsr.index.live.publication import publish_log
from lsr.index.live.worker import Worker
from lsr.index.storage.manifest import Manifest
from lsr.types import Document
from tests.support.live import eventually, put, searchable, view_documents

N_PUBLICATIONS = int(os.environ.get("LSR_SOAK_PUBLICATIONS", "12"))
N_SEARCHES = int(os.environ.get("LSR_SOAK_SEARCHES", "600"))


@pytest.fixture
def live(built: Path) -> Iterator[LiveCollection]:
    with LiveCollection.open(built) as opened:
        yield opened


def found(live: LiveCollection, query: str) -> list[str]:
    return [hit.document.doc_id for hit in live.view.search(query).hits]


def test_changes_of_others_are_seen(live: LiveCollection, built: Path, tmp_path: Path) -> None:
    """By a function in another process, and by the command line; the view of before stays."""
    before = live.view
    code = (
        "import sys; from pathlib import Path; from lsr.index.collection.update import *;"
        "from lsr.types import Document;"
        "add_documents(Path(sys.argv[1]), [Document('yak', 'a yak')])"
    )
    subprocess.run([sys.executable, "-c", code, str(built)], check=True)
    eventually(lambda: found(live, "yak") == ["yak"])
    delete_documents(built, ["yak"])
    eventually(lambda: found(live, "yak") == [])
    merge_segments(built)
    eventually(lambda: live.view.manifest.generation == Manifest.read(built).generation)
    assert [hit.document.doc_id for hit in before.search("otter").hits] == ["otter"]


def test_a_read_is_of_the_newest_version_also_when_the_log_was_trimmed(
    live: LiveCollection, built: Path
) -> None:
    with LiveCollection.open(built, keeper=False) as late:
        with late._follower.lock:  # its own thread looks at nothing meanwhile
            searchable(live, put("otter", "a newer otter"))
            live.publish()
            log = live._open_log()
            assert log is not None
            log.trim(live.state.acknowledged)
            assert late.view.document("otter").text != "a newer otter"
            stored = late.stored("otter")
        assert stored is not None
        assert stored.document.text == "a newer otter"


def test_what_did_not_change_is_the_same(live: LiveCollection, built: Path) -> None:
    first = live.view
    delete_documents(built, ["pike"])
    live.follow()
    assert live.view is not first
    assert live.view.readers[0].files is first.readers[0].files
    assert live.view.encoder is first.encoder
    searchable(live, put("yak", "a yak"))
    encoder = live.view.encoder
    live.publish()
    assert live.view.readers[0].files is first.readers[0].files
    assert live.view.encoder is encoder, "a publication takes the encoder that has learned already"
    assert not live.follow()


def open_files(folder: Path) -> set[str]:
    names = set()
    for each in Path("/proc/self/fd").iterdir():
        try:
            target = str(each.readlink())
        except OSError:
            continue
        if str(folder) in target and "log." not in target:
            names.add(target)
    return names


def test_files_are_closed_with_the_last_view(live: LiveCollection, built: Path) -> None:
    view = live.view
    add_documents(built, [Document("yak", "a yak")])
    merge_segments(built)
    live.follow()
    gc.collect()
    assert any("deleted" in name for name in open_files(built)), "the old view is held"
    assert [hit.document.doc_id for hit in view.search("otter").hits] == ["otter"]
    del view
    live.follow()
    gc.collect()
    assert not any("deleted" in name for name in open_files(built))


def test_searches_during_publications(live: LiveCollection) -> None:
    """Every answer is whole: the documents of one moment."""
    errors: list[object] = []
    counts = [0] * 3
    stop = threading.Event()

    def search(number: int) -> None:
        while not stop.is_set() or counts[number] < N_SEARCHES // 3:
            try:
                answer = live.view.search("heron", k=10)
                assert answer.hits
            except Exception as error:  # noqa: BLE001
                errors.append(error)
            counts[number] += 1

    threads = [threading.Thread(target=search, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(N_PUBLICATIONS):
            searchable(live, put(f"n{number % 7}", f"a heron number{number}"))
            generation = live.merge() if number % 6 == 5 else live.publish()
            eventually(lambda: live.view.manifest.generation >= generation)  # noqa: B023
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors
    assert sum(counts) >= N_SEARCHES
    first, *_ = found(live, f"number{N_PUBLICATIONS - 1}")
    assert first == f"n{(N_PUBLICATIONS - 1) % 7}"


SERVICE = """
import sys, time
from pathlib import Path
import lsr.encoders.bm25
from lsr.index.live.live_collection import LiveCollection
from lsr.index.live.operation import Operation
from lsr.types import Document
learned = lsr.encoders.bm25.Bm25Encoder.encode_corpus
def counted(self, batches):
    batches = list(batches)
    print("encoded", *[text for batch in batches for text in batch], sep="|", flush=True)
    return learned(self, batches)
lsr.encoders.bm25.Bm25Encoder.encode_corpus = counted
live = LiveCollection.open(Path(sys.argv[1]), address="http://there")
while not live.state.is_keeper:
    time.sleep(0.01)
print("keeper", flush=True)
for line in sys.stdin:
    (written,) = live.write([Operation.put(Document(line.strip(), "text of " + line.strip()))])
    assert live.wait_searchable(written.seq, 60)
    print("written", flush=True)
"""


def test_another_takes_over_from_a_keeper_that_is_killed(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both write; nothing is lost, and nothing that has its vectors is encoded again."""
    keeper = subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(built)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    assert keeper.stdout.readline() == "keeper\n"
    encoded: list[str] = []
    original = Bm25Encoder.encode_corpus

    def counted(self: Bm25Encoder, batches: list[list[str]]) -> object:
        batches = list(batches)
        encoded.extend(text for batch in batches for text in batch)
        return original(self, batches)

    monkeypatch.setattr(Bm25Encoder, "encode_corpus", counted)
    with LiveCollection.open(built) as live:
        assert keeper_address(built) == "http://there"
        assert live.state.is_keeper is False
        keeper.stdin.write("one\n")
        keeper.stdin.flush()
        assert keeper.stdout.readline() == "encoded|text of one\n"
        assert keeper.stdout.readline() == "written\n"
        eventually(lambda: found(live, "one") == ["one"])
        (written,) = searchable(live, put("two", "text of two"))
        assert written.seq == 2
        assert not encoded, "the keeper encodes"
        os.kill(keeper.pid, signal.SIGKILL)
        keeper.wait()
        searchable(live, put("three", "text of three"))
        eventually(lambda: live.state.is_keeper)
        assert encoded == ["text of three"]
        live.publish()
        assert {"one", "two", "three"} <= set(view_documents(live.view))
        assert set(found(live, "text")) == {"one", "two", "three"}
    for stream in (keeper.stdin, keeper.stdout):
        stream.close()


def test_a_folder_that_is_removed(live: LiveCollection, built: Path) -> None:
    """Searches go on with what is open; nothing is acknowledged any more."""
    searchable(live, put("yak", "a yak"))
    shutil.rmtree(built)
    with pytest.raises(LsrError):
        live.write([put("zebu", "a zebu")])
    assert found(live, "yak") == ["yak"]
    eventually(lambda: live.state.error is not None)
    with pytest.raises(LsrError):
        live.publish()


def test_a_folder_that_is_replaced(live: LiveCollection, built: Path) -> None:
    """By another collection of the same name: it is followed, written to and published."""
    searchable(live, put("yak", "a yak"), put("zebu", "a zebu"))
    shutil.rmtree(built)
    build_collection([Document("new", "a new heron")], built, sparse=Bm25Encoder())
    eventually(lambda: found(live, "heron") == ["new"])
    (written,) = live.write([put("yak", "another yak")])
    assert written.status == "created"
    assert written.seq > 2, "numbers of this process are not given twice"
    eventually(lambda: sorted(view_documents(live.view)) == ["new", "yak"])
    eventually(lambda: live.state.is_keeper)
    live.publish()
    with LiveCollection.open(built) as again:
        assert sorted(view_documents(again.view)) == ["new", "yak"]


def test_a_log_that_is_removed(live: LiveCollection, built: Path) -> None:
    searchable(live, put("yak", "a yak"))
    live.publish()
    searchable(live, put("lost", "was only there"))
    for path in built.glob("log.sqlite*"):
        path.unlink()
    eventually(lambda: "lost" not in view_documents(live.view))
    (written,) = searchable(live, put("zebu", "a zebu"))
    assert written.seq == 3
    assert found(live, "zebu") == ["zebu"]
    live.publish()
    assert "zebu" in view_documents(live.view)


def test_what_is_not_encoded_is_encoded_by_the_next(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LiveCollection.open(built, keeper=True) as live:
        live._keeper.close()
        monkeypatch.setattr(live._keeper, "take_over", lambda _: False)
        (written,) = live.write([put("yak", "a yak")])
        assert not live.wait_searchable(written.seq, 0.3)
    assert publish_log(built)[1] is None, "vectors first"
    with LiveCollection.open(built) as live:
        assert live.wait_searchable(written.seq, 60)
        assert found(live, "yak") == ["yak"]


def test_a_reader_alone_writes_nothing(built: Path) -> None:
    with LiveCollection.open(built, keeper=False) as live:
        with pytest.raises(StorageError, match="served for reading only"):
            live.write([put("yak")])
        assert not (built / "log.lock").exists()


def test_a_task_is_cancelled(live: LiveCollection, built: Path) -> None:
    searchable(live, put("yak", "a yak"))

    def stop(stage: str, done: int, total: int | None) -> None:
        live.cancel()

    with pytest.raises(TaskCancelledError):
        live.publish(stop)
    assert Manifest.read(built).log_seq == 0
    live.publish()
    assert Manifest.read(built).log_seq == 1


def test_a_task_whose_caller_fails_does_not_answer_the_next(built: Path) -> None:
    worker = Worker(built)

    def fail(stage: str, done: int, total: int | None) -> None:
        raise ZeroDivisionError

    add_documents(built, [Document("yak", "a yak")])
    with pytest.raises(ZeroDivisionError):
        worker.run("merge", progress=fail)
    assert "log_seq" in worker.run("publish")
    with pytest.raises(StorageError, match="there is no task 'dance'"):
        worker.run("dance")
    worker.close()
    with pytest.raises(TaskCancelledError):
        worker.run("publish")


def test_a_model_that_fails_is_tried_again(
    live: LiveCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only errors of this package: the thread that encodes must not end."""
    original = Bm25Encoder.encode_corpus

    def failing(self: Bm25Encoder, batches: object) -> object:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Bm25Encoder, "encode_corpus", failing)
    (written,) = live.write([put("yak", "a yak")])
    eventually(lambda: "RuntimeError: out of memory" in (live.state.error or ""))
    monkeypatch.setattr(Bm25Encoder, "encode_corpus", original)
    assert live.wait_searchable(written.seq, 60)
    eventually(lambda: live.state.error is None)
    assert found(live, "yak") == ["yak"]


def test_vectors_that_do_not_fit(live: LiveCollection) -> None:
    with pytest.raises(LsrError, match="are made by bm25 from the text"):
        live.write([Operation("put", "a", Document("a", "x"), sparse={"heron": 1.0})])
    with pytest.raises(LsrError, match="this collection needs 0"):
        live.write([Operation("put", "a", Document("a", "x"), dense=[1.0])])


def test_following_does_not_touch_an_encoder_that_learns(
    live: LiveCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publication is followed to while the keeper's encoder takes in the next texts."""
    searchable(live, put("yak", "a yak"))
    learned: list[object] = []
    monkeypatch.setattr(Bm25Encoder, "learn", lambda _, texts: learned.append(texts))
    live.publish()
    live.follow()
    assert live.state.published == 1
    assert not learned
