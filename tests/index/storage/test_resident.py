"""Verified copies of files, alone and shared between processes."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lsr.errors import IndexCorruptError
from lsr.index.storage.manifest import FileRecord, record_files
from lsr.index.storage.resident import SharedCopies, private_copy

CONTENT = bytes(range(256)) * 9_000 + b"end"


@pytest.fixture
def file(tmp_path: Path) -> tuple[Path, FileRecord]:
    path = tmp_path / "data" / "f.bin"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path, record_files(path.parent)["f.bin"]


@pytest.fixture
def shared(tmp_path: Path) -> SharedCopies:
    """In a folder of its own; the file system does not matter."""
    return SharedCopies(tmp_path)


def names(shared: SharedCopies) -> list[str]:
    return sorted(path.name for path in shared.folder.iterdir())


def test_a_private_copy(file: tuple[Path, FileRecord]) -> None:
    path, record = file
    copy = private_copy(path, record)
    path.write_bytes(b"")
    assert copy.tobytes() == CONTENT
    assert not copy.flags.writeable
    assert copy.ctypes.data % 64 == 0


@pytest.mark.parametrize("is_shared", [True, False])
@pytest.mark.parametrize("bad", [CONTENT[:-1], CONTENT + b"x", b"", CONTENT[:-1] + b"x"])
def test_a_file_that_differs(
    file: tuple[Path, FileRecord], shared: SharedCopies, bad: bytes, is_shared: bool
) -> None:
    path, record = file
    path.write_bytes(bad)
    with pytest.raises(IndexCorruptError, match=r"f.bin has .*; restore it from a copy"):
        shared.copy(path, record) if is_shared else private_copy(path, record)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        shared.copy(path, record) if is_shared else private_copy(path, record)
    assert not is_shared or names(shared) == []


def test_a_shared_copy(file: tuple[Path, FileRecord], shared: SharedCopies) -> None:
    path, record = file
    first = shared.copy(path, record)
    path.write_bytes(b"")
    again = SharedCopies(shared.folder.parent).copy(path, record)
    assert first is not None
    assert again is not None
    assert first.tobytes() == again.tobytes() == CONTENT
    assert not first.flags.writeable
    assert names(shared) == [f"{record.sha256}-{len(CONTENT)}"]
    (copy,) = shared.folder.iterdir()
    assert (copy.stat().st_mode & 0o777, shared.folder.stat().st_mode & 0o777) == (0o600, 0o700)
    part = first[5:9]
    del first, again
    gc.collect()
    assert len(names(shared)) == 1, "a part of it is still held"
    assert part.tolist() == [5, 6, 7, 8]
    del part
    gc.collect()
    assert names(shared) == []


HOLD = """
import sys
from pathlib import Path
from lsr.index.storage.manifest import FileRecord
from lsr.index.storage.resident import SharedCopies
record = FileRecord(int(sys.argv[4]), sys.argv[3])
copy = SharedCopies(Path(sys.argv[1])).copy(Path(sys.argv[2]), record)
print(copy is not None and int(copy.sum()), flush=True)
sys.stdin.read()
"""


def hold(shared: SharedCopies, path: Path, record: FileRecord) -> subprocess.Popen[str]:
    arguments = [str(shared.folder.parent), str(path), record.sha256, str(record.size_bytes)]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == f"{sum(CONTENT)}\n"
    return process


def test_processes_share_and_the_last_one_removes(
    file: tuple[Path, FileRecord], shared: SharedCopies
) -> None:
    path, record = file
    processes = [hold(shared, path, record) for _ in range(2)]
    (copy,) = shared.folder.iterdir()
    inode = copy.stat().st_ino
    mine = shared.copy(path, record)
    assert copy.stat().st_ino == inode
    processes[0].communicate()
    del mine
    gc.collect()
    assert len(names(shared)) == 1
    processes[1].communicate()
    assert names(shared) == []


def test_what_a_killed_process_left_goes(
    file: tuple[Path, FileRecord], shared: SharedCopies, tmp_path: Path
) -> None:
    path, record = file
    process = hold(shared, path, record)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (shared.folder / ".half").write_bytes(b"half")
    assert len(names(shared)) == 2
    other = tmp_path / "data" / "other.bin"
    other.write_bytes(b"other")
    mine = shared.copy(other, record_files(other.parent)["other.bin"])
    assert mine is not None
    assert mine.tobytes() == b"other"
    assert len(names(shared)) == 1


def test_no_room(
    file: tuple[Path, FileRecord],
    shared: SharedCopies,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path, record = file
    full = os.statvfs_result((4096, 4096, 100, 100, 100, 0, 0, 0, 0, 255))
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(os, "statvfs", lambda _: full)
        assert shared.copy(path, record) is None
    assert f"{path} is copied for this process alone" in caplog.text
    assert "has too little room" in caplog.text
    assert SharedCopies(Path("/proc/nowhere")).copy(path, record) is None
    shared.folder.chmod(0o755)
    assert shared.copy(path, record) is None, "others could read it"


def test_a_fork_does_not_unlock(file: tuple[Path, FileRecord], shared: SharedCopies) -> None:
    path, record = file
    mine = shared.copy(path, record)
    child = os.fork()
    if child == 0:
        del mine
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    assert len(names(shared)) == 1
    shared.clear()
    assert len(names(shared)) == 1
    assert mine is not None
    assert np.count_nonzero(mine) > 0
