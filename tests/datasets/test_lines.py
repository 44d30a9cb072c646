"""Numbered lines of plain and compressed files; every error names the place."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from lsr.datasets.lines import numbered_lines, plain_suffix, zstd
from lsr.errors import DataError
from tests.support.bad_files import refused, wrote

MANY = "".join(f"line {i} é\n" for i in range(60_000)).encode()


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_lines(tmp_path: Path, suffix: str) -> None:
    pack: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        ".gz": gzip.compress,
        ".zst": zstd.compress,
    }
    path = wrote(tmp_path / f"a.txt{suffix}", pack[suffix]("\ufeffone\r\n\n zwei é \n3".encode()))
    assert list(numbered_lines(path)) == [(1, "one"), (2, ""), (3, " zwei é "), (4, "3")]
    wrote(path, pack[suffix](b""))
    assert list(numbered_lines(path)) == []
    wrote(path, pack[suffix](MANY))
    assert sum(1 for _ in numbered_lines(path)) == 60_000
    wrote(path, pack[suffix](b"good\nalso\nb\xffd\nmore\n"))
    refused(lambda: list(numbered_lines(path)), path, 3, "byte 2 of the line is not UTF-8")


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstd.compress)])
def test_many_frames(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    """Frames need not end where lines do; an empty one among them changes nothing."""
    frames = [b"one\ntw", b"", b"o\n", MANY, b"last"]
    path = wrote(tmp_path / f"a{suffix}", b"".join(pack(frame) for frame in frames))
    lines = [line for _, line in numbered_lines(path)]
    assert lines == b"".join(frames).decode().split("\n")


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstd.compress)])
@pytest.mark.parametrize("kept", ["most", "half", "all but one", "header", "second frame"])
def test_truncated(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes], kept: str) -> None:
    """An incomplete download is an error: half a corpus would be half an index."""
    content = pack(MANY)
    end = {
        "most": len(content) - 9,
        "half": len(content) // 2,
        "all but one": len(content) - 1,
        "header": 5,
        "second frame": len(content) + 12,
    }[kept]
    path = wrote(tmp_path / f"a{suffix}", (content + content)[:end])
    refused(lambda: list(numbered_lines(path)), path, None, "is it complete?")


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_not_compressed_at_all(tmp_path: Path, suffix: str) -> None:
    path = wrote(tmp_path / f"a{suffix}", "plain text\n")
    refused(lambda: list(numbered_lines(path)), path, None, "cannot be decompressed")


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstd.compress)])
def test_damaged(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    content = bytearray(pack(MANY))
    for i in range(2_000, 2_040):
        content[i] ^= 0xA5
    path = wrote(tmp_path / f"a{suffix}", bytes(content))
    with pytest.raises(DataError, match="cannot be decompressed|not UTF-8"):
        list(numbered_lines(path))


def test_not_there(tmp_path: Path) -> None:
    path = tmp_path / "absent.jsonl"
    refused(lambda: list(numbered_lines(path)), path, None, "there is no such file")
    refused(lambda: list(numbered_lines(tmp_path)), tmp_path, None, "this is a folder")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = wrote(tmp_path / "a.jsonl", "{}")
    monkeypatch.setattr(Path, "open", deny)
    refused(lambda: list(numbered_lines(path)), path, None, "no permission to read")


def test_plain_suffix() -> None:
    names = ["a.jsonl", "a.JSONL", "a.b.csv.gz", "a.tsv.zst", "a", "a.gz", ".gz"]
    found = [plain_suffix(Path(name)) for name in names]
    assert found == [".jsonl", ".jsonl", ".csv", ".tsv", "", "", ""]
