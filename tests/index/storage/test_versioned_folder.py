"""A folder that is replaced at once: killed, failing, damaged, and read meanwhile."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lsr.errors import (
    IndexCorruptError,
    IndexMissingError,
    IndexStateError,
    IndexVersionError,
    InputError,
    StorageError,
)
from lsr.index.blocks.config import BuildConfig, GlobalPruning, SearchParams
from lsr.index.search.calibration_file import Calibration
from lsr.index.search.costs import Costs
from lsr.index.sparse_index import SparseIndex
from lsr.index.storage import versioned_folder as module
from lsr.index.storage.versioned_folder import NAME_FILE, current_content, replace_content
from lsr.sparse import CSR

OLD = {"a.bin": b"old", "b.bin": b"", "more/c.bin": b"deep"}
NEW = {"a.bin": b"newer", "d.bin": b"new"}


def writing(files: dict[str, bytes]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        assert not any(folder.iterdir())
        for name, content in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)

    return write


def held(target: Path) -> dict[str, bytes]:
    """What the folder has, byte for byte."""
    content = current_content(target, verify=True)
    assert content.parent == target
    return everything(content)


def everything(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "some" / "index"
    replace_content(path, writing(OLD))
    return path


def test_content_is_replaced_and_what_was_there_removed(target: Path) -> None:
    assert held(target) == OLD
    for files in (NEW, OLD, {}, NEW):
        replace_content(target, writing(files))
        assert held(target) == files
        assert {path.name for path in target.iterdir()} == {
            NAME_FILE,
            current_content(target, verify=False).name,
        }
    assert current_content(target, verify=False).name == "content-000005"


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError, match="is not a sparse index"):
        current_content(tmp_path, verify=False)
    replace_content(tmp_path, writing(NEW))
    assert held(tmp_path) == NEW


@pytest.mark.parametrize("name", ["notes.txt", "content-1", "index.json.old", "content-000001x"])
@pytest.mark.parametrize("is_folder", [False, True])
def test_folders_with_something_else_are_refused(target: Path, name: str, is_folder: bool) -> None:
    for folder in (target, target.parent):
        if is_folder:
            (folder / name).mkdir()
        else:
            (folder / name).write_text("mine", encoding="utf-8")
        before = everything(folder)
        with pytest.raises(InputError, match=rf"index holds {name}|some holds (index|{name})"):
            replace_content(folder, writing(NEW))
        assert everything(folder) == before
    assert held(target) == OLD


@pytest.mark.parametrize("name", ["index.json.unfinished", ".index.json.7.unfinished"])
def test_what_a_dead_writer_left_is_removed(target: Path, name: str) -> None:
    """The first is the name by version 0.1."""
    (target / name).write_text("{", encoding="utf-8")
    assert held(target) == OLD
    replace_content(target, writing(NEW))
    assert held(target) == NEW
    assert len(list(target.iterdir())) == 2


def test_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="file is a file"):
        replace_content(path, writing(NEW))
    assert path.read_text(encoding="utf-8") == "mine"
    for place in (path, path / "index", tmp_path / "none"):
        with pytest.raises(IndexMissingError, match="is not a sparse index"):
            current_content(place, verify=True)


def test_a_second_writer_is_refused(target: Path) -> None:
    def write(folder: Path) -> None:
        before = everything(target)
        with pytest.raises(InputError, match=rf"another writer of {target} .* its lock"):
            replace_content(target, writing(OLD))
        assert everything(target) == before
        writing(NEW)(folder)

    replace_content(target, write)
    assert held(target) == NEW
    replace_content(target, writing(OLD))


STEPS = ("write", "record_files", "sync_tree", "replace")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old(
    target: Path, step: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    def write(folder: Path) -> None:
        writing(NEW)(folder)
        if step == "write":
            fail()

    with monkeypatch.context() as patch:
        if step == "replace":
            patch.setattr(Path, "replace", fail)
        elif step != "write":
            patch.setattr(module, step, fail)
        with pytest.raises(type(error)):
            replace_content(target, write)
    assert held(target) == OLD
    assert len(list(target.glob("content-*"))) == 1
    replace_content(target, writing(NEW))
    assert held(target) == NEW
    assert len(list(target.iterdir())) == 2


DRIVER = """
import json, os, shutil, signal, sys
from pathlib import Path
from lsr.errors import IndexMissingError
from lsr.index.storage.versioned_folder import current_content, replace_content

work = Path(sys.argv[1])
path = work / "index"
NAMES = {"old": ("a", "b"), "new": ("a", "c"), "next": ("d",)}
os.fsync = lambda descriptor: None  # a killed process loses nothing that it has written


def write(kind):
    def fill(folder):
        for name in NAMES[kind]:
            (folder / name).write_text(kind + name)
    return fill


def state():
    try:
        content = current_content(path, verify=True)
    except IndexMissingError:
        return None
    found = {each.name: each.read_text() for each in content.iterdir()}
    (kind,) = [kind for kind in NAMES if found == {name: kind + name for name in NAMES[kind]}]
    return kind


def run(number):
    # in a child that is killed before an operation; how many there were, or None
    global calls
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        calls = 0

        def dying(event, arguments):
            global calls
            writes = event == "open" and arguments[2] and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            changes = event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree")
            if writes or changes:
                calls += 1
                if calls == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(dying)
        replace_content(path, write("new"))
        os.write(writer, str(calls).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        said = stream.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) == (not said), status
    return int(said) if said else None


def fresh(before):
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    if before:
        replace_content(path, write(before))


