"""`lsr index snapshot`: from the command line, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_app import BM25, LIBRARY, refused, run


def test_made_listed_verified_restored(tmp_path: Path) -> None:
    index = tmp_path / "index"
    run("index", "build", *BM25, LIBRARY, index)
    before = run("search", index, "book", "--json").stdout
    assert (
        "snapshot monday of generation 1"
        in run("index", "snapshot", "create", index, "--name", "monday").stdout
    )
    assert "already" in refused("index", "snapshot", "create", index, "--name", "monday")
    assert "cannot be named" in refused("index", "snapshot", "create", index, "--name", "../x")
    made = json.loads(run("index", "snapshot", "create", index, "--json").stdout)
    listed = json.loads(run("index", "snapshot", "list", index, "--json").stdout)["snapshots"]
    assert {each["name"] for each in listed} == {"monday", made["name"]}
    assert "monday  generation 1" in run("index", "snapshot", "list", index).stdout
    verified = run("index", "snapshot", "verify", index, "monday")
    assert (verified.exit_code, "as they were written" in verified.stdout) == (0, True)
    run("index", "snapshot", "restore", index, "monday", "--to", tmp_path / "copy")
    after = json.loads(run("search", tmp_path / "copy", "book", "--json").stdout)
    assert after["hits"] == json.loads(before)["hits"]
    assert "there is no snapshot 'tuesday'" in refused(
        "index", "snapshot", "restore", index, "tuesday"
    )


def test_damage_is_found(tmp_path: Path) -> None:
    index = tmp_path / "index"
    run("index", "build", *BM25, LIBRARY, index)
    run("index", "snapshot", "create", index, "--name", "s")
    path = tmp_path / ".index.snapshots" / "s" / "manifest.json"
    path.write_text(path.read_text().replace("generation", "Generation"))
    result = run("index", "snapshot", "verify", index, "s")
    assert result.exit_code == 1
    assert "manifest.json has changed" in result.stdout
    assert "nothing was changed" in refused("index", "snapshot", "restore", index, "s")
