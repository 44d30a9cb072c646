"""The committer: outcomes of operations, races, keys, and requests that go wrong."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from lsr.errors import InputError, StorageError
from lsr.index.collection.reader import CollectionReader
from lsr.index.live.committer import Committer
from lsr.index.live.log import OperationLog
from lsr.index.live.operation import Operation, Written
from lsr.types import Document


class Writing:
    """A committer over a collection of seven birds."""

    def __init__(self, path: Path) -> None:
        self.reader = CollectionReader.open(path)
        self.log = OperationLog(path / "log.sqlite", 0)
        self.commits = 0
        self.committer = Committer(lambda: self.log, lambda: self.reader, self._committed)

    def _committed(self) -> None:
        self.commits += 1

    def __call__(self, *operations: Operation, key: str | None = None) -> list[Written]:
        return self.committer.submit(operations, key).result(30)


@pytest.fixture
def write(built: Path) -> Iterator[Writing]:
    writing = Writing(built)
    yield writing
    writing.committer.close()
    writing.log.close()
    writing.reader.close()


def put(doc_id: str, text: str = "x", version: int | None = None) -> Operation:
    return Operation.put(Document(doc_id, text), version)


def test_outcomes(write: Writing) -> None:
    found = write(
        put("new"),
        put("heron"),
        put("new"),
        Operation.delete("otter"),
        Operation.delete("otter"),
        Operation.delete("nobody"),
        Operation("patch", "nobody", fields={"title": "t"}),
        Operation("patch", "pike", fields={"title": "t"}),
        Operation("patch", "otter", fields={"title": "t"}),
        put("otter"),
    )
    statuses = [(each.status, each.version, each.seq) for each in found]
    assert statuses == [
        ("created", 1, 1),
        ("replaced", 2, 2),
        ("replaced", 3, 3),
        ("deleted", 0, 4),
        ("missing", 0, 4),
        ("missing", 0, 4),
        ("missing", 0, 4),
        ("replaced", 5, 5),
        ("missing", 0, 5),
        ("created", 6, 6),
    ]
    assert write.commits == 1


def test_versions(write: Writing) -> None:
    """0 says that the document must not be there, whether it came through the log or not."""
    assert write(put("heron", version=0))[0].status == "conflict"
    assert write(put("new", version=0))[0].status == "created"
    assert write(put("new", version=0))[0].status == "conflict"
    assert write(put("new", version=1))[0].version == 2
    stale = write(put("new", version=1))[0]
    assert (stale.status, stale.version, stale.seq) == ("conflict", 2, 2)
    assert stale.error == "its version is 2, not 1; read it, and try again"
    assert write(Operation.delete("new", if_version=1))[0].status == "conflict"
    assert write(Operation.delete("new", if_version=2))[0].status == "deleted"
    assert write(put("new", version=2))[0].status == "conflict"
    assert write(put("new", version=0))[0].status == "created"


def test_a_race_has_one_winner_each_time(write: Writing) -> None:
    n_threads, n_each = 8, 10
    wins: list[int] = []

    def add() -> None:
        for _ in range(n_each):
            while True:
                known = write.log.newest("counter", 0)
                version = 0 if known is None else known[0]
                (outcome,) = write(put("counter", version=version))
                if outcome.status != "conflict":
                    wins.append(version)
                    break

    threads = [threading.Thread(target=add) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wins) == list(range(n_threads * n_each)), "each version was taken once"


RACER = """
import sys
from pathlib import Path
from lsr.index.collection.reader import CollectionReader
from lsr.index.live.committer import Committer
from lsr.index.live.log import OperationLog
from lsr.index.live.operation import Operation
from lsr.types import Document
path = Path(sys.argv[1])
reader = CollectionReader.open(path)
log = OperationLog(path / "log.sqlite", 0)
committer = Committer(lambda: log, lambda: reader, lambda: None)
wins = []
while len(wins) < 10:
    known = log.newest("counter", 0)
    version = 0 if known is None else known[0]
    operation = Operation.put(Document("counter", sys.argv[2]), version)
    (outcome,) = committer.submit([operation], None).result()
    if outcome.status != "conflict":
        wins.append(version)
