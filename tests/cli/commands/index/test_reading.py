"""Options of reading, and what builds and additions say of what they passed over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.bad_files import wrote
from tests.support.command_line import done, refused

BM25 = ("--sparse", "bm25")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    wrote(folder / "a.md", "# Keys\n\nThey rotate.")
    wrote(folder / "latin.txt", b"caf\xe9 keys")
    wrote(folder / "photo.png", b"x")
    return folder


def test_build_and_add_say_what_was_read(notes: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    said = done("index", "build", notes, index, *BM25)
    assert "2 documents" in said
    assert said.splitlines()[1:] == [
        "1 file is not UTF-8 and read as cp1252; --encoding names another",
        "read 2 of 3 files; passed over:",
        "  1 .png file: no kind of file that is read (photo.png)",
    ]
    assert done("index", "add", index, notes).splitlines()[1:] == said.splitlines()[1:]
    for words in (("build", notes, index, *BM25), ("add", index, notes)):
        reading = json.loads(done("index", *words, "--json"))["reading"]
        assert (reading["n_files"], reading["n_read"], reading["n_passed"]) == (3, 2, 1)
        assert reading["passed"] == [
            {
                "unit": "file",
                "kind": ".png",
                "reason": "no kind of file that is read",
                "option": None,
                "n": 1,
                "examples": ["photo.png"],
            }
        ]


def test_an_index_inside_its_source_is_not_read(notes: Path) -> None:
    for _ in range(2):
        said = done("index", "build", notes, notes / "index", *BM25)
        assert "2 documents" in said
    assert "1 folder: it is an index or a model of lsr (index)" in said


def test_options_of_record_files(tmp_path: Path) -> None:
    index = tmp_path / "index"
    table = wrote(tmp_path / "a.csv", "id#text\n1#caf\u00e9\n2\n".encode("cp1252"))
    options = ("--delimiter", "#", "--encoding", "cp1252", "--skip-bad", "1")
    said = done("index", "build", table, index, *BM25, *options)
    assert "1 documents" in said
    assert "1 record: bad records, skipped" in said
    assert "line 3: 1 fields where the header has 2" in said
    assert "1 unchanged" in done("index", "add", index, table, *options)
    assert "2: 1 fields" not in refused("index", "build", table, index, *BM25, *options[:4])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--encoding", "latin-99"), "no encoding 'latin-99'"),
        (("--delimiter", ";"), "has no delimiter to choose"),
        (("--skip-bad", "3"), "has no records to skip"),
    ],
)
def test_options_that_do_nothing_are_refused(
    notes: Path, tmp_path: Path, options: tuple[str, str], message: str
) -> None:
    assert message in refused("index", "build", notes, tmp_path / "index", *BM25, *options)
    assert not (tmp_path / "index").exists()
