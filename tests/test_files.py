"""Files written whole or not at all, and JSON that carries its own checksum."""

from __future__ import annotations

import ast
import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lsr.files
from lsr.files import (
    UNFINISHED,
    checksum,
    is_text,
    read_signed,
    sha256_of,
    signed,
    sync,
    sync_tree,
    write_atomically,
    writing,
)

OLD, NEW = b"old", b"\x00new\xff"


@pytest.fixture(params=[True, False], ids=["replaced", "new"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A place for a file, with an old one or without."""
    path = tmp_path / "a file.json"
    if request.param:
        path.write_bytes(OLD)
    return path


def state(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.parent.iterdir()}


def test_only_the_standard_library_is_imported() -> None:
    tree = ast.parse(Path(lsr.files.__file__).read_text("utf-8"))
    imported = {
        name if name == "lsr.machine" else name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or "."]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    assert imported - {"lsr.machine"} <= sys.stdlib_module_names


# Whole or not at all


@pytest.mark.parametrize(
    ("content", "expected"), [(NEW, NEW), (b"", b""), ("Zoë 🦆\n", "Zoë 🦆\n".encode())]
)
def test_what_is_written_is_there(path: Path, content: str | bytes, expected: bytes) -> None:
    write_atomically(path, content)
    assert state(path) == {path.name: expected}
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_what_was_there_stays_until_the_end(path: Path) -> None:
    before = state(path)
    with writing(path) as stream:
        stream.write(NEW[:2])
        stream.flush()
        now = state(path)
        (beside,) = now.keys() - before.keys()
        assert beside.startswith(".")
        assert beside.endswith(UNFINISHED)
        assert {name: now[name] for name in before} == before
        stream.write(NEW[2:])
    assert state(path) == {path.name: NEW}


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), ValueError(), KeyboardInterrupt()]
)
def test_an_exception_leaves_what_was_there(path: Path, error: BaseException) -> None:
    before = state(path)

    def write() -> None:
        with writing(path) as stream:
            stream.write(NEW)
            raise error

    with pytest.raises(type(error)):
        write()
    assert state(path) == before
    write_atomically(path, NEW)
    assert state(path) == {path.name: NEW}


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken"), KeyboardInterrupt()])
def test_a_last_step_that_fails_leaves_what_was_there(
    path: Path, step: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(path)

    def fail(*arguments: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        if step == "fsync":
            patch.setattr(os, "fsync", fail)
        else:
            patch.setattr(Path, "replace", fail)
        with pytest.raises(type(error)):
            write_atomically(path, NEW)
    assert state(path) == before


def test_text_that_is_none_is_refused_and_changes_nothing(path: Path) -> None:
    before = state(path)
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert state(path) == before


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    (tmp_path / "file").touch()
    for place in ("none/x", "file/x", "folder"):
        with pytest.raises(OSError):
            write_atomically(tmp_path / place, NEW)
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["file", "folder", "inside"]


# On disk


def test_the_file_then_its_folder_is_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(path).get(path.name)
    synced: list[tuple[int, bytes | None]] = []

    def fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        assert stat.S_ISDIR(found.st_mode) or found.st_size == len(NEW)
        synced.append((found.st_ino, state(path).get(path.name)))

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(path, NEW)
    assert synced == [(path.stat().st_ino, before), (path.parent.stat().st_ino, NEW)]


def test_a_tree_is_synced_with_all_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one" / "two").mkdir(parents=True)
    (tmp_path / "one" / "two" / "a").touch()
    (tmp_path / "b").touch()
    expected = {each.stat().st_ino for each in (tmp_path, *tmp_path.rglob("*"))}
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda each: synced.append(os.fstat(each).st_ino))
    sync_tree(tmp_path)
    assert len(synced) == 5
    assert set(synced) == expected


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EIO])
def test_file_systems_that_cannot_sync_folders(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) == of_folder:
            raise OSError(number, os.strerror(number))

    path = tmp_path / "file"
    monkeypatch.setattr(os, "fsync", fsync)
    of_folder = True
    if number == errno.EIO:
        with pytest.raises(OSError):
            sync(tmp_path)
    else:
        write_atomically(path, NEW)
        assert state(path) == {"file": NEW}
    of_folder = False
    with pytest.raises(OSError):
        write_atomically(path, OLD)
    assert path.exists() == (number != errno.EIO)


# Several processes

WRITER = """
import os, sys
from pathlib import Path
from lsr.files import writing
os.fsync = lambda descriptor: None  # no process loses what another has written
path, letter = Path(sys.argv[1]), sys.argv[2].encode()
for _ in range(int(sys.argv[3])):
    with writing(path) as stream:
        for _ in range(8):
            stream.write(letter * 4_096)
            stream.flush()
"""


def contents(path: Path, processes: list[subprocess.Popen[bytes]]) -> Iterator[bytes]:
    while any(process.poll() is None for process in processes):
        yield path.read_bytes()
    yield path.read_bytes()


def test_two_processes_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "file"
    whole = [letter * 8 * 4_096 for letter in (b"a", b"b")]
    path.write_bytes(whole[0])
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), letter, "200"])
        for letter in ("a", "b")
    ]
    assert all(found in whole for found in contents(path, processes))
    assert [process.wait() for process in processes] == [0, 0]
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_the_last_to_end_has_the_place(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with writing(path) as stream:
        stream.write(b"first")
        command = [sys.executable, "-c", WRITER, str(path), "b", "1"]
        assert subprocess.run(command, check=False).returncode == 0
        assert path.read_bytes() == b"b" * 8 * 4_096
        stream.write(b" and more")
    assert state(path) == {"file": b"first and more"}


def test_a_killed_process_leaves_what_was_there(path: Path) -> None:
    before = state(path)
    child = os.fork()
    if child == 0:
        with writing(path) as stream:
            stream.write(NEW)
            stream.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    left = {name: content for name, content in state(path).items() if name not in before}
    assert {name: state(path)[name] for name in before} == before
    assert list(left) == [f".{path.name}.{child}{UNFINISHED}"]
    write_atomically(path, OLD)
    assert path.read_bytes() == OLD


# JSON with a checksum

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)
objects = st.dictionaries(st.text().filter(lambda key: key != "checksum"), values, max_size=5)


@given(objects)
def test_what_is_signed_is_read(content: dict[str, Any]) -> None:
    text = signed(content)
    assert read_signed(text) == (content, True)
    assert read_signed(text.encode()) == (content, True)
    plain = json.loads(text)
    assert list(plain) == [*content, "checksum"]
    assert plain["checksum"] == checksum(content)
    assert text == json.dumps(plain, indent=2) + "\n"


def test_the_bytes_are_those_of_version_0_1() -> None:
    content = {"format_version": 2, "b": [1, 2.5], "a": {"ø": None}}
    assert (
        signed(content)
        == """{
  "format_version": 2,
  "b": [
    1,
    2.5
  ],
  "a": {
    "\\u00f8": null
  },
  "checksum": "2c1e6befd9cb9444e09fb529f33044cbe56cb629e68049c6998d99a3a387a7da"
}
"""
    )


def turned(value: Any) -> Any:
    """The same value with all keys in the opposite order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(each) for each in value] if isinstance(value, list) else value


@given(objects)
def test_the_order_of_keys_does_not_matter(content: dict[str, Any]) -> None:
    assert checksum(turned(content)) == checksum(content)
    text = json.dumps(turned(json.loads(signed(content))))
    assert read_signed(text) == (content, True)


@given(objects, st.data())
def test_a_changed_byte_is_noticed(content: dict[str, Any], data: st.DataObject) -> None:
    """Or it changes no value, such as a blank that became a line's end."""
    text = signed(content).encode()
    at = data.draw(st.integers(0, len(text) - 1))
    changed = bytearray(text)
    changed[at] ^= data.draw(st.integers(1, 255))
    try:
        found, is_intact = read_signed(bytes(changed))
    except ValueError:
        return
    assert not is_intact or same(found, content)


def same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@given(objects, values)
def test_a_changed_value_is_noticed_and_read(content: dict[str, Any], value: Any) -> None:
    """Who reads can tell a file of another version from damage."""
    plain = json.loads(signed(content))
    for key in plain:
        found, is_intact = read_signed(json.dumps(plain | {key: value}))
        assert is_intact == same(plain[key], value)
        assert same(found, content | ({key: value} if key != "checksum" else {}))
    for key in content:
        less = {name: each for name, each in plain.items() if name != key}
        assert not read_signed(json.dumps(less))[1]


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"{}",
        b"[]",
        b"7",
        b"null",
        b'"text"',
        b"[1, 2]",
        b'{"a": 1}',
        b"\xff\xfe",
        "\ufeff" + signed({}),
        signed({"a": 1}).encode("utf-16"),
        signed({"a": 1})[:-3],
        signed({"a": 1}) + "}",
        "[" * 100_000,
    ],
)
def test_what_is_no_signed_object_is_a_value_error(broken: str | bytes) -> None:
    with pytest.raises(ValueError):
        read_signed(broken)


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(OSError):
        sha256_of(tmp_path)


# Text


@given(st.text(st.characters(exclude_categories=())))
def test_text_is_what_has_no_half_surrogates(text: str) -> None:
    assert is_text(text) == (not any("\ud800" <= character <= "\udfff" for character in text))
