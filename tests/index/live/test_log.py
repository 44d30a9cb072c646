"""The log of operations: order, damage, cut files, full disks."""

from __future__ import annotations

import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lsr.errors import IndexCorruptError, LsrError, StorageError
from lsr.index.live.log import Entry, OperationLog, Vectors


@pytest.fixture
def log(tmp_path: Path) -> Iterator[OperationLog]:
    opened = OperationLog(tmp_path / "log.sqlite", 0)
    yield opened
    opened.close()


def append(log: OperationLog, *doc_ids: str, body: bytes | None = b"{}") -> list[int]:
    with log.transaction() as connection:
        first = log.last(connection) + 1
        asked = [(seq, doc_id, body, None) for seq, doc_id in enumerate(doc_ids, first)]
        log.append(connection, asked)
    return [seq for seq, *_ in asked]


def test_numbers_go_on(log: OperationLog) -> None:
    assert append(log, "a", "b") == [1, 2]
    log.trim(2)
    assert append(log, "c") == [3], "also when everything before is trimmed"
    assert log.trimmed() == 2
    assert log.state().last == 3
    assert [entry.doc_id for entry in log.entries(0, 9)] == ["c"]
    again = OperationLog(log.path, 40)
    assert append(again, "d") == [41], "segments have operations up to 40"
    again.close()


def test_a_new_log_goes_on_after_the_segments(tmp_path: Path) -> None:
    log = OperationLog(tmp_path / "new.sqlite", 7)
    assert log.state().last == 7
    assert append(log, "a") == [8]
    assert OperationLog(tmp_path / "other.sqlite", 0).state().epoch != log.state().epoch


def test_the_newest_of_a_document_is_above_what_is_published(log: OperationLog) -> None:
    append(log, "a", "b")
    append(log, "a", body=None)
    assert log.newest("a", 0) == (3, None)
    others = [f"x{number}" for number in range(1_000)]
    assert log.newest_of([*others, "b", "a"], 0) == {"a": (3, False), "b": (2, True)}
    assert log.newest_of(["a", "b"], 2) == {"a": (3, False)}
    assert log.newest("b", 0) == (2, b"{}")
    assert log.newest("b", 2) is None


def test_an_exception_rolls_back(log: OperationLog) -> None:
    with suppress(ZeroDivisionError), log.transaction() as connection:
        log.append(connection, [(1, "a", b"{}", None)])
        raise ZeroDivisionError
    assert log.state().last == 0
    assert append(log, "b") == [1]


