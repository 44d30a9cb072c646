"""The manifest knows every byte, its own included."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lsr.errors import (
    IndexCorruptError,
    IndexMissingError,
    IndexStateError,
    IndexVersionError,
)
from lsr.files import checksum
from lsr.index.collection.reader import CollectionReader
from lsr.index.storage.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    FileRecord,
    Manifest,
    SegmentRecord,
)
from lsr.types import EncoderIdentity

SMALL = Manifest(
    generation=3,
    created="2025-01-01T00:00:00+00:00",
    lsr_version="0.1.0",
    source="é",
    sparse=EncoderIdentity("bm25", "bm25", "ab", {"k1": 0.9, "stem": True, "c": 1e-07}),
    dense=None,
    encoder="encoder-000003",
    segments=(
        SegmentRecord("segment-000001", 5, 2, 9, 7, "segment-000001/deleted-000003.npy", False),
        SegmentRecord("segment-000003", 2, 0, 4, 3, None, True),
    ),
    tie_order="tie_order-000003.npy",
    files={"segment-000003/a b": FileRecord(12, "cd")},
)


def write(folder: Path, manifest: Manifest) -> Path:
    path = folder / MANIFEST
    path.write_text(manifest.to_json(), "utf-8")
    return path


@pytest.mark.parametrize("dense", [None, EncoderIdentity("dense", "m", "ef", {"dimension": 3})])
def test_round_trip(tmp_path: Path, dense: EncoderIdentity | None) -> None:
    manifest = Manifest(**{**vars(SMALL), "dense": dense})
    write(tmp_path, manifest)
    assert Manifest.read(tmp_path) == manifest
    assert manifest.size_bytes == 12
    assert (manifest.n_documents, manifest.n_deleted) == (5, 2)
    assert (manifest.n_terms, manifest.n_postings) == (9, 10)


def test_every_flipped_bit_is_seen(tmp_path: Path) -> None:
    """A flipped bit is an error, or has not changed what the manifest says.

    JSON has a few spellings of the same: `\\u00e9` and `\\u00E9`, `1e-07` and `1E-07`. Such a flip
    is harmless, and is not to be an error of its own.
    """
    small = replace(SMALL, segments=SMALL.segments[1:], tie_order=None)
    path = write(tmp_path, small)
    good = path.read_bytes()
    harmless = []
    for i in range(len(good)):
        for bit in range(8):
            path.write_bytes(good[:i] + bytes([good[i] ^ 1 << bit]) + good[i + 1 :])
            try:
                assert Manifest.read(tmp_path) == small, (i, bit)
                harmless.append(good[i : i + 1])
            except IndexStateError:
                pass
    assert harmless == [b"e", b"e"], "the two flips in the docstring"


def test_every_truncation_is_seen(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    good = path.read_bytes()
    for end in range(len(good) - 1):  # the last byte is a line end
        path.write_bytes(good[:end])
        with pytest.raises(IndexCorruptError, match="is damaged"):
            Manifest.read(tmp_path)


@pytest.mark.parametrize("content", ["null", "[]", '"x"', "3", "{}", "[" * 100_000])
def test_another_json_value(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(IndexCorruptError, match="is damaged; restore the folder from a copy"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("version", [0, FORMAT_VERSION + 1, 99])
def test_another_version_says_what_to_do(tmp_path: Path, version: int) -> None:
    """Whatever else another version holds: its checksum may be of another kind."""
    (tmp_path / MANIFEST).write_text(
        json.dumps({"format_version": version, "new": [], "checksum": "?"})
    )
    with pytest.raises(IndexVersionError) as caught:
        Manifest.read(tmp_path)
    message = str(caught.value)
    assert f"has index format {version} and this lsr reads 2 and {FORMAT_VERSION}" in message
    assert "build the index again, or install the lsr that made it" in message


@pytest.mark.parametrize("change", ["missing", "extra", "sparse", "segments", "segment"])
def test_a_sound_checksum_over_other_fields(tmp_path: Path, change: str) -> None:
    """Not an accident of the disk, but no reason for a stack trace either."""
    content = json.loads(SMALL.to_json())
    del content["checksum"]
    if change == "missing":
        del content["encoder"]
    elif change == "extra":
        content["unknown"] = 1
    elif change == "segments":
        content["segments"] = []
    elif change == "segment":
        content["segments"] = [{"name": "segment-000001"}]
    else:
        content["sparse"] = {"kind": "bm25"}
    (tmp_path / MANIFEST).write_text(json.dumps({**content, "checksum": checksum(content)}))
    with pytest.raises(IndexCorruptError, match="is damaged"):
        Manifest.read(tmp_path)


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError, match="is not an index; make one with: lsr index build"):
        Manifest.read(tmp_path)
    with pytest.raises(IndexMissingError, match="does not exist; make one with"):
        Manifest.read(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(IndexMissingError, match="is a file, and an index is a folder"):
        Manifest.read(tmp_path / "file")
    (tmp_path / MANIFEST).mkdir()
    with pytest.raises(IndexStateError):
        Manifest.read(tmp_path)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", deny)
    with pytest.raises(IndexMissingError, match="no permission to read"):
        Manifest.read(tmp_path)


def files_of(collection: Path) -> list[Path]:
    return sorted(path for path in collection.rglob("*") if path.is_file())


def test_every_file_is_recorded(built: Path) -> None:
    manifest = Manifest.read(built)
    there = {path.relative_to(built).as_posix(): path.stat().st_size for path in files_of(built)}
    del there[MANIFEST]
    assert there == {name: record.size_bytes for name, record in manifest.files.items()}
    assert list(manifest.damage(built)) == []
    assert manifest.size_bytes == sum(there.values())


def test_a_flipped_bit_anywhere_is_found(built: Path) -> None:
    """200 places, each byte of the collection as likely as any other, and both ends of files."""
    manifest = Manifest.read(built)
    rng = random.Random(11)
    files = [path for path in files_of(built) if path.name != MANIFEST]
    picked = rng.choices(files, [path.stat().st_size for path in files], k=200 - 2 * len(files))
    places = [(path, rng.randrange(path.stat().st_size)) for path in picked]
    places += [(path, end) for path in files if path.stat().st_size for end in (0, -1)]
    for path, place in places:
        good = path.read_bytes()
        bad = bytearray(good)
        bad[place] ^= 1 << rng.randrange(8)
        path.write_bytes(bad)
        assert list(manifest.damage(built)) == [f"{path} has changed since it was written"]
        with pytest.raises(IndexCorruptError, match="restore it from a copy, or build again"):
            CollectionReader.open(built)
        path.write_bytes(good)
    CollectionReader.open(built).close()


def test_truncated_missing_and_grown_files(built: Path) -> None:
    manifest = Manifest.read(built)
    for path in files_of(built):
        if path.name == MANIFEST:
            continue
        good = path.read_bytes()
        for bad, message in (
            (good[:-1], f"has {len(good) - 1:,} bytes and should have {len(good):,}"),
            (good + b"x", f"has {len(good) + 1:,} bytes and should have {len(good):,}"),
            (b"", "has 0 bytes and should have"),
        ):
            path.write_bytes(bad)
            assert [message in damage for damage in manifest.damage(built)] == [True]
            with pytest.raises(IndexCorruptError, match="and should have"):
                CollectionReader.open(built)
        path.unlink()
        assert list(manifest.damage(built)) == [f"{path} is missing"]
        with pytest.raises(IndexCorruptError, match="is missing"):
            CollectionReader.open(built)
        path.mkdir()
        assert len(list(manifest.damage(built))) == 1
        path.rmdir()
        path.write_bytes(good)
    assert list(manifest.damage(built)) == []
    shutil.rmtree(built / "segment-000001")
    (built / manifest.encoder).unlink()
    assert len(list(manifest.damage(built))) == len(manifest.files)


def test_files_that_are_not_named_do_not_exist(built: Path) -> None:
    (built / "segment-000009").mkdir()
    (built / "segment-000009" / "rest").write_text("x")
    (built / "note.txt").write_text("x")
    (built / "segment-000001" / "more.npy").write_text("x")
    assert list(Manifest.read(built).damage(built)) == []
    collection = CollectionReader.open(built)
    assert collection.search("fish").hits
    collection.close()
