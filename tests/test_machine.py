"""What differs between systems: the user's cache, processes, renames. Windows is faked."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from lsr import files, machine
from lsr.encoders.dense_onnx import cached_export
from lsr.encoders.learned import model_classes
from lsr.files import put, sync, sync_tree
from lsr.machine import is_alive, refusal, user_cache


def test_the_cache_is_where_it_always_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert user_cache() == tmp_path / ".cache" / "lsr"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert user_cache() == tmp_path / ".cache" / "lsr"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    assert user_cache() == tmp_path / "there" / "lsr"


def test_there_is_one_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cached_export("a").parent == tmp_path / "lsr" / "onnx"
    model_classes.trust("0" * 64, tmp_path)
    assert (tmp_path / "lsr" / "trusted" / ("0" * 64)).is_file()


def test_processes_are_told_from_those_that_ended() -> None:
    assert is_alive(os.getpid())
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert not is_alive(process.pid)
    assert is_alive(1)  # of another user, perhaps


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "WINDOWS", True)
    monkeypatch.setattr(files, "WINDOWS", True)


@pytest.mark.usefixtures("windows")
def test_windows_is_asked_for_processes_without_ending_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[int] = []
    kernel = SimpleNamespace(
        OpenProcess=lambda access, inherit, process: process if process < 3 else 0,
        WaitForSingleObject=lambda handle, ms: 0x102 if handle == 1 else 0,
        CloseHandle=closed.append,
    )
    monkeypatch.setattr(ctypes, "WinDLL", lambda name: kernel, raising=False)
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("os.kill ends a process there"))
    assert [is_alive(process) for process in (1, 2, 3)] == [True, False, False]
    assert closed == [1, 2]


@pytest.mark.usefixtures("windows")
def test_a_file_that_others_read_is_replaced_a_moment_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    new.write_text("new")
    old.write_text("old")
    replace, n_tries = Path.replace, 0

    def refused(source: Path, target: Path) -> Path:
        nonlocal n_tries
        n_tries += 1
        if n_tries < 3:
            raise PermissionError
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", refused)
    put(new, old)
    assert old.read_text() == "new"
    new.write_text("newer")
    n_tries = -1_000
    monkeypatch.setattr(files, "_PAUSE_SECONDS", 0)
    with pytest.raises(PermissionError):
        put(new, old)
    assert n_tries == -900


def test_elsewhere_a_refusal_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(source: Path, target: Path) -> Path:
        raise PermissionError

    monkeypatch.setattr(Path, "replace", refused)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    with pytest.raises(PermissionError):
        put(tmp_path / "a", tmp_path / "b")


@pytest.mark.usefixtures("windows")
def test_folders_are_not_opened_on_windows_and_files_to_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a").write_text("a")
    opened: list[tuple[str, int]] = []
    real = os.open

    def note(path: Path, flags: int) -> int:
        opened.append((path.name, flags))
        return real(path, flags)

    monkeypatch.setattr(os, "open", note)
    sync_tree(tmp_path)
    sync(tmp_path)
    assert opened == [("a", os.O_RDWR)]


def test_a_folder_with_open_files_is_refused_by_the_name_of_the_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = PermissionError(13, "Permission denied")
    assert refusal(error) == "Permission denied"
    monkeypatch.setattr(machine, "WINDOWS", True)
    assert refusal(error).startswith("Permission denied: Windows leaves a folder where it is")
    assert refusal(OSError(28, "No space left on device")) == "No space left on device"
