"""Folders as people have them: links, hidden and unreadable things, archives, changing files."""

from __future__ import annotations

import gzip
import os
import zipfile
from pathlib import Path

import pytest

from lsr.datasets import text_folder
from lsr.datasets.files import zip_archive
from lsr.datasets.lines import zstd
from lsr.datasets.reading import Reading
from lsr.datasets.text_folder import TextFolder
from lsr.encoders.bm25 import Bm25Encoder
from lsr.errors import DataError
from lsr.index.collection.build import build_collection
from lsr.types import Document
from tests.support.bad_files import wrote


def ids(folder: Path) -> tuple[list[str], dict[str, int], Reading]:
    """Ids of documents, reasons with their counts, and the account, whose sums are checked."""
    corpus = TextFolder(folder)
    found = [document.doc_id for document in corpus.documents()]
    reading = corpus.reading
    assert reading.n_documents == len(found)
    assert reading.n_files == reading.n_read + reading.n_passed
    reasons: dict[str, int] = {}
    for each in reading.passed.values():
        reasons[each.reason] = reasons.get(each.reason, 0) + each.n
    return found, reasons, reading


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "sub").mkdir(parents=True)
    (outside / "deep").mkdir(parents=True)
    wrote(root / "sub" / "a.md", "a")
    wrote(outside / "deep" / "b.md", "b")
    (root / "again").symlink_to(root / "sub")
    (root / "loop").symlink_to(root)
    (outside / "up").symlink_to(tmp_path)
    (root / "there").symlink_to(outside)
    (root / "twice").symlink_to(outside)
    (root / "sub" / "gone.md").symlink_to(tmp_path / "absent")
    (root / "c.md").symlink_to(root / "sub" / "a.md")
    (root / "self.md").symlink_to(root / "self.md")
    found, reasons, _ = ids(root)
    assert found == ["c.md", "sub/a.md", "there/deep/b.md"]
    assert reasons["the link leads nowhere"] == 1
    assert reasons["it is read under another name"] == 5
    assert any("symbolic link" in reason for reason in reasons)


def test_what_is_passed_over_is_counted(tmp_path: Path) -> None:
    wrote(tmp_path / "a.md", "a")
    wrote(tmp_path / "same.txt", "a")
    wrote(tmp_path / ".hidden.md", "x")
    (tmp_path / ".git").mkdir()
    wrote(tmp_path / "photo.PNG", b"\x89PNG")
    wrote(tmp_path / "LICENSE", "x")
    wrote(tmp_path / "data.csv.gz", gzip.compress(b"id,text"))
    wrote(tmp_path / "noise.txt", bytes(range(256)) * 40)
    os.mkfifo(tmp_path / "pipe.md")
    wrote(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md")), "x")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xe9")).mkdir()
    found, _, reading = ids(tmp_path)
    assert found == ["a.md", "same.txt"], "equal content under two names is two documents"
    counted = {
        (each.unit, each.kind, each.reason): each.examples for each in reading.passed.values()
    }
    assert counted == {
        ("file", "hidden", "its name starts with a dot"): [".hidden.md"],
        ("folder", "hidden", "its name starts with a dot"): [".git"],
        ("file", ".png", "no kind of file that is read"): ["photo.PNG"],
        ("file", "no suffix", "no kind of file that is read"): ["LICENSE"],
        ("file", ".csv", "a file of records or settings"): ["data.csv.gz"],
        ("file", ".txt", "is not text"): ["noise.txt"],
        ("file", ".md", "it is a device, pipe or socket"): ["pipe.md"],
        ("file", ".md", "its name is not UTF-8; rename it"): ["caf\\xe9.md"],
        ("folder", "folder", "its name is not UTF-8"): ["d\\xe9"],
    }
    assert reading.n_files == 9
    assert reading.lines()[0] == "read 2 of 9 files; passed over:"
    assert len(reading.lines()) == 10


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folders_without_permission_are_counted(tmp_path: Path) -> None:
    wrote(tmp_path / "a.md", "a")
    (tmp_path / "locked").mkdir(mode=0)
    wrote(tmp_path / "b.md", "b").chmod(0)
    found, reasons, _ = ids(tmp_path)
    assert (found, reasons) == (["a.md"], {"no permission to read it": 2})


def test_refusals_of_the_system_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.md", "b.md", "locked/c.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        wrote(tmp_path / name, "x")
    scandir, read_bytes = os.scandir, Path.read_bytes

    def guarded(path: Path) -> object:
        if path.name == "locked":
            raise PermissionError(13, "denied")
        return scandir(path)

    def vanishing(path: Path) -> bytes:
        if path.name == "b.md":
            path.unlink()
        return read_bytes(path)

    monkeypatch.setattr(os, "scandir", guarded)
    monkeypatch.setattr(Path, "read_bytes", vanishing)
    found, reasons, _ = ids(tmp_path)
    assert found == ["a.md"]
    assert reasons == {"it vanished while it was read": 1, "no permission to read it": 1}