def test_many_open_a_new_log_at_once(tmp_path: Path) -> None:
    """In threads and in processes: SQLite does not wait for the switch to a write-ahead log."""
    code = (
        "import sys; from pathlib import Path; from lsr.index.live.log import OperationLog\n"
        "for i in range(8):\n"
        "    log = OperationLog(Path(sys.argv[1]) / f'{i}.sqlite', 0)\n"
        "    with log.transaction() as c: log.append(c, [(log.last(c) + 1, 'x', b'{}', None)])\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    others = [subprocess.Popen(command) for _ in range(2)]
    errors: list[Exception] = []

    def open_all() -> None:
        try:
            for i in range(8):
                append(OperationLog(tmp_path / f"{i}.sqlite", 0), "y")
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=open_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [other.wait(60) for other in others] == [0, 0]
    assert not errors
    for i in range(8):
        assert OperationLog(tmp_path / f"{i}.sqlite", 0).state().last == 6


def test_connections_are_not_kept_for_every_thread(log: OperationLog) -> None:
    def many() -> None:
        for _ in range(20):
            log.state()

    for _ in range(10):
        threads = [threading.Thread(target=many) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    opened = [each for each in Path("/proc/self/fd").iterdir() if str(log.path) == _target(each)]
    assert len(opened) <= 40, "of 200 threads"


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""


def test_vectors_and_their_epoch(log: OperationLog) -> None:
    append(log, "a", "b")
    log.keep_vectors([Vectors(1, b"\0" * 4, b"\0" * 4, None, True)], 1)
    state = log.state()
    assert (state.last, state.encoded) == (2, 1)
    assert log.entries(0, 1)[0].terms == b"\0" * 4
    assert log.unpublished(0) == (1, 2)
    log.forget_vectors(0, "sha")
    assert log.knows_encoder(0, "sha")
    assert not log.knows_encoder(0, "other")
    assert (log.state().encoded, log.entries(0, 9)[0].terms) == (0, None)
    assert log.state().epoch == state.epoch + 1


@pytest.mark.parametrize("column", ["body", "terms", "doc_id", "given"])
def test_a_changed_operation_is_named(log: OperationLog, column: str) -> None:
    append(log, "a", "b")
    log.keep_vectors([Vectors(2, b"abcd", b"abcd", b"abcd", True)], 2)
    with sqlite3.connect(log.path) as connection:
        connection.execute(f"UPDATE operations SET {column} = ? WHERE seq = 2", (b"{x",))
    connection.close()
    with pytest.raises(IndexCorruptError, match=r"log\.sqlite is damaged .*operation 2"):
        log.entries(0, 9)
    assert len(log.entries(0, 1)) == 1


def copy(log: OperationLog, target: Path) -> Path:
    """The files as a kill would leave them."""
    target.mkdir()
    for name in ("log.sqlite", "log.sqlite-wal"):
        shutil.copyfile(log.path.with_name(name), target / name)
    return target / "log.sqlite"


def test_a_torn_end_costs_the_last_transaction_alone(log: OperationLog, tmp_path: Path) -> None:
    """Cut at several bytes, or zeroed from there: what was committed before is there, whole."""
    append(log, "a", "b")
    wal = log.path.with_name("log.sqlite-wal")
    before = wal.stat().st_size
    append(log, "c", "d", body=b"x" * 9_000)
    after = wal.stat().st_size
    assert after - before > 9_000
    cuts = [before, before + 1, before + 24, before + 4_000, after - 4_200, after - 1]
    for number, cut in enumerate(cuts):
        for zeroed in (False, True):
            path = copy(log, tmp_path / f"{number}-{zeroed}")
            with path.with_name("log.sqlite-wal").open("r+b") as file:
                file.truncate(cut)
                if zeroed:
                    file.truncate(after + 5_000)
            again = OperationLog(path, 0)
            assert [entry.doc_id for entry in again.entries(0, 99)] == ["a", "b"]
            assert append(again, "e") == [3]
            again.close()
    whole = OperationLog(copy(log, tmp_path / "whole"), 0)
    assert [entry.doc_id for entry in whole.entries(0, 99)] == ["a", "b", "c", "d"]
    whole.close()


def read_error(path: Path, wanted: list[Entry]) -> str | None:
    """What is said of a log; None where it has nothing but what is wanted."""
    try:
        again = OperationLog(path, 0)
        found = again.entries(0, 99)
        again.close()
    except LsrError as error:
        return str(error)
    known = {entry.seq: entry for entry in wanted}
    assert all(known[entry.seq] == entry for entry in found)
    return None


def test_damage_in_the_middle_is_reported_or_harmless(log: OperationLog, tmp_path: Path) -> None:
    """Never another answer: each operation is as it was written, or the log says what it is."""
    for i in range(40):
        append(log, f"document {i}", body=b"body " * 50)
    wanted = log.entries(0, 99)
    log.close()
    content = log.path.read_bytes()
    n_reported = 0
    for at in range(0, len(content), 211):
        folder = tmp_path / f"at{at}"
        folder.mkdir()
        path = folder / "log.sqlite"
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :])
        error = read_error(path, wanted)
        n_reported += error is not None
        assert error is None or str(path) in error
    assert n_reported > len(content) // 211 // 4


def test_not_a_database(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    path.write_bytes(b"something else entirely" * 100)
    with pytest.raises(IndexCorruptError, match=r"log\.sqlite is damaged \(file is not a data"):
        OperationLog(path, 0)


@contextmanager
def full_disk(n_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_is_survived(log: OperationLog) -> None:
    append(log, "a")
    size = log.path.with_name("log.sqlite-wal").stat().st_size
    with full_disk(size + 10_000):
        with pytest.raises(StorageError, match=r"log\.sqlite cannot be written"):
            append(log, "b", body=b"x" * 100_000)
        assert [entry.doc_id for entry in log.entries(0, 9)] == ["a"], "reads go on"
    assert append(log, "c") == [2]
    log.close()
    again = OperationLog(log.path, 0)
    assert [entry.doc_id for entry in again.entries(0, 9)] == ["a", "c"]
    again.close()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_log_that_was_removed_takes_nothing(log: OperationLog, replaced: bool) -> None:
    append(log, "a")
    for path in log.path.parent.glob("log.sqlite*"):
        path.unlink()
    if replaced:
        OperationLog(log.path, 0).close()
    assert not log.is_there
    with pytest.raises(StorageError, match=r"log\.sqlite was removed while it was open"):
        append(log, "b")


def test_a_log_without_permission(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot be written or read"):
        OperationLog(tmp_path / "no" / "such" / "log.sqlite", 0)
