"""`lsr search` without a query: one after the other, from a terminal or a pipe."""

from __future__ import annotations

import builtins
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lsr.cli.app import app
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.index.collection.reader import CollectionReader
from lsr.types import Document
from tests.support.command_line import done, refused

DOCUMENTS = [Document("heron", "A heron wades."), Document("pike", "A pike swims.")]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prompt") / "birds"
    build_collection(DOCUMENTS, path, sparse=Bm25Encoder())
    return path


def piped(lines: bytes, *words: object) -> Result:
    return CliRunner().invoke(app, ["search", *map(str, words)], input=lines)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], object]]:
    """Standard input is a terminal; types bytes at it."""
    master, slave = os.openpty()
    with os.fdopen(slave, "r", encoding="utf-8") as stdin, os.fdopen(master, "wb", 0) as keys:
        monkeypatch.setattr("sys.stdin", stdin)
        yield keys.write


def exit_code(*words: object) -> object:
    with pytest.raises(SystemExit) as ended:
        app(["search", *map(str, words)])
    return ended.value.code


def test_each_line_of_a_pipe_is_answered_as_a_search_is(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = done("search", index, "heron"), done("search", index, "pike")
    opened: list[Path] = []
    real = CollectionReader.open

    def counted(path: Path, *, verify: bool) -> CollectionReader:
        opened.append(path)
        return real(path, verify=verify)

    monkeypatch.setattr(CollectionReader, "open", counted)
    result = piped(b"heron\npike\r\nheron", index)
    assert result.exit_code == 0
    assert result.stdout == f"> heron\n{one}> pike\n{other}> heron\n{one}"
    assert opened == [index]


def test_json_of_several_lines_is_a_document_a_line(index: Path) -> None:
    result = piped(b"heron\npike\n", index, "--json", "-k", 1)
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [answer["text"] for answer in answers] == ["heron", "pike"]
    assert [answer["hits"][0]["doc_id"] for answer in answers] == ["heron", "pike"]


def test_a_line_that_is_refused_is_named_and_the_next_one_answered(index: Path) -> None:
    result = piped(b"heron\n\n\xff\npike\n", index, "--json")
    assert result.exit_code == 2
    assert [json.loads(line)["text"] for line in result.stdout.splitlines()] == ["heron", "pike"]
    empty, broken = result.stderr.splitlines()
    assert empty.startswith("error: line 2: the query is empty")
    assert broken == "error: line 3: byte 1 is not UTF-8"


def test_without_a_line_the_query_is_missing(index: Path) -> None:
    assert "the query is missing: lsr search INDEX TEXT" in refused("search", index)


def test_what_no_query_can_mend_ends_it_at_once(index: Path, tmp_path: Path) -> None:
    for words in ((tmp_path / "none",), (index, "--mode", "fuzzy")):
        result = piped(b"heron\npike\n", *words)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("end", [b"\n", b"\x04"], ids=["an empty line", "Ctrl-D"])
def test_a_terminal_is_asked_until(
    end: bytes,
    index: Path,
    terminal: Callable[[bytes], object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal(b"heron\n\xc3\n{}\npike\n" + end)
    assert exit_code(index, "-k", 1) == 0
    said = capsys.readouterr()
    assert [line.split()[2] for line in said.out.splitlines()[::2]] == ["heron", "pike"]
    assert "not UTF-8" in said.err
    assert said.err.count("> ") == 5


def test_ctrl_c_at_the_prompt(
    index: Path,
    terminal: Callable[[bytes], object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(_: str) -> str:
        raise KeyboardInterrupt

    terminal(b"heron")
    monkeypatch.setattr(builtins, "input", interrupted)
    assert exit_code(index) == 130
    assert capsys.readouterr().err.endswith("interrupted\n")
