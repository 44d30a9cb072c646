"""The core install: a command that needs an extra says so in one sentence."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lsr.cli.app import EXTRAS
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.types import Document

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CORE = """
import json, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

absent, commands = json.load(sys.stdin)
for name in absent:
    sys.modules[name] = None
sys.meta_path.insert(0, Absent())
from typer.testing import CliRunner
from lsr.cli.app import app
found = []
for words in commands:
    result = CliRunner().invoke(app, words)
    found.append([result.exit_code, result.stdout, result.stderr, repr(result.exception)])
print(json.dumps(found))
"""

NEEDS = {
    "train {config}": "train",
    "train {config} --dry-run": "train",
    "adapt doc-mini {records} {out}": "train",
    "export doc-mini {out} --format onnx": "export",
    "export doc-mini {out} --format onnx-int8": "export",
    "export doc-mini {out} --format packed": "export",
    "export doc-mini {out} --format opensearch": "export",
    "export doc-mini {out} --format sentence-transformers": "export",
    "export-onnx {out}": "export",
    "encode {records} doc-mini {out} --precision fp32": "dense",
    "expand {records} {out} --model nobody/none": "train",
    "expand {records} {out} --tilde doc-mini": "dense",
    "index build {records} {out} --sparse bm25 --dense all-MiniLM-L6-v2": "dense",
    "index build irds:beir/scifact/test {out} --sparse bm25": "eval",
    "index build {parquet} {out} --sparse bm25": "files",
    "index build {records} {out} --sparse bm25 --language korean": "korean",
    "index sync {index} {folder} --watch": "watch",
    "migrate {index} qdrant:http://127.0.0.1:9/notes": "qdrant",
    "migrate qdrant:http://127.0.0.1:9/notes {out}": "qdrant",
    "search qdrant:http://127.0.0.1:9/notes heron": "qdrant",
    "index build {records} {out} --sparse bm25 --shards 2 --backend ray": "ray",
    "search {index} heron --backend ray": "ray",
    "eval {library} --systems bm25": "eval",
    "compare {run} --qrels {qrels}": "eval",
}
"""What the core install cannot do, and the extra that a command names."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Exit code, output, errors and exception of each command, all in one process."""
    folder = tmp_path_factory.mktemp("core")
    library = ROOT / "data" / "library"
    places = {
        name: folder / name for name in ("config", "records", "parquet", "index", "folder", "run")
    } | {"library": library, "qrels": library / "qrels" / "test.tsv"}
    for name, suffix in (("config", ".yaml"), ("records", ".jsonl"), ("parquet", ".parquet")):
        places[name] = folder / f"{name}{suffix}"
    config = (ROOT / "configs" / "doc-mini.yaml").read_text("utf-8")
    places["config"].write_text(config, "utf-8")
    places["records"].write_text('{"id": "a", "text": "heron"}\n')
    places["parquet"].write_bytes(b"PAR1")
    places["run"].write_text("q1 Q0 repair 1 2.0 x\n")
    places["folder"].mkdir()
    (places["folder"] / "a.txt").write_text("heron")
    build_collection([Document("a", "heron")], places["index"], sparse=Bm25Encoder())
    commands = [
        each.format(**places, out=folder / f"out-{number}").split()
        for number, each in enumerate(NEEDS)
    ]
    absent = sorted({name for names in EXTRAS.values() for name in names})
    done = subprocess.run(
        [sys.executable, "-c", CORE],
        input=json.dumps([absent, commands]),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LSR_DATA": str(folder)},
    )
    left = [list(NEEDS)[int(path.name[4:])] for path in folder.glob("out-*")]
    assert [each for each in left if not each.startswith("encode ")] == []  # its plan stays
    return dict(zip(NEEDS, json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize("command", NEEDS)
def test_one_sentence_names_the_extra(command: str, told: dict[str, Any]) -> None:
    code, stdout, stderr, exception = told[command]
    assert code == 2, (stderr, exception)
    assert stdout == "" or "--dry-run" in command
    line = stderr.splitlines()[-1]
    assert line.startswith("error: ")
    (extras,) = re.findall(r"run: pip install 'lsr-search\[([a-z,]+)\]'", line)
    assert NEEDS[command] in extras.split(",")


def test_every_module_is_of_the_core_or_of_an_extra() -> None:
    """One that stands in neither place would end in a traceback where it is missing."""
    core = {re.split(r"[^\w-]", each)[0].lower() for each in PROJECT["dependencies"]}
    core = {name.replace("-", "_") for name in core} | {"markdown_it", "stemmer", "yaml"}
    core |= {"backports", "compression"}  # Zstandard, before Python 3.14 and in it
    # what those bring along
    core |= {"anyio", "llvmlite", "pydantic_core", "starlette", "tqdm"}
    assert EXTRAS.keys() <= PROJECT["optional-dependencies"].keys()
    known = core | {name for names in EXTRAS.values() for name in names} | {"lsr"}
    known |= sys.stdlib_module_names | {"_typeshed", "triton"}  # of type checkers, and of torch
    unknown = set()
    for folder in ("lsr", "index", "service", "training"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and not node.level:
                    names = [str(node.module)]
                unknown |= {name.partition(".")[0].lower() for name in names} - known
    assert not unknown


def test_all_is_every_extra_of_users_and_each_stands_in_the_docs() -> None:
    extras = PROJECT["optional-dependencies"]
    named = re.findall(r"lsr-search\[([a-z,]+)\]", " ".join(extras["all"]))
    assert {name for names in named for name in names.split(",")} == (
        extras.keys() - {"all", "bench", "dev"}
    )
    told = (ROOT / "docs" / "quickstart.md").read_text("utf-8")
    for name in extras.keys() - {"bench", "dev"}:
        assert re.search(rf"^\|.*`{name}`.*\|.*\|.*\|$", told, re.M), name