print(wins)
"""


def test_a_race_of_two_processes(built: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(built), name], stdout=subprocess.PIPE, text=True
        )
        for name in ("one", "two")
    ]
    wins: list[int] = []
    for racer in racers:
        said, _ = racer.communicate(timeout=60)
        assert racer.returncode == 0
        wins += [int(number) for number in said.strip("[]\n").split(", ")]
    assert sorted(wins) == list(range(20))


def test_those_who_wait_share_a_commit(write: Writing) -> None:
    with write.log.transaction():  # the committer waits for the end of it
        futures = [write.committer.submit([put(f"d{i}")], None) for i in range(50)]
        time.sleep(0.05)
    written = [future.result(30)[0] for future in futures]
    assert sorted(each.seq for each in written) == list(range(1, 51))
    assert write.commits <= 3


def test_a_key_gives_the_first_answer_again(write: Writing) -> None:
    first = write(put("new"), Operation.delete("otter"), key="k")
    assert write(put("new"), Operation.delete("otter"), key="k") == first
    assert write.log.state().last == 2
    for other in (put("new", "y"), put("new", version=1), Operation.delete("new")):
        with pytest.raises(InputError, match="the idempotency key 'k' belongs to another request"):
            write(other, key="k")
    patch = Operation("patch", "new", fields={"metadata": {"n": 1}})
    assert write(patch, key="p") == write(patch, key="p")
    with pytest.raises(InputError, match="belongs to another"):
        write(Operation("patch", "new", fields={"metadata": {"n": 2}}), key="p")
    with pytest.raises(InputError, match="which is not text"):
        write(put("new"), key="\ud800")
    assert write.log.state().last == 3


def test_one_key_from_many_threads_at_once(write: Writing) -> None:
    futures = [write.committer.submit([put("new")], "key") for _ in range(20)]
    assert len({future.result(30)[0] for future in futures}) == 1
    assert write.log.state().last == 1


def test_a_clock_that_goes_back_or_forth(write: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write(put("new"), key="k")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 10 * 86_400)
    assert write(put("new"), key="k") == first
    assert write(put("other"))[0].seq == 2
    write.log.trim(0)
    assert write(put("new"), key="k") == first
    monkeypatch.setattr(time, "time", lambda: now + 2 * 86_400)
    write.log.trim(0)
    assert write(put("new"), key="k")[0].seq == 3, "a day later a key is forgotten"


def test_an_impossible_patch_harms_nobody_else(write: Writing) -> None:
    """Also where what is wrong shows in the transaction alone."""
    deep: dict[str, object] = {}
    for _ in range(5_000):
        deep = {"d": deep}
    with pytest.raises(InputError):
        write(Operation("patch", "heron", fields={"metadata": {"deep": deep}}))
    assert write(put("a"))[0].status == "created"


def test_a_request_that_was_given_up(write: Writing) -> None:
    """A future that its caller cancelled is passed over, and those beside it are answered."""
    with write.log.transaction():
        first = write.committer.submit([put("a")], None)
        time.sleep(0.05)
        given_up: Future[list[Written]] = write.committer.submit([put("b")], None)
        last = write.committer.submit([put("c")], None)
        assert given_up.cancel()
    assert first.result(30)[0].status == "created"
    assert last.result(30)[0].status == "created"
    assert write.log.newest("b", 0) is None
    assert write(put("d"))[0].status == "created"


def test_what_fails_is_told_to_all_and_the_next_is_written(
    write: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (StorageError("full"), RuntimeError("a bug")):
        monkeypatch.setattr(write.log, "append", lambda *_, error=error: _raise(error))
        with pytest.raises(type(error), match=str(error)):
            write(put("a"))
        monkeypatch.undo()
    assert write(put("b"))[0].seq == 1


def _raise(error: Exception) -> None:
    raise error


def test_a_committer_that_is_closed(write: Writing) -> None:
    write(put("a"))
    write.committer.close()
    with pytest.raises(StorageError, match="is being closed"):
        write(put("b"))


def test_a_generation_that_is_not_open_yet(write: Writing, built: Path) -> None:
    """Operations that were published and trimmed meanwhile: looked for in the new segments."""
    from lsr.index.collection.update import add_documents

    write(put("new"))
    add_documents(built, [Document("new", "x")], versions=[1], log_seq=1)
    write.log.trim(1)
    with pytest.raises(StorageError, match="published faster"):
        write(put("new"))
    write.reader = CollectionReader.open(built)
    assert write(put("new", version=1))[0].status == "replaced"


def test_the_log_does_not_speak_for_what_was_published_and_changed(
    write: Writing, built: Path
) -> None:
    """An operation stays in the log for a while; a deletion by another program counts."""
    from lsr.index.collection.update import add_documents, delete_documents

    write(put("new"))
    add_documents(built, [Document("new", "x")], versions=[1], log_seq=1)
    delete_documents(built, ["new"])
    write.reader = CollectionReader.open(built)
    assert write(Operation.delete("new"))[0].status == "missing"
    assert write(Operation("patch", "new", fields={"title": "t"}))[0].status == "missing"
    assert write(put("new"))[0].status == "created"
