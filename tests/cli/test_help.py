"""Help: its order, whole sentences, examples that are real commands, and what was meant."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from lsr.cli.app import ErrorsSpeak, app

ROOT: Any = typer.main.get_command(app)
HEAVY = set(
    "asyncio faiss fastapi httpx llvmlite numba numpy onnxruntime orjson rich scipy sqlite3 "
    "tokenizers torch uvicorn yaml".split()
)
"""Modules that a list of commands does without; typer itself takes pydantic where it is there."""

WIDTH = 76
"""Characters of a line of help on a terminal of 80, without its margin."""


def below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Commands and groups, by the words that name them."""
    yield name, command
    if isinstance(command, TyperGroup):
        for sub, each in command.commands.items():
            yield from below(f"{name} {sub}", each)


EVERY = dict(below("lsr", ROOT))
COMMANDS = {name: each for name, each in EVERY.items() if not isinstance(each, TyperGroup)}
GROUPS = {name: each for name, each in EVERY.items() if isinstance(each, TyperGroup)}


def printed(*words: str) -> str:
    return CliRunner().invoke(app, [*words, "--help"], prog_name="lsr", terminal_width=80).stdout


def test_commands_stand_in_the_order_people_need_them() -> None:
    assert list(ErrorsSpeak.later) == list(ROOT.commands)
    listed = re.findall(r"^  ([a-z-]+)  ", printed().split("Commands:")[1], re.M)
    assert listed == list(ErrorsSpeak.later)
    assert listed[:7] == ["index", "search", "serve", "demo", "models", "eval", "compare"]
    assert listed[-1] == "train"
    below_index = re.findall(r"^  ([a-z-]+)  ", printed("index").split("Commands:")[1], re.M)
    assert below_index[0] == "build"


@pytest.mark.parametrize("name", GROUPS)
def test_sentences_are_whole(name: str) -> None:
    said = printed(*name.split()[1:])
    assert "..." not in said.split("Commands:")[1]
    flat = " ".join(said.split())
    for sub, command in GROUPS[name].commands.items():
        first = re.split(r"(?<=\.)\s", " ".join(str(command.help).split()))[0]
        assert f" {sub} {first}" in flat


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["index", "--help"]])
def test_help_imports_no_command(words: list[str]) -> None:
    code = "import sys\nfrom lsr.cli import main\ntry: main()\nfinally: print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "typer" in loaded
    assert not {name.partition(".")[0] for name in loaded} & HEAVY
    ours = {name for name in loaded if name.startswith("lsr.cli.")}
    assert ours <= {"lsr.cli.app", "lsr.cli.help", "lsr.cli.commands", "lsr.cli.commands.index"}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_an_example_that_can_be_given(name: str) -> None:
    lines = COMMANDS[name].help.strip().splitlines()
    (example,) = [line for line in lines if line.startswith("Example: ")]
    assert example == lines[-1]
    assert len(example) <= WIDTH
    assert f"\n  {example}\n" in printed(*name.split()[1:])
    words = shlex.split(example.removeprefix("Example: "))
    own = name.split()
    assert words[: len(own)] == own
    COMMANDS[name].make_context(name, words[len(own) :])  # raises for what there is not


@pytest.mark.parametrize("name", COMMANDS)
def test_usage_is_written_as_elsewhere(name: str) -> None:
    usage = printed(*name.split()[1:]).split("\n\n")[0]
    assert usage.startswith(f"Usage: {name} [OPTIONS]")
    assert not re.search(r"[{}]|\[\[|\.\.\.\]", usage)


def test_network_alone_is_not_a_neural_one() -> None:
    for name, command in COMMANDS.items():
        for said in (command.help, *(getattr(each, "help", "") for each in command.params)):
            for found in re.finditer(r"(\S+)\s+networks?\b", said or ""):
                assert found[1] == "neural", f"{name}: {found[0]}"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["build", "a", "b"], "No such command 'build'. Did you mean lsr index build?"),
        (["create"], "Did you mean lsr index snapshot create or lsr keys create?"),
        (["biuld"], "Did you mean lsr index build?"),
        (["serach"], "Did you mean 'search'?"),
        (["index", "restore"], "Did you mean lsr index snapshot restore?"),
        (["qqq"], "No such command 'qqq'."),
    ],
)
def test_a_command_of_a_group_is_suggested(words: list[str], told: str) -> None:
    result = CliRunner().invoke(app, words, prog_name="lsr")
    assert result.exit_code == 2
    assert told in result.stderr
