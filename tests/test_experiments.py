"""The experiments: each entry in the index, each link to something, newest first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "experiments"
INDEX = FOLDER / "README.md"
APART = {"README.md", "waiting-for-a-gpu.md"}
ENTRIES = sorted(path.name for path in FOLDER.iterdir() if path.name not in APART)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def _rows() -> list[list[str]]:
    """The cells of the index's rows, without its heading."""
    lines = [line for line in INDEX.read_text("utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _entry(row: list[str]) -> str:
    """The file that the last cell of a row links to, and nothing else."""
    link = re.fullmatch(r"\[[^\]]+\]\(([^)]+)\)", row[-1])
    assert link, f"the last cell is no link: {row[-1]}"
    return link[1]


def test_the_table_has_five_columns_and_none_is_empty() -> None:
    for row in _rows():
        assert len(row) == 5, row
        assert all(row), row


def test_every_entry_is_in_the_table_once() -> None:
    assert ENTRIES
    assert sorted(_entry(row) for row in _rows()) == ENTRIES
    linked = LINK.findall(INDEX.read_text("utf-8"))
    assert [name for name in ENTRIES if linked.count(name) != 1] == []


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_is_named_by_date_and_topic(name: str) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-[a-z0-9]+(-[a-z0-9]+)*\.md", name)
    heading = (FOLDER / name).read_text("utf-8").split("\n", 1)[0]
    assert heading.startswith(f"# {name[:10]}: ")


def test_dates_are_those_of_the_files_and_descend() -> None:
    dates = [row[0] for row in _rows()]
    assert dates == [_entry(row)[:10] for row in _rows()]
    assert dates == sorted(dates, reverse=True)


def test_every_link_resolves() -> None:
    assert "waiting-for-a-gpu.md" in LINK.findall(INDEX.read_text("utf-8"))
    broken = [
        f"{path.name}: {target}"
        for path in FOLDER.glob("*.md")
        for target in LINK.findall(path.read_text("utf-8"))
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert broken == []