report = {}
for before in ("old", None):
    fresh(before)
    n_calls = run(0)
    assert state() == "new"
    outcomes = []
    for number in range(1, n_calls + 1):
        fresh(before)
        assert run(number) is None
        outcomes.append(state())
        replace_content(path, write("next"))
        assert state() == "next", (before, number)
        assert len(list(path.iterdir())) == 2, (before, number)
    report[str(before)] = outcomes
print(json.dumps(report))
"""


def test_killed_before_every_operation(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "work")]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    for before, outcomes in report.items():
        old = None if before == "None" else before
        assert len(outcomes) > 4
        assert set(outcomes) <= {old, "new"}
        n_old = outcomes.count(old)
        assert outcomes == [old] * n_old + ["new"] * (len(outcomes) - n_old)
    assert report["old"][-1] == "new", "old content is removed after the new is published"


def test_damaged_names_are_told_apart(target: Path) -> None:
    path = target / NAME_FILE
    text = path.read_text(encoding="utf-8")
    for damaged in ("", "{}", "[]", "7", "null", text[:-30], text.replace("a.bin", "z.bin", 1)):
        path.write_text(damaged, encoding="utf-8")
        with pytest.raises(IndexCorruptError, match=NAME_FILE):
            current_content(target, verify=False)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(IndexCorruptError, match=NAME_FILE):
        current_content(target, verify=False)
    for version in (0, 2, 99):
        path.write_text(text.replace('"format_version": 1', f'"format_version": {version}'))
        with pytest.raises(IndexVersionError, match=f"has format {version} and this lsr reads 1"):
            current_content(target, verify=False)
    replace_content(target, writing(NEW))  # whatever is wrong, a new one can be written
    assert held(target) == NEW


@pytest.mark.parametrize("name", ["a.bin", "more/c.bin"])
def test_sizes_are_always_checked_and_bytes_if_asked(target: Path, name: str) -> None:
    path = current_content(target, verify=False) / name
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole + b"x"):
        path.write_bytes(damaged)
        for verify in (False, True):
            with pytest.raises(IndexCorruptError, match=rf"{name} is missing or cut short"):
                current_content(target, verify=verify)
    path.write_bytes(whole[:-1] + b"?")
    assert current_content(target, verify=False) == path.parents[name.count("/")]
    with pytest.raises(IndexCorruptError, match=rf"{name} has changed"):
        current_content(target, verify=True)
    path.unlink()
    with pytest.raises(IndexCorruptError, match=rf"{name} is missing"):
        current_content(target, verify=False)


def saved_index(seed: int) -> SparseIndex:
    rng = np.random.default_rng(seed)
    rows = [{int(t): float(rng.lognormal()) for t in rng.integers(0, 50, 6)} for _ in range(90)]
    config = BuildConfig(GlobalPruning(8), values="f32")
    index = SparseIndex.build(CSR.from_rows(rows, 50), config)
    costs = Costs(1.0, 1.0, 1.0, 1.0)
    tuned = Calibration(
        SearchParams(strategy="exact"), costs, 0.9, 0.95, 1.0, 2.0, 7, "given queries"
    )
    return SparseIndex(index.ids, index.blocks, tuned)


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    target = tmp_path / "index"
    saved_index(0).save(target)
    SparseIndex.open(target, verify=True)
    files = sorted(path for path in target.rglob("*") if path.is_file())
    assert {"blocks.bin", "blocks.json", "calibration.json", NAME_FILE} < {
        path.name for path in files
    }
    rng = np.random.default_rng(5)
    for path in files:
        whole = path.read_bytes()
        n_flips = 200 // len(files) + 1
        for flipped in rng.integers(0, 8 * len(whole), n_flips).tolist():
            damaged = bytearray(whole)
            damaged[flipped // 8] ^= 1 << flipped % 8
            path.write_bytes(damaged)
            with pytest.raises(IndexStateError):
                SparseIndex.open(target, verify=True)
        path.write_bytes(whole)
    SparseIndex.open(target, verify=True)


def test_files_cut_short_or_missing_are_found_without_looking(tmp_path: Path) -> None:
    target = tmp_path / "index"
    saved_index(0).save(target)
    for path in sorted(current_content(target, verify=True).iterdir()):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        with pytest.raises(IndexCorruptError, match=path.name):
            SparseIndex.open(target)
        path.unlink()
        with pytest.raises(IndexCorruptError, match=path.name):
            SparseIndex.open(target)
        path.write_bytes(whole)
    shutil.rmtree(current_content(target, verify=True))
    with pytest.raises(IndexCorruptError, match="missing"):
        SparseIndex.open(target)


def test_readers_keep_what_they_have_open(tmp_path: Path) -> None:
    target = tmp_path / "index"
    first, second = saved_index(0), saved_index(1)
    first.save(target)
    reader = SparseIndex.open(target)
    second.save(target)
    assert np.array_equal(SparseIndex.open(target).blocks.blob, second.blocks.blob)
    assert np.array_equal(reader.blocks.blob, first.blocks.blob)
    assert not np.array_equal(reader.blocks.blob, second.blocks.blob)
    for found, expected in zip(reader.documents()[:3], first.documents()[:3], strict=True):
        assert np.array_equal(np.asarray(found), np.asarray(expected))


def test_a_full_disk_keeps_the_old_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "index"
    first, second = saved_index(0), saved_index(1)
    first.save(target)

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(StorageError, match="index cannot be written .No space left"):
            second.save(target)
    assert np.array_equal(SparseIndex.open(target, verify=True).blocks.blob, first.blocks.blob)
