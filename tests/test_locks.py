"""Locks: one holder, free when it is gone, whoever looks at them meanwhile."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import pytest

from lsr import locks
from lsr.errors import StorageError
from lsr.locks import FileLock, held, is_held, noted

HOLDER = """
import sys
from pathlib import Path
from lsr.locks import FileLock
lock = FileLock.take(Path(sys.argv[1]))
lock.note(b"me")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def taken(path: Path) -> FileLock:
    lock = FileLock.take(path)
    assert lock is not None
    return lock


def test_one_holds_it_at_a_time(path: Path) -> None:
    assert not is_held(path)
    assert not path.exists()
    lock = taken(path)
    assert is_held(path)
    assert FileLock.take(path) is None
    lock.release(remove=False)
    assert not is_held(path)
    taken(path).release(remove=True)
    assert not path.exists()


def test_a_lock_of_a_killed_process_is_free(path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert is_held(path)
        assert noted(path) == b"me"
        assert FileLock.take(path) is None
        process.send_signal(signal.SIGKILL)
    assert not is_held(path)
    taken(path).release(remove=True)


def test_who_waits_has_it_next_and_not_a_file_that_is_gone(path: Path) -> None:
    order: list[str] = []
    lock = taken(path)

    def wait() -> None:
        with held(path):
            order.append("waited")
            assert is_held(path)

    waiting = threading.Thread(target=wait)
    waiting.start()
    order.append("first")
    lock.release(remove=True)
    waiting.join(30)
    assert order == ["first", "waited"]
    assert not path.exists()


def test_those_who_ask_at_once_are_not_taken_for_holders(path: Path) -> None:
    path.touch()
    answers: list[bool] = []
    start = threading.Barrier(4)

    def ask() -> None:
        start.wait()
        answers.extend(is_held(path) for _ in range(50))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [False] * 200


def test_what_is_noted_leaves_the_byte_that_windows_locks(path: Path) -> None:
    lock = taken(path)
    lock.note(b"a long note")
    lock.note(b"short")
    assert noted(path) == b"short"
    assert path.read_bytes()[1:] == b"short"
    lock.release(remove=False)


def test_a_lock_whose_file_was_replaced_is_not_in_place(path: Path) -> None:
    lock = taken(path)
    found = [lock.is_in_place]
    path.unlink()
    found.append(lock.is_in_place)
    path.touch()
    found.append(lock.is_in_place)
    lock.release(remove=False)
    assert found == [True, False, False]


def test_a_file_that_may_only_be_read_can_be_asked_about(path: Path) -> None:
    lock = taken(path)
    path.chmod(0o444)
    assert is_held(path)
    lock.release(remove=False)
    assert not is_held(path)


def test_a_file_system_without_locks_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(descriptor: int, *, blocking: bool) -> bool:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(filelock, "lock_descriptor", none)
    with pytest.raises(StorageError, match=r"lock cannot be locked \(Function not implemented\);"):
        FileLock.take(path)


def test_windows_removes_what_is_closed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faked: an open file cannot be removed there, and one that another opened stays."""
    monkeypatch.setattr(locks, "WINDOWS", True)
    steps: list[str] = []
    close, unlink = os.close, Path.unlink

    def closed(descriptor: int) -> None:
        steps.append("close")
        close(descriptor)

    def refused(each: Path, missing_ok: bool = False) -> None:
        steps.append("unlink")
        if steps.count("unlink") == 1:
            raise PermissionError
        unlink(each)

    monkeypatch.setattr(os, "close", closed)
    monkeypatch.setattr(Path, "unlink", refused)
    taken(path).release(remove=True)
    assert path.exists()
    taken(path).release(remove=True)
    assert not path.exists()
    assert steps == ["close", "unlink", "close", "unlink"]
