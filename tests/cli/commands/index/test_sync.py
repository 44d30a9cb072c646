"""`lsr index sync` as it is called: what it prints, refuses and watches."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.changing_collection import content
from tests.support.command_line import done, refused


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "notes"
    path.mkdir()
    for name in ("heron", "otter", "pike"):
        (path / f"{name}.md").write_text(f"# {name}\nby the river\n")
    return path


@pytest.fixture
def index(folder: Path) -> Path:
    path = folder.parent / "index"
    done("index", "build", folder, path, "--sparse", "bm25")
    return path


def changed(folder: Path) -> None:
    (folder / "otter.md").unlink()
    (folder / "pike.md").write_text("# pike\nin the pond\n")
    (folder / "carp.md").write_text("# carp\n")


def test_what_would_change_and_what_did(folder: Path, index: Path) -> None:
    assert done("index", "sync", index, folder) == (
        f"{index}: 3 unchanged; now generation 1, documents 3, segments 1\n"
    )
    changed(folder)
    before = content(index)
    assert done("index", "sync", index, folder, "--dry-run").splitlines() == [
        "+ carp.md",
        "~ pike.md",
        "- otter.md",
        f"{index}: 1 would be added, 1 replaced, 1 deleted; 1 unchanged",
    ]
    ids = {"added": ["carp.md"], "replaced": ["pike.md"], "deleted": ["otter.md"]}
    counts = {"n_added": 1, "n_replaced": 1, "n_deleted": 1, "n_unchanged": 1}
    tried = json.loads(done("index", "sync", index, folder, "--dry-run", "--json"))
    assert tried == {"index": str(index), "would": counts, **ids}
    assert content(index) == before
    told = json.loads(done("index", "sync", index, folder, "--json"))
    assert told["done"] == {**counts, "n_merged": told["done"]["n_merged"]}
    assert {name: told[name] for name in ids} == ids
    assert (told["generation"], told["n_documents"]) == (2, 3)
    assert done("search", index, "otter").strip() == ""


def test_an_addition_says_what_is_unchanged(folder: Path, index: Path) -> None:
    assert done("index", "add", index, folder).startswith(f"{index}: 3 unchanged; now generation 1")


def test_refused(folder: Path, index: Path) -> None:
    before = content(index)
    assert "--watch and --dry-run" in refused(
        "index", "sync", index, folder, "--watch", "--dry-run"
    )
    assert "does not exist; make one" in refused("index", "sync", folder / "none", folder)
    for file in folder.iterdir():
        file.unlink()
    assert "no text files" in refused("index", "sync", index, folder)
    folder.rmdir()
    assert "no such file or folder" in refused("index", "sync", index, folder, "--allow-empty")
    assert content(index) == before
    folder.mkdir()
    assert "3 deleted" in done("index", "sync", index, folder, "--allow-empty")


def test_watching_goes_on_until_it_is_interrupted(folder: Path, index: Path) -> None:
    pytest.importorskip("watchfiles")
    command = [sys.executable, "-m", "lsr", "index", "sync", str(index), str(folder), "--watch"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        assert "3 unchanged" in watching.stdout.readline()
        assert watching.stderr.readline() == f"watching {folder}; end with Ctrl-C\n"
        changed(folder)
        n_done = 0
        while n_done < 3:  # perhaps not all of it at once
            line = watching.stdout.readline()
            n_done += sum(f"1 {word}" in line for word in ("added", "replaced", "deleted"))
        watching.send_signal(signal.SIGINT)
        rest, said = watching.communicate()
        assert (watching.returncode, rest) == (0, "")
        assert said == "watching ended\n"