def test_a_file_that_changes_while_it_is_read_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote(tmp_path / "a.md", "x")
    read_bytes = Path.read_bytes

    def changing(path: Path) -> bytes:
        data = read_bytes(path)
        path.write_bytes(data + b"more")
        return data

    monkeypatch.setattr(Path, "read_bytes", changing)
    assert ids(tmp_path)[1] == {"it changed while it was read": 1}


def test_an_index_and_a_model_are_never_read(tmp_path: Path) -> None:
    wrote(tmp_path / "a.md", "words")
    wrote(tmp_path / "manifest.json", "{}")
    build_collection([Document("d", "x")], tmp_path / "index", sparse=Bm25Encoder())
    wrote(tmp_path / "index" / "notes.md", "not read")
    (tmp_path / "model").mkdir()
    wrote(tmp_path / "model" / "modules.json", "[]")
    wrote(tmp_path / "model" / "README.md", "a card")
    found, reasons, _ = ids(tmp_path)
    assert found == ["a.md"]
    assert reasons["it is an index or a model of lsr"] == 2
    with pytest.raises(DataError, match="this is an index or a model of lsr"):
        TextFolder(tmp_path / "index").check()


def test_compressed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrote(tmp_path / "a.md.gz", gzip.compress(b"# Title\n\ntext"))
    wrote(tmp_path / "b.txt.ZST", zstd.compress(b"words"))
    wrote(tmp_path / "c.txt.gz", b"no gzip")
    wrote(tmp_path / "d.txt.gz", gzip.compress(bytes(3_000)))
    monkeypatch.setattr(text_folder, "MOST_BYTES", 2_000)
    corpus = TextFolder(tmp_path)
    assert list(corpus.documents()) == [
        Document("a.md.gz", "# Title\n\ntext", "Title", {"folder": ".", "suffix": ".md"}),
        Document("b.txt.ZST", "words", "b", {"folder": ".", "suffix": ".txt"}),
    ]
    assert [each.reason for each in corpus.reading.passed.values()] == [
        "cannot be decompressed",
        "would grow beyond 0 MB",
    ]


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stream:
        for name, data in members.items():
            stream.writestr(name, data)
    return path


def test_archives(tmp_path: Path) -> None:
    inner = archive(tmp_path / "inner", {"deep.md": b"deep"}).read_bytes()
    members = {
        "sub/a.md": b"# In\n",
        "../up.txt": b"up",
        "/root.txt": b"root",
        "__MACOSX/x.md": b"x",
        "p.png": b"",
        "inner.zip": inner,
        "n.txt.gz": gzip.compress(b"n"),
    }
    archive(tmp_path / "z.zip", members)
    found, reasons, reading = ids(tmp_path)
    assert found == [
        "z.zip/root.txt",
        "z.zip/inner.zip/deep.md",
        "z.zip/n.txt.gz",
        "z.zip/sub/a.md",
    ]
    assert reasons["its name starts with a dot"] == 2, "a name that leads out is one of them"
    assert reading.n_files == 8


def test_archives_that_would_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(tmp_path / "ratio.zip", {"a.txt": bytes(5_000_000)})
    archive(tmp_path / "many.zip", {f"{n}.txt": b"" for n in range(4)})
    nested = b"x"
    for level in range(4):
        nested = archive(tmp_path / "part", {f"{level}.zip": nested}).read_bytes()
    wrote(tmp_path / "deep.zip", nested)
    wrote(tmp_path / "broken.zip", b"PK no")
    lying = bytearray(archive(tmp_path / "part", {"a.txt": b"x" * 999}).read_bytes())
    place = lying.index(b"PK\x01\x02") + 24
    lying[place : place + 4] = (3).to_bytes(4, "little")
    wrote(tmp_path / "lying.zip", bytes(lying))
    (tmp_path / "part").unlink()
    bounds = zip_archive.Bounds(members=3)
    monkeypatch.setattr(zip_archive.opened_zip, "__defaults__", (bounds,))
    found, reasons, _ = ids(tmp_path)
    assert found == []
    assert reasons == {
        "holds a file that would grow more than 200 times": 1,
        "a zip with more than 3 files is not opened": 1,
        "is too deep in other archives": 1,
        "is damaged, or no zip": 1,
        "is damaged": 1,
    }


def test_mail_and_half_characters(tmp_path: Path) -> None:
    wrote(tmp_path / "n.ipynb", '{"cells": [{"source": "half \\ud800 end"}]}')
    wrote(tmp_path / "m.mbox", "From a\nSubject: One\n\nx\n\nFrom b\nSubject: Two\n\ny\n")
    corpus = TextFolder(tmp_path)
    assert [(d.doc_id, d.title, d.text) for d in corpus.documents()] == [
        ("m.mbox#1", "One", "x"),
        ("m.mbox#2", "Two", "y"),
        ("n.ipynb", "n", "half \ufffd end"),
    ]


def test_a_missing_library_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrote(tmp_path / "a.pdf", "x")
    wrote(tmp_path / "b.md", "x")
    monkeypatch.setitem(__import__("sys").modules, "pypdf", None)
    _, reasons, reading = ids(tmp_path)
    assert reasons == {"needs pypdf, which is not installed": 1}
    (group,) = reading.passed.values()
    assert group.option == "pip install 'lsr-search[files]'"
    assert "to read them: pip install" in reading.lines()[1]
