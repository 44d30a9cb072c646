"""Rate and time left, by a clock that the test sets; and how an interruption is told."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
from typer.testing import CliRunner

import lsr.cli.console
import lsr.index.collection.encode
import lsr.index.collection.update
from lsr.cli.app import app
from lsr.cli.console import Pace, shown_progress
from lsr.encoders.learned.torch_network import TorchNetwork
from lsr.sparse import CSR
from tests.support.command_line import done
from tests.support.learned_models import inference_free


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_rate_and_time_left_are_known_from_the_second_report() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.told("encode", 0, 1_000) == []
    clock.seconds = 2.0
    assert pace.told("encode", 4, 1_000) == ["2.0/s", "0:08:18 left"]
    clock.seconds = 4.0
    assert pace.told("encode", 100, 1_000) == ["25/s", "0:00:36 left"]
    assert pace.told("encode", 1_000, 1_000) == ["250/s"]
    assert pace.told("read", 1_000, None) == []
    clock.seconds = 5.0
    assert pace.told("read", 3_000, None) == ["2,000/s"]


def test_it_is_the_rate_of_the_last_minute_without_what_was_there() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.told("dense", 5_000, 9_000)
    for clock.seconds, so_far in ((1.0, 7_000), (31.0, 7_300), (61.0, 7_600), (91.0, 7_900)):
        told = pace.told("dense", so_far, 9_000)
    assert told == ["10/s", "0:01:50 left"]


def test_lines_say_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    monkeypatch.setattr("lsr.cli.console.time.monotonic", clock)
    with shown_progress() as progress:
        progress("encode", 0, 2_000)
        clock.seconds = 20.0
        progress("encode", 400, 2_000)
    assert capsys.readouterr().err == "sparse vectors: 400 of 2,000, 20/s, 0:01:20 left\n"


def test_bars_say_them_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    clock = Clock()
    monkeypatch.setattr(lsr.cli.console, "Pace", lambda _: Pace(clock))
    with shown_progress() as progress:
        progress("encode", 0, 2_000)
        clock.seconds = 20.0
        progress("encode", 400, 2_000)
    said = capsys.readouterr().err
    assert "400/2000" in said
    assert "20/s, 0:01:20 left" in said


class Stopped:
    """A learned model's network that is interrupted before its first and its third call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.texts: list[str] = []
        self._n_calls = 0
        encode = TorchNetwork.encode

        def stopped(
            network: TorchNetwork, texts: Sequence[str], side: Literal["query", "document"]
        ) -> CSR:
            self._n_calls += 1
            if self._n_calls in (1, 3):
                raise KeyboardInterrupt
            self.texts += texts
            return encode(network, texts, side)

        monkeypatch.setattr(TorchNetwork, "encode", stopped)


def interruption(*words: object) -> str:
    result = CliRunner().invoke(app, ["index", *map(str, words)])
    assert result.exit_code == 130, result.output
    return str(result.stderr.splitlines()[-1])


def test_an_interrupted_build_says_how_to_go_on_where_vectors_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lsr.index.collection.encode, "FIRST_CHUNK", 1)
    source, index = tmp_path / "a.jsonl", tmp_path / "index"
    source.write_text("".join(f'{{"id": "{n}", "text": "dog {n}"}}\n' for n in range(3)))
    words = ("build", source, index, "--sparse", inference_free(tmp_path / "free"))
    network = Stopped(monkeypatch)
    assert interruption(*words) == "interrupted"
    assert interruption(*words) == "interrupted; the same command goes on where it stopped"
    done("index", *words)
    assert sorted(text.strip() for text in network.texts) == ["dog 0", "dog 1", "dog 2"]


@pytest.mark.parametrize("command", ["add", "sync"])
def test_other_changes_say_it_too(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, index = tmp_path / "a.jsonl", tmp_path / "index"
    source.write_text('{"id": "a", "text": "dog"}\n')
    done("index", "build", source, index, "--sparse", "bm25")

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lsr.index.collection.update, f"{command}_documents", stopped)
    assert interruption(command, index, source) == "interrupted"
    for kept in (".index.encoding/v1-0/shard-0", ".index.building/kept/0.npy"):
        (tmp_path / kept).mkdir(parents=True)
        assert interruption(command, index, source).endswith(
            "the same command goes on where it stopped"
        )
        shutil.rmtree((tmp_path / kept).parent)
