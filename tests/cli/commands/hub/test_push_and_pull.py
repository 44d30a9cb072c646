"""`lsr push` and `lsr pull` as they are typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lsr.cli.app import app
from lsr.index.live.live_collection import LiveCollection
from tests.support.command_line import done, refused
from tests.support.hub import TOKEN, Hub, hub_stand_in
from tests.support.live import put

REPOSITORY = "owner/birds"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with hub_stand_in(monkeypatch, tmp_path / "hub-cache") as stand_in:
        yield stand_in


def test_there_and_back(built: Path, hub: Hub, tmp_path: Path) -> None:
    told = done("push", built, REPOSITORY, "--dry-run")
    assert "+ manifest.json\n" in told
    assert "would be made, and 6 of 6 files would be sent" in told
    assert hub.repositories == {}
    assert "made, and at" in done("push", built, REPOSITORY, "--private", "--message", "Birds")
    assert hub.repositories[REPOSITORY].messages[-1] == "Birds"
    assert "all 6 files are there already" in done("push", built, REPOSITORY)
    assert "7 documents of owner/birds at" in done("pull", REPOSITORY, tmp_path / "pulled")
    assert "heron" in done("search", tmp_path / "pulled", "heron")


def test_json(built: Path, hub: Hub, tmp_path: Path) -> None:
    pushed = json.loads(done("push", built, REPOSITORY, "--json", "--revision", "first"))
    assert (pushed["kind"], pushed["created"], pushed["dry_run"]) == ("index", True, False)
    target = tmp_path / "pulled"
    pulled = json.loads(done("pull", REPOSITORY, target, "--revision", "first", "--json"))
    assert (pulled["commit"], pulled["n_documents"]) == (pushed["commit"], 7)
    assert pulled["path"] == str(target)


def test_refusals_are_one_sentence(built: Path, hub: Hub, tmp_path: Path) -> None:
    assert "there is no repository owner/birds" in refused("pull", REPOSITORY, tmp_path / "pulled")
    done("push", built, REPOSITORY)
    assert "is there already" in refused("pull", REPOSITORY, built)
    done("pull", REPOSITORY, built, "--overwrite")


def test_what_is_left_behind_is_told(built: Path, hub: Hub) -> None:
    (built / "notes.txt").write_text("mine")
    with LiveCollection.open(built) as live:
        live.write([put("yak", "a yak")])
        result = CliRunner().invoke(app, ["push", str(built), REPOSITORY])
    assert result.exit_code == 0
    assert "warning: 1 acknowledged writes are not published yet, and not in it" in result.stderr
    assert "warning: left out, as no part of it: notes.txt" in result.stderr


@pytest.mark.parametrize(
    "words",
    ["push {index} owner/birds", "pull owner/birds {new} --revision other"],
)
def test_ctrl_c(
    built: Path, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    done("push", built, REPOSITORY, "--revision", "other")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lsr.hub.repository.HfApi.create_commit", interrupted)
    monkeypatch.setattr("lsr.hub.repository.HfApi.hf_hub_download", interrupted)
    line = words.format(index=built, new=tmp_path / "new")
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code == 130
    assert result.stderr.startswith("interrupted; the same command ")
    assert not (tmp_path / "new").exists()


def test_a_process_of_its_own_finds_the_hub_by_its_environment(
    built: Path, hub: Hub, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(tmp_path / "home"),
        "HF_TOKEN": TOKEN,
    }
    for words in (("push", built, REPOSITORY), ("pull", REPOSITORY, tmp_path / "pulled")):
        ended = subprocess.run(
            [sys.executable, "-m", "lsr", *map(str, words)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ended.stderr == ""
    assert (tmp_path / "pulled" / "manifest.json").is_file()
